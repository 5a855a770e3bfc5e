"""A public text with nothing left out, in names and words: for a source who is asked about it and runs no scripts.

With scripts `desk-preview.ts` draws the same text as a page. Here it is a list, and a field that nobody thought of is in it too.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vocab.charter import REVISED
from vocab.form import Field, form
from web.locale import translations
from web.pages.wording import Spoken, label, language_name, right, right_title, say_day, state_name

FIRST = ("content_warning", "title", "summary", "content")
PARTIAL_DAY = re.compile(r"\d{4}(-\d{2}){0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """One field of the text; in several languages where it is written in several."""

    label: str
    said: Sequence[Spoken]


def lines_of(fields: Mapping[str, object], language: str) -> list[Line]:
    """Every field that is not empty, named in the reader's language: what is read first, then as the form has it, then the rest."""
    order = [*FIRST, *(field.key for field in form().fields)]
    keys = sorted(fields, key=lambda key: (order.index(key) if key in order else len(order), key))
    speaker = _Speaker(language, str(fields.get("language", "")), str(fields.get("charter") or REVISED))
    return [
        Line(speaker.name(key), tuple(speaker.say(key, fields[key])))
        for key in keys
        if not _is_empty(fields[key])
    ]


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Says values in one language. `original` is the text's own; `charter` the one whose rights it names."""

    language: str
    original: str
    charter: str

    def name(self, key: str) -> str:
        _ = translations(self.language).gettext
        named = {
            "content": _("Account"),
            "content_warning": _("Content warning"),
            "standard": _("How sure"),
            "licence": _("Licence"),
            "charter": _("Charter of"),
            "fictional": _("Fictional"),
            "image": _("Picture"),
        }
        field = _field(key)
        return named.get(key) or (field.label(self.language) if field else key)

    def say(self, key: str, value: object) -> Iterator[Spoken]:
        match value:
            case Mapping() if key == "image":
                # What it shows, in words; the rest are numbers.
                yield from self.say("alt", value.get("alt") or {})
                yield Spoken(
                    f"{value.get('width')} × {value.get('height')}, {value.get('sha256')}", self.language
                )
            case Mapping() if key in _ENTRIES:
                for name, part in value.items():
                    if not _is_empty(part):
                        yield from self.say(_ENTRIES[key].get(name, name), part)
            case Mapping():
                # The original first, as everywhere.
                for code in sorted(value, key=lambda code: code != self.original):
                    yield Spoken(str(value[code]), str(code))
            case list() | tuple():
                for one in value:
                    yield from self.say(key, one)
            case _:
                yield Spoken(self._word(key, value), self.language)

    def _word(self, key: str, value: object) -> str:
        _ = translations(self.language).gettext
        if isinstance(value, bool):
            return _("Yes") if value else _("No")
        if not isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        field = _field(key)
        vocabulary = _LISTS.get(key) or (field.vocabulary if field else None)
        if vocabulary:
            return label(value, vocabulary, self.language)
        if key == "provisions":
            return f"{right(value, self.charter)} · {right_title(value, self.charter, self.language)}"
        if key in {"state", "other_states"}:
            return state_name(value, self.language)
        if key == "language":
            return language_name(value, self.language)
        return self._day(value) if PARTIAL_DAY.fullmatch(value) else value

    def _day(self, value: str) -> str:
        try:
            return say_day(value, self.language)
        except ValueError:  # a thirteenth month: shown as it stands
            return value


# Fields made of entries: how the members that are not texts or days are called in the lists.
_ENTRIES: Mapping[str, Mapping[str, str]] = {
    "authority_replies": {"type": "reply_type"},
    "follow_ups": {"action": "requested_actions"},
    "related": {},
    "corrections": {},
}
_LISTS: Mapping[str, str] = {"reply_type": "authority_reply_types", "standard": "standards_of_proof"}


def _field(key: str) -> Field | None:
    return next((field for field in form().fields if field.key == key), None)


def _is_empty(value: object) -> bool:
    return value is None or value == "" or value == [] or value == {}
