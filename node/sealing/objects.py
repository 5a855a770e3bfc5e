"""Sealed objects: one signed document in one compartment of one case, each naming the one before it.

age keeps a text secret but says nothing of who wrote it, where it belongs or what came before. That stands in a header
inside the ciphertext, signed by the sender: a server that moves, repeats, drops or swaps objects is seen.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from node.sealing.envelope import Document, open_json, require_members, seal_json, text_of
from node.sealing.errors import (
    MalformedContent,
    NotForThisKey,
    OutOfOrder,
    SealingError,
    WrongPlace,
    WrongSignature,
)
from node.sealing.recipients import Identity, generate_identity, recipient_of
from node.sealing.signing import SigningKey, holds
from vocab.canonical import canonical

FIRST_EPOCH = 1
MEMBERS = ("header", "body", "signature")
HEADER_MEMBERS = (
    *("v", "type", "node", "case", "compartment", "epoch", "seq", "prev"),
    *("sender", "recipient", "day", "body_sha256"),
)


class Compartment(StrEnum):
    """The three parts of a case, each with a key of its own."""

    DIALOGUE = "dialogue"
    IDENTITY = "identity"
    INTERNAL = "internal"


class ObjectType(StrEnum):
    """What an object is."""

    SUBMISSION = "submission"
    MESSAGE = "message"
    CONSENT_REQUEST = "consent-request"
    IDENTITY = "identity"
    CHECK = "check"
    NOTE = "note"
    ASSESSMENT = "assessment"


TYPES = {
    Compartment.DIALOGUE: (ObjectType.SUBMISSION, ObjectType.MESSAGE, ObjectType.CONSENT_REQUEST),
    Compartment.IDENTITY: (ObjectType.IDENTITY,),
    Compartment.INTERNAL: (ObjectType.CHECK, ObjectType.NOTE, ObjectType.ASSESSMENT),
}


@dataclass(frozen=True)
class Place:
    """Where an object belongs. `case` is the id of the alert, or of the case for internal records."""

    node: str
    case: str
    compartment: Compartment


@dataclass(frozen=True)
class Next:
    """Where the next object of a compartment goes; `prev` is the hash of the sealed bytes before it."""

    seq: int = 1
    prev: str | None = None


FIRST = Next()


@dataclass(frozen=True)
class CompartmentKey:
    """One of a compartment's key pairs: the first, or one of a later epoch, made after somebody left."""

    identity: Identity
    recipient: str
    epoch: int = FIRST_EPOCH


@dataclass(frozen=True)
class OpenedObject:
    """An object whose signature, place and body were checked.

    sha256  of its sealed bytes.
    """

    type: ObjectType
    seq: int
    prev: str | None
    sender: str
    day: date
    body: Document
    sha256: str


@dataclass(frozen=True)
class Link:
    """One object of a compartment as read: opened, or why it is not."""

    seq: int
    outcome: OpenedObject | SealingError


def generate_compartment() -> CompartmentKey:
    """Return a fresh key pair."""
    return compartment_key(generate_identity())


def compartment_key(identity: Identity, epoch: int = FIRST_EPOCH) -> CompartmentKey:
    """Return the key pair of an identity."""
    return CompartmentKey(identity, recipient_of(identity), epoch)


def compose(
    kind: ObjectType,
    body: Mapping[str, object],
    *,
    place: Place,
    recipient: str,
    at: Next,
    day: date,
    by: SigningKey,
    epoch: int = FIRST_EPOCH,
) -> bytes:
    """Return a sealed object. Raises InvalidRecipient; WrongPlace for a type its compartment does not hold."""
    if kind not in TYPES[place.compartment]:
        raise WrongPlace(f"no {kind} belongs into {place.compartment}")
    header: Document = {
        "v": 1,
        "type": str(kind),
        "node": place.node,
        "case": place.case,
        "compartment": str(place.compartment),
        "epoch": epoch,
        "seq": at.seq,
        "prev": at.prev,
        "sender": by.id,
        "recipient": hashlib.sha256(recipient.encode("ascii")).hexdigest(),
        "day": day.isoformat(),
        "body_sha256": hashlib.sha256(canonical(dict(body))).hexdigest(),
    }
    return seal_json({"header": header, "body": dict(body), "signature": by.sign(header)}, recipient)


def open_object(sealed: bytes, key: CompartmentKey, place: Place) -> OpenedObject:
    """Open one object and check its signature, its place and its body.

    Whether the sender may speak is the caller's to judge. Raises MalformedContent, WrongPlace, WrongSignature, and what
    `age.open_sealed` raises.
    """
    document = open_json(sealed, key.identity)
    require_members(document, MEMBERS)
    header, body = document["header"], document["body"]
    if not isinstance(header, dict) or not isinstance(body, dict):
        raise MalformedContent("header and body are objects")
    opened = _read(header, body, hashlib.sha256(sealed).hexdigest())
    expected = {
        "node": place.node,
        "case": place.case,
        "compartment": str(place.compartment),
        "epoch": key.epoch,
        "recipient": hashlib.sha256(key.recipient.encode("ascii")).hexdigest(),
    }
    if (
        any(header[name] != value for name, value in expected.items())
        or opened.type not in TYPES[place.compartment]
    ):
        raise WrongPlace("made for another place")
    if not holds(header, document["signature"], opened.sender):
        raise WrongSignature("the header's signature does not hold")
    if header["body_sha256"] != hashlib.sha256(canonical(body)).hexdigest():
        raise WrongSignature("the body is not the one that was signed")
    return opened


def open_chain(
    objects: Iterable[tuple[int, bytes]], keys: CompartmentKey | Sequence[CompartmentKey], place: Place
) -> tuple[tuple[Link, ...], Next]:
    """Open a compartment's objects, given as (seq, sealed), following `seq` and `prev`.

    What does not hold is named, never left out. After the first object under a later key nothing is taken under an earlier
    one: whoever left may still hold that. Returns the links, and where the next object goes.
    """
    links: list[Link] = []
    at, epoch = FIRST, FIRST_EPOCH
    newest_first = [keys] if isinstance(keys, CompartmentKey) else sorted(keys, key=lambda one: -one.epoch)
    for seq, sealed in sorted(objects):
        expected, at = at, Next(seq + 1, hashlib.sha256(sealed).hexdigest())
        outcome: OpenedObject | SealingError
        try:
            outcome, used = _open_with_any(sealed, newest_first, place)
            if used < epoch:
                raise WrongPlace("sealed to a key that was replaced")
            epoch = used
            if (seq, outcome.seq, outcome.prev) != (expected.seq, seq, expected.prev):
                outcome = OutOfOrder(f"object {seq} does not follow the one before it")
        except SealingError as error:
            outcome = error
        links.append(Link(seq, outcome))
    return tuple(links), at


def _open_with_any(sealed: bytes, keys: Sequence[CompartmentKey], place: Place) -> tuple[OpenedObject, int]:
    """Try each key; a file does not say for which of them it is. Returns the object and its key's epoch."""
    for key in keys:
        try:
            return open_object(sealed, key, place), key.epoch
        except NotForThisKey:
            continue
    raise NotForThisKey("sealed to none of these keys")


def read_opened(sealed: bytes, identity: str) -> Document:
    """Open anything this module or `wraps` seals, with no more than its identity: for a reader without the node.

    Returns the document, with `verified` saying whether its signature holds for the signer it names.
    Raises what `envelope.open_json` raises.
    """
    document = open_json(sealed, identity)
    if (
        set(document) == set(MEMBERS)
        and isinstance(document["header"], dict)
        and isinstance(document["body"], dict)
    ):
        header = document["header"]
        is_body = header.get("body_sha256") == hashlib.sha256(canonical(document["body"])).hexdigest()
        return document | {
            "verified": is_body and holds(header, document["signature"], str(header.get("sender")))
        }
    rest = {name: value for name, value in document.items() if name != "signature"}
    return document | {"verified": holds(rest, document.get("signature"), str(document.get("granted_by")))}


def _read(header: Document, body: Document, sha256: str) -> OpenedObject:
    require_members(header, HEADER_MEMBERS)
    seq, prev = header["seq"], header["prev"]
    if header["v"] != 1 or type(seq) is not int or seq < 1 or not (prev is None or isinstance(prev, str)):
        raise MalformedContent("version, seq or prev")
    day = text_of(header, "day")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
        raise MalformedContent("the day")
    try:
        return OpenedObject(
            type=ObjectType(text_of(header, "type")),
            seq=seq,
            prev=prev,
            sender=text_of(header, "sender"),
            day=date.fromisoformat(day),
            body=body,
            sha256=sha256,
        )
    except ValueError as error:
        raise MalformedContent("type or day") from error
