"""The questions a source is asked, in steps: a document that an organisation may change, known by its hash.

Which answers exist at all, what kind of value each is and who may see it stays with the case form (`vocab/form.py`); here
stand words, order, options, conditions, and what has to be answered. Two forms come along in `data/source-forms.json`.
A question whose key begins with `own_` is the organisation's own.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from vocab import lists
from vocab.canonical import canonical
from vocab.dataset import load
from vocab.errors import InvalidForm, VocabError
from vocab.form import Field, form
from vocab.texts import NOTHING, Texts

FILE: Final = "source-forms.json"
LANGUAGES: Final = ("en", "fr", "es")
OWN: Final = "own_"
OWN_TYPES: Final = ("string", "text", "choice", "multi", "boolean", "integer", "partial-date")
WITH_OPTIONS: Final = frozenset({"choice", "multi"})
PRIVATE_PERSON: Final = "private-person"
MAX_STEPS: Final = 20
MAX_QUESTIONS: Final = 80
MAX_OPTIONS: Final = 60
MAX_WORDS: Final = 600

_STAFF: Final = "node"
# Not a source's to say, or asked for by nothing in a page.
_NEVER_ASKED: Final = frozenset({"public_attachments", "sender_pgp_key", "title"})


class Purpose(StrEnum):
    """What a form is for."""

    ALERT = "alert"
    URGENT = "urgent"


REQUIRED: Final[Mapping[Purpose, frozenset[str]]] = {
    # Without these nobody can begin to check.
    Purpose.ALERT: frozenset({"kind", "summary", "state"}),
    Purpose.URGENT: frozenset({"summary", "urgency"}),
}
KEPT: Final[Mapping[Purpose, frozenset[str]]] = {
    # Without the others nothing may be published, or proven: they may stay open, and they have to be asked.
    Purpose.ALERT: REQUIRED[Purpose.ALERT]
    | {"risk_of_reprisal", "consent_persons", "consent_publish", "attachments"},
    Purpose.URGENT: REQUIRED[Purpose.URGENT]
    | {"risk_of_reprisal", "risk_notes", "consent_publish", "attachments"},
}


class Why(StrEnum):
    """Why a form cannot be used as it stands."""

    SHAPE = "shape"
    NO_LABEL = "no-label"
    TOO_LONG = "too-long"
    UNKNOWN = "unknown"
    TWICE = "twice"
    MISSING = "missing"
    MUST_BE_REQUIRED = "must-be-required"
    MUST_BE_ASKED = "must-be-asked"
    NO_OPTIONS = "no-options"
    BAD_OPTION = "bad-option"
    BAD_CONDITION = "bad-condition"
    TOO_MANY = "too-many"
    EMPTY_STEP = "empty-step"


@dataclass(frozen=True, slots=True)
class Option:
    """One value to choose, in the organisation's words."""

    value: str
    label: Texts
    more: Texts = NOTHING


@dataclass(frozen=True, slots=True)
class Condition:
    """The answer to an earlier question on which this one depends."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One question. No options means every value of its list."""

    key: str
    type: str
    label: Texts
    hint: Texts
    required: bool
    options: tuple[Option, ...]
    show_if: Condition | None

    @property
    def vocabulary(self) -> str | None:
        """The controlled list its values come from."""
        return None if self.key.startswith(OWN) else form().field(self.key).vocabulary


@dataclass(frozen=True, slots=True)
class Step:
    """One page of the form on a phone, one part of it on a desk."""

    id: str
    title: Texts
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class SourceForm:
    """A whole form. `sha256` is of its canonical bytes, and stands in every alert that was written with it.

    notice  what the organisation says before the form is begun: when an urgent alert is read, for instance.
    """

    purpose: Purpose
    notice: Texts
    steps: tuple[Step, ...]
    body: bytes

    @classmethod
    def parse(cls, document: object) -> "SourceForm":
        """Read a form, or say what is wrong with each of its parts. Raises InvalidForm."""
        return _Reader().read(document)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def questions(self) -> tuple[Question, ...]:
        return tuple(question for step in self.steps for question in step.questions)

    def question(self, key: str) -> Question:
        """Return a question. Raises KeyError."""
        for question in self.questions:
            if question.key == key:
                return question
        raise KeyError(key)


@cache
def bundled(purpose: Purpose) -> SourceForm:
    """Return the form that comes along, where an organisation has published none of its own."""
    return SourceForm.parse(load(FILE)[purpose])


@cache
def askable() -> Mapping[str, Field]:
    """Key → field of the case form, for each that a source may be asked."""
    return {
        field.key: field
        for field in form().fields
        if field.section != _STAFF and field.key not in _NEVER_ASKED
    }


@cache
def values_of(key: str) -> tuple[str, ...]:
    """Return the values a known question may have; empty where they are not a list."""
    field = askable()[key]
    if field.type not in WITH_OPTIONS:
        return ()
    listed = tuple(item.id for item in lists.items(field.vocabulary)) if field.vocabulary else ()
    written = () if any("." in value for value in field.choices) else field.choices
    return (*listed, *written, *((PRIVATE_PERSON,) if key == "sender_org_type" else ()))


class _Reader:
    """Reads a document from strangers' hands and gathers everything that is wrong with it."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}
        self._asked: dict[str, Question] = {}

    def read(self, document: object) -> SourceForm:
        whole = self._object(document, "", {"v", "purpose", "notice", "steps"})
        purpose = whole.get("purpose")
        if whole.get("v") != 1 or purpose not in tuple(Purpose):
            raise InvalidForm({"": Why.SHAPE})
        steps = tuple(self._steps(whole.get("steps")))
        notice = self._texts(whole.get("notice", {}), "notice", needed=False)
        wanted = Purpose(str(purpose))
        self._check_kept(wanted)
        if self._problems:
            raise InvalidForm(self._problems)
        try:
            body = canonical(document)
        except VocabError:
            raise InvalidForm({"": Why.SHAPE}) from None
        return SourceForm(wanted, notice, steps, body)

    def _check_kept(self, purpose: Purpose) -> None:
        for key in KEPT[purpose]:
            asked = self._asked.get(key)
            if asked is None:
                self._problems.setdefault(key, Why.MISSING)
            elif asked.show_if is not None:
                self._problems.setdefault(key, Why.MUST_BE_ASKED)
            elif key in REQUIRED[purpose] and not asked.required:
                self._problems.setdefault(key, Why.MUST_BE_REQUIRED)

    def _steps(self, given: object) -> Iterator[Step]:
        if not isinstance(given, list) or not given:
            raise InvalidForm({"": Why.SHAPE})
        ids: set[str] = set()
        if len(given) > MAX_STEPS:
            raise InvalidForm({"": Why.TOO_MANY})
        for index, one in enumerate(given):
            place = f"step:{index}"
            step = self._object(one, place, {"id", "title", "questions"})
            name = step.get("id")
            if not _is_name(name) or name == "look" or name in ids:
                self._problems.setdefault(place, Why.SHAPE)
            ids.add(str(name))
            questions = step.get("questions")
            if not isinstance(questions, list):
                raise InvalidForm({place: Why.SHAPE})
            if not questions:
                self._problems.setdefault(place, Why.EMPTY_STEP)
            title = self._texts(step.get("title"), place, needed=True)
            yield Step(str(name), title, tuple(self._question(question, place) for question in questions))

    def _question(self, given: object, place: str) -> Question:
        question = self._object(
            given, place, {"key", "type", "label", "hint", "required", "options", "show_if"}
        )
        key = question.get("key")
        if not isinstance(key, str) or not _is_name(key):
            raise InvalidForm({place: Why.SHAPE})
        is_own = key.startswith(OWN)
        kind = question.get("type") if is_own else askable()[key].type if key in askable() else None
        if (
            not isinstance(kind, str)
            or (is_own and kind not in OWN_TYPES)
            or (not is_own and "type" in question)
        ):
            self._problems.setdefault(key, Why.UNKNOWN)
            kind = "string"
        if key in self._asked:
            self._problems.setdefault(key, Why.TWICE)
        if len(self._asked) >= MAX_QUESTIONS:
            raise InvalidForm({"": Why.TOO_MANY})
        required = question.get("required", False)
        if not isinstance(required, bool) or (required and kind == "file-list"):
            self._problems.setdefault(key, Why.SHAPE)
        read = Question(
            key,
            kind,
            self._texts(question.get("label"), key, needed=True),
            self._texts(question.get("hint", {}), key, needed=False),
            required is True,
            tuple(self._options(question.get("options"), key, kind)),
            self._condition(question.get("show_if"), key),
        )
        self._asked[key] = read
        return read

    def _options(self, given: object, key: str, kind: str) -> Iterator[Option]:
        is_own = key.startswith(OWN)
        if given is None:
            if is_own and kind in WITH_OPTIONS:
                self._problems.setdefault(key, Why.NO_OPTIONS)
            return
        if not isinstance(given, list) or not given or kind not in WITH_OPTIONS:
            self._problems.setdefault(key, Why.NO_OPTIONS)
            return
        if len(given) > MAX_OPTIONS:
            self._problems.setdefault(key, Why.TOO_MANY)
            return
        known = () if is_own or key not in askable() else values_of(key)
        seen: set[str] = set()
        for one in given:
            option = self._object(one, key, {"value", "label", "more"})
            value = option.get("value")
            if (
                not isinstance(value, str)
                or value in seen
                or (not _is_name(value) if is_own else value not in known)
            ):
                self._problems.setdefault(key, Why.BAD_OPTION)
            seen.add(str(value))
            label = self._texts(option.get("label"), key, needed=True)
            yield Option(str(value), label, self._texts(option.get("more", {}), key, needed=False))

    def _condition(self, given: object, key: str) -> Condition | None:
        if given is None:
            return None
        condition = self._object(given, key, {"key", "values"})
        on, values = condition.get("key"), condition.get("values")
        # Only a question that was asked before: a reader goes from top to bottom, and no circle can close.
        asked = self._asked.get(on) if isinstance(on, str) else None
        if asked is None or not isinstance(values, list) or not values or not _may_be(asked, values):
            self._problems.setdefault(key, Why.BAD_CONDITION)
            return None
        return Condition(asked.key, tuple(map(str, values)))

    def _texts(self, given: object, place: str, *, needed: bool) -> Texts:
        if not isinstance(given, dict) or not all(
            language in LANGUAGES and isinstance(words, str) for language, words in given.items()
        ):
            self._problems.setdefault(place, Why.NO_LABEL if given is None and needed else Why.SHAPE)
            return NOTHING
        if any(len(words) > MAX_WORDS for words in given.values()):
            self._problems.setdefault(place, Why.TOO_LONG)
        said = Texts({language: words for language, words in given.items() if words.strip()})
        if needed and not said:
            self._problems.setdefault(place, Why.NO_LABEL)
        return said

    def _object(self, given: object, place: str, members: set[str]) -> Mapping[str, object]:
        if not isinstance(given, dict) or not given.keys() <= members:
            raise InvalidForm({place: Why.SHAPE})
        return given


def _may_be(question: Question, values: Sequence[object]) -> bool:
    if question.type == "boolean":
        return all(value in ("true", "false") for value in values)
    if question.type not in WITH_OPTIONS:
        return False
    offered = tuple(option.value for option in question.options) or values_of(question.key)
    return all(value in offered for value in values)


def _is_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= 60
        and value.isascii()
        and value == value.lower()
        and value.replace("_", "").replace("-", "").isalnum()
    )
