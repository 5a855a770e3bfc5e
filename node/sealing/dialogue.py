"""The dialogue of an alert as it reads once opened: the submission first, then messages of the source and of the desk.

The desk may also ask whether exactly one public text may be published; the whole text is in the question.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from node.sealing.attachments import Attachment, read_attachment
from node.sealing.envelope import Document, require_members, text_of
from node.sealing.errors import MalformedContent, SealingError, WrongSignature
from node.sealing.objects import CompartmentKey, Next, ObjectType, OpenedObject, Place, open_chain
from vocab.canonical import canonical


@dataclass(frozen=True)
class Submission:
    """What the source answered, and to which form (the hash of its file)."""

    form: str
    language: str
    answers: Document
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True)
class Message:
    """A text, either way, and the files that came with it."""

    text: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class ConsentRequest:
    """One public text the desk asks about; `sha256` is of its canonical spelling, which an answer names."""

    fields: Document
    sha256: str


@dataclass(frozen=True)
class Entry:
    """One object of a dialogue that holds."""

    seq: int
    author: Literal["source", "desk"]
    sender: str
    day: date
    content: Submission | Message | ConsentRequest


@dataclass(frozen=True)
class RefusedEntry:
    """One object of a dialogue that does not hold: shown as such, never hidden."""

    seq: int
    reason: SealingError


@dataclass(frozen=True)
class Voices:
    """Whose signatures a dialogue may carry: the source's key id, and those of the desk."""

    source: str
    desk: Collection[str]


def read_dialogue(
    objects: Iterable[tuple[int, bytes]],
    keys: CompartmentKey | Sequence[CompartmentKey],
    place: Place,
    voices: Voices,
) -> tuple[tuple[Entry | RefusedEntry, ...], Next]:
    """Return the entries of a dialogue, given as (seq, sealed), and where the next one goes."""
    links, at = open_chain(objects, keys, place)
    entries: list[Entry | RefusedEntry] = []
    for link in links:
        try:
            if isinstance(link.outcome, SealingError):
                raise link.outcome
            entries.append(_entry(link.outcome, voices))
        except SealingError as error:
            entries.append(RefusedEntry(link.seq, error))
    return tuple(entries), at


def _entry(opened: OpenedObject, voices: Voices) -> Entry:
    author: Literal["source", "desk"]
    if opened.sender == voices.source:
        author = "source"
    elif opened.sender in voices.desk:
        author = "desk"
    else:
        raise WrongSignature("signed by a stranger")
    content: Submission | Message | ConsentRequest
    if opened.type is ObjectType.MESSAGE:
        content = Message(text_of(opened.body, "text"), _attachments(opened.body.get("attachments", [])))
    elif opened.type is ObjectType.CONSENT_REQUEST:
        if author != "desk":
            raise WrongSignature("a question that is not the desk's")
        content = _request(opened.body)
    # Only the source submits, and only once: a second submission would replace what the first one said.
    elif author == "source" and opened.seq == 1:
        content = _submission(opened.body)
    else:
        raise WrongSignature("a submission that is not the source's first word")
    return Entry(opened.seq, author, opened.sender, opened.day, content)


def _submission(body: Document) -> Submission:
    require_members(body, ("form", "language", "answers", "attachments"))
    answers = body["answers"]
    if not isinstance(answers, dict):
        raise MalformedContent("answers")
    return Submission(
        text_of(body, "form"),
        text_of(body, "language"),
        answers,
        _attachments(body["attachments"]),
    )


def _attachments(given: object) -> tuple[Attachment, ...]:
    if not isinstance(given, list):
        raise MalformedContent("attachments")
    return tuple(read_attachment(one) for one in given)


def _request(body: Document) -> ConsentRequest:
    require_members(body, ("fields",))
    fields = body["fields"]
    if not isinstance(fields, dict):
        raise MalformedContent("the fields of a text")
    return ConsentRequest(fields, hashlib.sha256(canonical(fields)).hexdigest())
