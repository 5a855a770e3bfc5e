"""A case's internal records: checks, notes and assessments, sealed among the staff who work on the case."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from node.sealing.envelope import Document, from_base64, to_base64
from node.sealing.errors import MalformedContent, NotForThisKey, SealingError, WrongPlace, WrongSignature
from node.sealing.objects import (
    FIRST_EPOCH,
    Compartment,
    CompartmentKey,
    Link,
    Next,
    ObjectType,
    OpenedObject,
    Place,
    compose,
    generate_compartment,
    open_chain,
)
from node.sealing.signing import SigningKey
from node.sealing.vault import HandlerKeys
from node.sealing.wraps import compose_wrap, open_wrap


@dataclass(frozen=True)
class OpenedCase:
    """A case's records, opened; `at` is where the next one goes."""

    id: str
    node: str
    links: tuple[Link, ...]
    internal: CompartmentKey
    at: Next


def begin_case(keys: HandlerKeys, holders: Mapping[str, str], *, node: str) -> Document:
    """Return the JSON that opens a case: a fresh internal key, wrapped for each holder (staff id → recipient)."""
    place = Place(node, secrets.token_hex(16), Compartment.INTERNAL)
    key = generate_compartment()
    wraps = [
        {"holder": holder, "sealed": to_base64(compose_wrap(key, recipient, place=place, by=keys.signing))}
        for holder, recipient in holders.items()
    ]
    return {"id": place.case, "internal": key.recipient, "wraps": wraps}


def open_case(
    record: Mapping[str, object], keys: HandlerKeys, *, node: str, staff: Collection[str]
) -> OpenedCase:
    """Open the records of a case.

    record  the JSON of GET /api/v1/desk/cases/{id}.
    staff   key ids whose records and grants are believed.
    """
    identifier, internal, wraps, records = (
        record.get(name) for name in ("id", "internal", "wraps", "records")
    )
    if not isinstance(identifier, str) or not isinstance(internal, str):
        raise MalformedContent("id or internal is missing")
    if not isinstance(wraps, list) or not wraps:
        raise NotForThisKey("no wrap for this person")
    place = Place(node, identifier, Compartment.INTERNAL)
    opened = [
        open_wrap(
            from_base64(one["sealed"]),
            keys.identity,
            place=place,
            may_grant=staff,
            recipient=internal if one.get("epoch", FIRST_EPOCH) == FIRST_EPOCH else None,
            epoch=one.get("epoch", FIRST_EPOCH),
        ).key
        for one in wraps
    ]
    held = sorted(opened, key=lambda one: one.epoch)
    listed = records if isinstance(records, list) else []
    types = {one["seq"]: one["type"] for one in listed}
    links, at = open_chain(((one["seq"], from_base64(one["sealed"])) for one in listed), held, place)
    return OpenedCase(
        identifier, node, tuple(_judged(link, types[link.seq], staff) for link in links), held[-1], at
    )


def compose_record(
    opened: OpenedCase, kind: ObjectType, body: Mapping[str, object], *, by: SigningKey, day: date
) -> Document:
    """Return the JSON that adds a check, a note or an assessment. Raises WrongPlace for any other type."""
    place = Place(opened.node, opened.id, Compartment.INTERNAL)
    sealed = compose(
        kind,
        body,
        place=place,
        recipient=opened.internal.recipient,
        at=opened.at,
        day=day,
        by=by,
        epoch=opened.internal.epoch,
    )
    return {"seq": opened.at.seq, "type": str(kind), "sealed": to_base64(sealed)}


def _judged(link: Link, listed_as: object, staff: Collection[str]) -> Link:
    outcome: OpenedObject | SealingError = link.outcome
    if isinstance(outcome, OpenedObject):
        if outcome.sender not in staff:
            outcome = WrongSignature("signed by a stranger")
        # The server labels records to sort them; the signed type is the one that counts, and both must agree.
        elif str(outcome.type) != listed_as:
            outcome = WrongPlace("listed as another type")
    return Link(link.seq, outcome)
