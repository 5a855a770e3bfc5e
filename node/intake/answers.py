"""Answers to the case form as a client without our page hands them in: known questions, values of the right kind, the rest refused.

What a source says about itself goes into the identity compartment, which fewer people open. The form is vocab's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from node.errors import Invalid
from vocab import states
from vocab.form import form
from vocab.sourceform import OWN, Question, SourceForm, values_of

ABOUT_THE_SENDER = "sender"
STAFF_ONLY = "node"
# Asked in another way, or not a source's to say.
NOT_ANSWERS = frozenset({"attachments", "public_attachments", "sender_pgp_key", "title"})
# These two are told to everybody who works on the alert; they name nobody.
NOT_SEALED_APART = frozenset({"sender_language", "credit_choice"})
NEEDED = ("kind", "summary", "state")
MAX_TEXT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answers:
    """What is sealed for everybody who reads alerts, and what is sealed apart."""

    answers: Mapping[str, object]
    identity: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one answer may be: its type, and the values to choose from where there is a list of them."""

    type: str
    choices: tuple[str, ...]


def read_answers(given: Mapping[str, object], source: SourceForm | None = None) -> Answers:
    """Judge answers and put them apart. Raises Invalid, whose `problems` name each field.

    source  the form they answer; every question of the case form that a source may answer, where none is given.
    """
    known = _whole_form() if source is None else {one.key: _asked(one) for one in source.questions}
    needed = NEEDED if source is None else tuple(one.key for one in source.questions if one.required)
    problems = {key: "This is not a question of the form." for key in given if key not in known}
    problems |= {key: "This needs an answer." for key in needed if not given.get(key)}
    problems |= {
        key: why
        for key, value in given.items()
        if key in known and key not in problems
        for why in _problems(known[key], value)
    }
    if sum(len(str(value).encode()) for value in given.values()) > MAX_TEXT_BYTES:
        problems["summary"] = "This is too long. Please shorten it, or send the rest as a file."
    if problems:
        raise Invalid(
            f"answers that cannot be: {', '.join(sorted(problems))}", problems=dict(sorted(problems.items()))
        )
    apart = {key for key in given if _is_apart(key)}
    return Answers(
        {key: value for key, value in given.items() if key not in apart},
        {key: value for key, value in given.items() if key in apart},
    )


def _whole_form() -> dict[str, _Asked]:
    return {
        field.key: _Asked(field.type, values_of(field.key))
        for field in form().fields
        if field.section != STAFF_ONLY and field.key not in NOT_ANSWERS
    }


def _asked(question: Question) -> _Asked:
    offered = tuple(option.value for option in question.options)
    return _Asked(question.type, offered or (() if question.key.startswith(OWN) else values_of(question.key)))


def _is_apart(key: str) -> bool:
    if key.startswith(OWN) or key in NOT_SEALED_APART:
        return False
    return form().field(key).section == ABOUT_THE_SENDER


def _problems(asked: _Asked, value: object) -> Iterator[str]:
    match asked.type:
        case "boolean":
            is_right = isinstance(value, bool)
        case "integer":
            is_right = isinstance(value, int) and not isinstance(value, bool)
        case "multi" | "url-list":
            is_right = isinstance(value, list) and all(isinstance(one, str) for one in value)
        case _:
            is_right = isinstance(value, str)
    if not is_right:
        yield f"This must be a {asked.type}."
    elif asked.type == "state" and value not in {state.code for state in states.states()}:
        yield "Choose one of the member States of the Council of Europe, by its two letters."
    elif asked.type == "choice" and value not in asked.choices:
        yield f"Choose one of: {', '.join(asked.choices)}."
