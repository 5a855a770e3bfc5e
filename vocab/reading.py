"""Plain JSON values read into typed ones, field by field, with a sentence for each that cannot be used.

Knows what a date, an address, an entry of a list or a text by language is; knows nothing of cases.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final, TypeVar

from vocab import lists
from vocab.properties import is_http
from vocab.texts import NOTHING, Texts, is_language

_MAX_LANGUAGES: Final = 30
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\ufeff]")
_UNSAFE_IN_ADDRESS = re.compile(r"[\s<>\"\x00-\x1f]")
# Digits of other scripts are no date to a calendar, and none to who sorts by them.
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_PARTIAL = re.compile(r"\d{4}(-(0[1-9]|1[0-2]))?", re.ASCII)

_T = TypeVar("_T")


class Reader:
    """Reads one mapping field by field and remembers what is wrong with each; absent and empty are the same."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values
        self.problems: dict[str, str] = {}
        self.asked: set[str] = set()

    def refuse(self, key: str, sentence: str) -> None:
        """Remember a problem; the first of a field is kept."""
        self.problems.setdefault(key, sentence)

    def check_names(self, known: frozenset[str] | set[str]) -> None:
        """Refuse every name that is not known."""
        for key in self.values:
            if key not in known:
                self.refuse(str(key), "This is not a field of the public case.")

    def _get(self, key: str, required: bool = False) -> object:
        self.asked.add(key)
        value = self.values.get(key)
        if value is None or value == "" or value == [] or value == {}:
            if required:
                self.refuse(key, "This is needed.")
            return None
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Read a truth value."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(key, "Answer with yes or no.")
            return default
        return value

    def known(
        self, key: str, is_known: Callable[[object], bool], sentence: str, *, required: bool = True
    ) -> str:
        """Read a string that a check knows; empty when it is absent or refused."""
        value = self._get(key, required)
        if value is None:
            return ""
        if not is_known(value):
            self.refuse(key, sentence)
            return ""
        return str(value)

    def choice(self, key: str, allowed: Sequence[str], *, default: str = "", required: bool = False) -> str:
        """Read one of a few strings."""
        one_of = f"Choose one of: {', '.join(allowed)}."
        return self.known(key, lambda value: value in allowed, one_of, required=required) or default

    def listed(self, key: str, name: str) -> str:
        """Read the entry of a controlled list."""
        return self.known(key, lambda value: lists.has(name, value), "Choose an entry of the list.")

    def listed_or_none(self, key: str, name: str) -> str | None:
        """Read the entry of a controlled list, if there is one."""
        sentence = "Choose an entry of the list."
        return self.known(key, lambda value: lists.has(name, value), sentence, required=False) or None

    def language(self, key: str) -> str:
        """Read a language tag."""
        return self.known(key, is_language, "Give the language as a tag such as en, fr or uk.")

    def several(
        self, key: str, is_known: Callable[[object], bool], *, least: int = 0, most: int = 50
    ) -> tuple[str, ...]:
        """Read several strings that a check knows, each once, in order."""
        value = self._get(key, required=least > 0)
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)) or not all(is_known(item) for item in value):
            self.refuse(key, "Choose entries of the list.")
            return ()
        chosen = tuple(dict.fromkeys(value))
        if len(chosen) > most:
            self.refuse(key, f"Choose at most {most}.")
        return chosen

    def several_listed(self, key: str, name: str, *, least: int = 0, most: int = 50) -> tuple[str, ...]:
        """Read several entries of a controlled list."""
        return self.several(key, lambda value: lists.has(name, value), least=least, most=most)

    def text(self, key: str, *, most: int) -> str | None:
        """Read a line of words, if there is one."""
        value = self._get(key)
        return self._words(key, value, most=most, one_line=True) or None if value is not None else None

    def texts(
        self, key: str, *, most: int, least: int = 1, required: bool = False, one_line: bool = False
    ) -> Texts:
        """Read words by language."""
        value = self._get(key, required)
        if value is None:
            return NOTHING
        if not isinstance(value, Mapping) or len(value) > _MAX_LANGUAGES:
            self.refuse(key, "Give the text by language.")
            return NOTHING
        words: dict[str, str] = {}
        for language, written in value.items():
            if not is_language(language):
                self.refuse(key, "Give the language as a tag such as en, fr or uk.")
                continue
            said = self._words(key, written, most=most, one_line=one_line)
            if len(said) < least:
                self.refuse(key, f"Write at least {least} characters.")
            words[language] = said
        return Texts(words)

    def _words(self, key: str, value: object, *, most: int, one_line: bool) -> str:
        if not isinstance(value, str):
            self.refuse(key, "Write a text.")
            return ""
        said = value.replace("\r\n", "\n").replace("\r", "\n").strip()
        if _CONTROL.search(said) or (one_line and "\n" in said):
            self.refuse(key, "The text has characters that do not belong there.")
        if len(said) > most:
            self.refuse(key, f"Write at most {most} characters.")
        return said

    def day(self, key: str, *, required: bool) -> str:
        """Read a day, YYYY-MM-DD."""
        sentence = "Give a day as YYYY-MM-DD."
        return self.known(key, _is_day, sentence, required=required)

    def partial_date(self, key: str, *, required: bool = False) -> str | None:
        """Read a year or a month."""
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, str) or not _PARTIAL.fullmatch(value) or value < "1900":
            self.refuse(key, "Give a year or a month, as YYYY or YYYY-MM; a day is never published.")
            return None
        return value

    def address(self, key: str, *, required: bool = False) -> str | None:
        """Read a web address, if there is one."""
        sentence = "Give a full web address that begins with https:// or http://."
        return self.known(key, _is_address, sentence, required=required) or None

    def addresses(self, key: str, *, most: int) -> tuple[str, ...]:
        """Read several web addresses."""
        found = self.several(key, _is_address, most=most)
        if not found and key in self.problems:
            self.problems[key] = "Give full web addresses that begin with https:// or http://."
        return found

    def number(self, key: str, *, most: int) -> int:
        """Read a whole number from 1; 0 when it is absent or refused."""
        value = self._get(key, required=True)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            self.refuse(key, f"Give a whole number from 1 to {most}.")
            return 0
        return value

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        """Read a string of one exact form; empty when it is absent or refused."""
        is_one = lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None  # noqa: E731
        return self.known(key, is_one, "This does not have the form it needs.")

    def record(self, key: str, read: Callable[["Reader"], _T]) -> _T | None:
        """Read one entry by a function of its own, if there is one; names it does not ask for are refused."""
        value = self._get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.refuse(key, "Give one entry.")
            return None
        inner = Reader(value)
        found = read(inner)
        inner.check_names(inner.asked)
        for name, sentence in inner.problems.items():
            self.refuse(key, f"{name}: {sentence}")
        return found

    def records(self, key: str, read: Callable[["Reader"], _T], *, most: int = 100) -> tuple[_T, ...]:
        """Read a list of entries, each by a function of its own; names it does not ask for are refused."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) for item in value):
            self.refuse(key, "Give a list of entries.")
            return ()
        if len(value) > most:
            self.refuse(key, f"Give at most {most} entries.")
            return ()
        found = []
        for number, item in enumerate(value, start=1):
            inner = Reader(item)
            found.append(read(inner))
            inner.check_names(inner.asked)
            for name, sentence in inner.problems.items():
                self.refuse(key, f"Entry {number}, {name}: {sentence}")
        return tuple(found)


def _is_day(value: object) -> bool:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_address(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= 2048
        and not re.search(r"[\s<>\"\x00-\x1f]", value)
        and is_http(value)
    )
