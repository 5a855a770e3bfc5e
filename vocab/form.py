"""The form of a case: which fields there are, who may see each, and what a value may be.

Read from `data/case-form.json`. `public` and `derived` fields may be published, the latter only in a coarser form;
`node` fields stay with the staff; `sealed` fields are encrypted before they leave the source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from vocab.dataset import load, sha256, texts
from vocab.texts import Texts

FILE: Final = "case-form.json"

Visibility = Literal["public", "derived", "node", "sealed"]


@dataclass(frozen=True, slots=True)
class Field:
    """One question.

    type        string, text, boolean, integer, choice, multi, state, language, date, partial-date, datetime, url-list,
                file-list, user-list, list.
    required    always, never, or on a condition: `one-of:sender`, `if:kind=violation`.
    vocabulary  the controlled list its values come from.
    choices     the values themselves, for short lists that are not controlled ones.
    show_if     field → values with which this one is asked at all.
    """

    key: str
    section: str
    names: Texts
    type: str
    required: bool | str
    visibility: Visibility
    vocabulary: str | None
    validation: Mapping[str, object]
    help: str | None
    publish_as: str | None
    show_if: Mapping[str, tuple[object, ...]]

    def label(self, language: str) -> str:
        """Return the question, in English where we have no other."""
        return self.names.best(language)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a short list written into the form itself."""
        written = self.validation.get("in")
        return tuple(str(value) for value in written) if isinstance(written, list) else ()

    @property
    def may_be_published(self) -> bool:
        """Whether it belongs to the public case at all."""
        return self.visibility in ("public", "derived")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the form."""

    id: str
    names: Texts

    def label(self, language: str) -> str:
        """Return the heading."""
        return self.names.best(language)


@dataclass(frozen=True, slots=True)
class Form:
    """The whole form; `sha256` of its file says which form a source filled in."""

    sha256: str
    sections: tuple[Section, ...]
    fields: tuple[Field, ...]

    def field(self, key: str) -> Field:
        """Return a question. Raises KeyError."""
        for item in self.fields:
            if item.key == key:
                return item
        raise KeyError(key)

    def of(self, section: str) -> tuple[Field, ...]:
        """Return the questions of a part, in order."""
        return tuple(item for item in self.fields if item.section == section)


@cache
def form() -> Form:
    """Return the form."""
    data = load(FILE)
    return Form(
        sha256=sha256(FILE),
        sections=tuple(Section(item["id"], texts(item["label"])) for item in data["sections"]),
        fields=tuple(
            Field(
                key=item["key"],
                section=item["section"],
                names=texts(item["label"]),
                type=item["type"],
                required=item["required"],
                visibility=item["visibility"],
                vocabulary=item.get("vocabulary"),
                validation=MappingProxyType(item.get("validation", {})),
                help=item.get("help"),
                publish_as=item.get("publish_as"),
                show_if=MappingProxyType(
                    {key: tuple(values) for key, values in item.get("show_if", {}).items()}
                ),
            )
            for item in data["fields"]
        ),
    )


def __getattr__(name: str) -> Form:
    # `form.FORM` reads like a constant, but the file is opened at its first use and not at import.
    if name == "FORM":
        return form()
    raise AttributeError(name)
