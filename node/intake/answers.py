"""Answers to the case form as a client without our page hands them in: known questions, values of the right kind, the rest refused.

What a source says about itself goes into the identity compartment, which fewer people open. The form is vocab's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from node.errors import Invalid
from vocab import lists, states
from vocab.form import Field, form

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


def questions() -> dict[str, Field]:
    """Key → question, for each that a source may answer."""
    return {
        field.key: field
        for field in form().fields
        if field.section != STAFF_ONLY and field.key not in NOT_ANSWERS
    }


def read_answers(given: Mapping[str, object]) -> Answers:
    """Judge answers and put them apart. Raises Invalid, whose `problems` name each field."""
    known = questions()
    problems = {key: "This is not a question of the form." for key in given if key not in known}
    problems |= {key: "This needs an answer." for key in NEEDED if not given.get(key)}
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
    apart = {key for key in given if known[key].section == ABOUT_THE_SENDER and key not in NOT_SEALED_APART}
    return Answers(
        {key: value for key, value in given.items() if key not in apart},
        {key: value for key, value in given.items() if key in apart},
    )


def _problems(field: Field, value: object) -> Iterator[str]:
    match field.type:
        case "boolean":
            is_right = isinstance(value, bool)
        case "integer":
            is_right = isinstance(value, int) and not isinstance(value, bool)
        case "multi" | "url-list":
            is_right = isinstance(value, list) and all(isinstance(one, str) for one in value)
        case _:
            is_right = isinstance(value, str)
    if not is_right:
        yield f"This must be a {field.type}."
    elif field.type == "state" and value not in {state.code for state in states.states()}:
        yield "Choose one of the member States of the Council of Europe, by its two letters."
    elif field.type == "choice" and isinstance(value, str) and value not in _choices(field):
        yield f"Choose one of: {', '.join(_choices(field))}."


def _choices(field: Field) -> tuple[str, ...]:
    if field.choices:
        return field.choices
    listed = tuple(item.id for item in lists.items(field.vocabulary)) if field.vocabulary else ()
    return (*listed, "private-person") if field.key == "sender_org_type" else listed
