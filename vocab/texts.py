"""Texts by language: an immutable mapping from language tag to words, with the fallback we use everywhere.

Also what a language tag looks like here: the short form of BCP 47 that people and browsers use.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

FALLBACK: Final = "en"

_TAG = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|\d{3}))?", re.ASCII)


def is_language(tag: object) -> bool:
    """Say whether a value is a language tag: `en`, `sr-Latn`, `pt-BR`."""
    return isinstance(tag, str) and _TAG.fullmatch(tag) is not None


class Texts(Mapping[str, str]):
    """Words by language, in the order they were given; the first is the original."""

    __slots__ = ("_words",)

    def __init__(self, words: Mapping[str, str] | None = None) -> None:
        self._words = dict(words or {})

    def __getitem__(self, language: str) -> str:
        return self._words[language]

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)

    def __hash__(self) -> int:
        return hash(frozenset(self._words.items()))

    def __repr__(self) -> str:
        return f"Texts({self._words!r})"

    def language(self, wanted: str) -> str:
        """Return the language `best` answers in."""
        for candidate in (wanted, wanted.partition("-")[0], FALLBACK):
            if candidate in self._words:
                return candidate
        return next(iter(self._words), FALLBACK)

    def best(self, wanted: str) -> str:
        """Return the words in a language, else in English, else the original; empty when there are none."""
        return self._words.get(self.language(wanted), "")

    def first(self, first: str) -> "Texts":
        """Return the same texts with one language in front."""
        if first not in self._words:
            return self
        return Texts({first: self._words[first], **self._words})


NOTHING: Final = Texts()
