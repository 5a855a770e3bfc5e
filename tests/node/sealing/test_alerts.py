"""An alert from the source to the desk and back, with a server that cheats."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from node.sealing import inspect
from node.sealing.alerts import (
    OpenedMailbox,
    compose_alert,
    compose_message,
    open_alert,
    open_attachment,
    open_mailbox,
)
from node.sealing.attachments import PART_BYTES, File, read_attachment
from node.sealing.dialogue import Entry, Message, RefusedEntry, Submission
from node.sealing.envelope import pad_file, padded_size
from node.sealing.errors import (
    MalformedContent,
    ManifestOtherNode,
    NotForThisKey,
    OutOfOrder,
    PayloadAltered,
    SealingError,
    WrongPlace,
    WrongSignature,
)
from node.sealing.objects import FIRST, Compartment, ObjectType, Place, compartment_key, compose
from node.sealing.receipts import new_receipt, source_keys
from node.sealing.recipients import generate_identity, recipient_of
from node.sealing.records import begin_case, compose_record, open_case
from node.sealing.wraps import compose_wrap, open_wrap
from tests.node.sealing.people import DAY, NODE, a_manifest, a_person, a_root, as_record, handler

CANARY = "the canary sang in the flooded stairwell"
ANA, BEN, EVE = a_person(), a_person(), a_person()
ROOT = a_root()
MANIFEST = a_manifest([handler("ana", ANA), handler("ben", BEN)], ROOT)
STAFF = {ANA.signing.id, BEN.signing.id}
RECEIPT = new_receipt()
FILES = [
    File("photo.jpg", "image/jpeg", b"\xff\xd8" * 50_000),
    File("film.mp4", "video/mp4", bytes(9_000_000)),
]
ALERT = compose_alert(
    MANIFEST, NODE, {"title": CANARY}, {"sender_name": "Fictional Person"}, FILES, RECEIPT, DAY
)


def told(opened: OpenedMailbox) -> list[object]:
    return [
        (f"{one.author}: {one.content.text}" if isinstance(one.content, Message) else "submission")
        if isinstance(one, Entry)
        else type(one.reason)
        for one in opened.entries
    ]


def sealed_file(upload: str) -> bytes:
    return b"".join(part.data for part in ALERT.parts if part.upload == upload)


def test_nothing_of_an_alert_can_be_read_on_its_way() -> None:
    body = json.loads(ALERT.body)

    assert CANARY.encode() not in ALERT.body
    assert b"photo.jpg" not in ALERT.body
    assert {(wrap["compartment"], wrap["holder"]) for wrap in body["wraps"]} == {
        (compartment, holder)
        for compartment in ("dialogue", "identity")
        for holder in ("ana", "ben", "source")
    }
    for one in [*body["wraps"], *body["objects"]]:
        assert inspect(base64.b64decode(one["sealed"])).plaintext_bytes % 4096 == 0
    for one in body["attachments"]:
        assert inspect(sealed_file(one["upload"])).plaintext_bytes > 0


def test_an_alert_opens_at_the_desk_and_is_answered_both_ways() -> None:
    opened = open_alert(as_record(ALERT, "ana"), ANA, node=NODE, staff=STAFF)
    question = compose_message(opened, "Since when?", by=ANA.signing, day=DAY)
    mailbox = open_mailbox(as_record(ALERT, "source", [question]), source_keys(RECEIPT, NODE), desk=STAFF)
    answer = compose_message(mailbox, "Since March.", by=ALERT.source.signing, day=DAY)
    later = open_alert(as_record(ALERT, "ben", [question, answer]), BEN, node=NODE, staff=STAFF)

    assert opened.submission is not None
    assert opened.submission.answers == {"title": CANARY}
    assert opened.identity_fields == {"sender_name": "Fictional Person"}
    assert told(later) == ["submission", "desk: Since when?", "source: Since March."]


def test_an_alert_for_another_node_is_not_composed() -> None:
    with pytest.raises(ManifestOtherNode):
        compose_alert(MANIFEST, "https://b.example", {}, {}, [], RECEIPT, DAY)


def test_a_stranger_opens_nothing_and_a_handler_without_that_wrap_no_identity() -> None:
    record = as_record(ALERT, "ana")
    without = record | {"wraps": [wrap for wrap in record["wraps"] if wrap["compartment"] == "dialogue"]}

    with pytest.raises(NotForThisKey):
        open_alert(record, EVE, node=NODE, staff=STAFF)
    with pytest.raises(NotForThisKey):
        open_alert(as_record(ALERT, "eve"), EVE, node=NODE, staff=STAFF)
    assert open_alert(without, ANA, node=NODE, staff=STAFF).identity_fields is None


def test_only_custodians_and_the_recovery_key_hold_identities() -> None:
    recovery = generate_identity()
    manifest = a_manifest(
        [handler("ana", ANA), handler("ben", BEN, custodian=True)], ROOT, recovery=recipient_of(recovery)
    )
    body = json.loads(compose_alert(manifest, NODE, {}, {}, [], RECEIPT, DAY).body)

    holders = {
        compartment: {wrap["holder"] for wrap in body["wraps"] if wrap["compartment"] == compartment}
        for compartment in ("dialogue", "identity")
    }

    assert holders == {
        "dialogue": {"ana", "ben", "source", "recovery"},
        "identity": {"ben", "source", "recovery"},
    }


def test_an_alert_whose_keys_or_source_were_swapped_is_refused() -> None:
    other = compose_alert(MANIFEST, NODE, {}, {}, [], new_receipt(), DAY)
    record, others = as_record(ALERT, "ana"), as_record(other, "ana")

    with pytest.raises(WrongSignature):
        open_alert(record | {"source": others["source"]}, ANA, node=NODE, staff=STAFF)
    with pytest.raises(WrongPlace):
        open_alert(record | {"compartments": others["compartments"]}, ANA, node=NODE, staff=STAFF)
    with pytest.raises(WrongPlace):
        open_alert(record | {"id": other.id}, ANA, node=NODE, staff=STAFF)
    with pytest.raises(WrongPlace):
        open_alert(
            record | {"wraps": others["wraps"], "source": others["source"]}, ANA, node=NODE, staff=STAFF
        )
    mixed = open_alert(record | {"objects": others["objects"]}, ANA, node=NODE, staff=STAFF)
    assert mixed.submission is None
    assert isinstance(mixed.identity_fields, NotForThisKey)
    for missing in ("id", "source", "compartments"):
        with pytest.raises(MalformedContent):
            open_alert({**record, missing: None}, ANA, node=NODE, staff=STAFF)


def test_identity_fields_by_anybody_but_the_source_are_refused() -> None:
    record = as_record(ALERT, "ana")
    wrap = next(one for one in record["wraps"] if one["compartment"] == "identity")
    place = Place(NODE, ALERT.id, Compartment.IDENTITY)
    key = open_wrap(
        base64.b64decode(wrap["sealed"]), ANA.identity, place=place, may_grant={ALERT.source.signing.id}
    ).key
    sealed = compose(
        ObjectType.IDENTITY,
        {"fields": {}},
        place=place,
        recipient=key.recipient,
        at=FIRST,
        day=DAY,
        by=BEN.signing,
    )
    forged = {"compartment": "identity", "seq": 1, "sealed": base64.b64encode(sealed).decode()}
    dialogue = [one for one in record["objects"] if one["compartment"] == "dialogue"]

    opened = open_alert(record | {"objects": [*dialogue, forged]}, ANA, node=NODE, staff=STAFF)
    without = open_alert(record | {"objects": dialogue}, ANA, node=NODE, staff=STAFF)

    assert isinstance(opened.identity_fields, WrongSignature)
    # Not handed out, as to a custodian whom nobody granted it.
    assert without.identity_fields is None


def test_a_new_key_reads_on_and_the_old_one_is_no_longer_taken() -> None:
    record, old = as_record(ALERT, "ana"), open_alert(as_record(ALERT, "ana"), ANA, node=NODE, staff=STAFF)
    place = Place(NODE, ALERT.id, Compartment.DIALOGUE)
    key = compartment_key(generate_identity(), 2)

    def wrapped(recipient: str) -> dict[str, Any]:
        sealed = compose_wrap(key, recipient, place=place, by=BEN.signing)
        return {"compartment": "dialogue", "epoch": 2, "sealed": base64.b64encode(sealed).decode()}

    rotated = record | {"wraps": [*record["wraps"], wrapped(ANA.recipient)]}
    opened = open_alert(rotated, ANA, node=NODE, staff=STAFF)
    fresh = compose_message(opened, "Under the new key.", by=ANA.signing, day=DAY)
    rotated = rotated | {"objects": [*record["objects"], {"compartment": "dialogue", **fresh}]}
    opened = open_alert(rotated, ANA, node=NODE, staff=STAFF)
    late = compose_message(replace(old, at=opened.at), "Under the old key.", by=BEN.signing, day=DAY)
    rotated = rotated | {"objects": [*rotated["objects"], {"compartment": "dialogue", **late}]}
    opened = open_alert(rotated, ANA, node=NODE, staff=STAFF)

    assert opened.dialogue.epoch == 2
    assert opened.submission is not None
    assert isinstance(opened.entries[1], Entry)
    assert isinstance(opened.entries[2], RefusedEntry)
    assert isinstance(opened.entries[2].reason, WrongPlace)


def test_messages_that_are_dropped_forged_or_repeated_are_shown_as_refused() -> None:
    keys = source_keys(RECEIPT, NODE)
    said: list[dict[str, Any]] = []
    for text in ("one", "two", "three"):
        opened = open_alert(as_record(ALERT, "ana", said), ANA, node=NODE, staff=STAFF)
        said.append(compose_message(opened, text, by=ANA.signing, day=DAY))
    first = open_alert(as_record(ALERT, "ana"), ANA, node=NODE, staff=STAFF)
    forged = compose_message(first, "I am the desk.", by=EVE.signing, day=DAY)

    def seen(*later: dict[str, Any]) -> list[object]:
        return told(open_mailbox(as_record(ALERT, "source", later), keys, desk=STAFF))[1:]

    assert seen(*said) == ["desk: one", "desk: two", "desk: three"]
    assert seen(said[0], said[2]) == ["desk: one", OutOfOrder]
    assert seen(said[0], said[1], said[1] | {"seq": 4}) == ["desk: one", "desk: two", OutOfOrder]
    assert seen(forged) == [WrongSignature]


def test_a_second_submission_and_one_by_the_desk_are_refused() -> None:
    opened = open_alert(as_record(ALERT, "ana"), ANA, node=NODE, staff=STAFF)
    place = Place(NODE, ALERT.id, Compartment.DIALOGUE)
    content: dict[str, Any] = {"form": "f", "language": "en", "answers": {}, "attachments": []}
    for signer in (ANA.signing, ALERT.source.signing):
        sealed = compose(
            ObjectType.SUBMISSION,
            content,
            place=place,
            recipient=opened.dialogue.recipient,
            at=opened.at,
            day=DAY,
            by=signer,
        )
        later = [{"seq": 2, "sealed": base64.b64encode(sealed).decode()}]
        again = open_alert(as_record(ALERT, "ana", later), ANA, node=NODE, staff=STAFF)
        assert told(again) == ["submission", WrongSignature]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"form": "f", "language": "en", "answers": [], "attachments": []},
        {"form": "f", "language": "en", "answers": {}, "attachments": [7]},
        {"form": "f", "language": "en", "answers": {}, "attachments": [{"upload": "a"}]},
        {"form": 1, "language": "en", "answers": {}, "attachments": []},
    ],
)
def test_a_submission_of_another_shape_is_refused(content: dict[str, Any]) -> None:
    opened = open_alert(as_record(ALERT, "ana"), ANA, node=NODE, staff=STAFF)
    sealed = compose(
        ObjectType.SUBMISSION,
        content,
        place=Place(NODE, ALERT.id, Compartment.DIALOGUE),
        recipient=opened.dialogue.recipient,
        at=replace(opened.at, seq=1, prev=None),
        day=DAY,
        by=ALERT.source.signing,
    )
    record = as_record(ALERT, "ana")
    objects = [{"compartment": "dialogue", "seq": 1, "sealed": base64.b64encode(sealed).decode()}]

    assert told(open_alert(record | {"objects": objects}, ANA, node=NODE, staff=STAFF)) == [MalformedContent]


def test_files_come_out_whole_or_not_at_all() -> None:
    opened = open_alert(as_record(ALERT, "ben"), BEN, node=NODE, staff=STAFF)
    assert isinstance(opened.submission, Submission)
    photo, film = opened.submission.attachments

    assert open_attachment(opened, photo, sealed_file(photo.upload)) == FILES[0].content
    assert open_attachment(opened, film, sealed_file(film.upload)) == FILES[1].content
    assert {len(part.data) for part in ALERT.parts if part.number == 0} >= {PART_BYTES}
    with pytest.raises(MalformedContent):
        open_attachment(opened, photo, sealed_file(film.upload))
    with pytest.raises(MalformedContent):
        open_attachment(opened, replace(photo, sha256="0" * 64), sealed_file(photo.upload))
    with pytest.raises(PayloadAltered):
        open_attachment(opened, film, sealed_file(film.upload)[:-1])
    with pytest.raises(MalformedContent):
        read_attachment(photo.to_json() | {"size": -1})
    with pytest.raises(MalformedContent):
        list(pad_file([b"abc"], 4))


def test_padding_adds_at_most_an_eighth() -> None:
    assert [padded_size(size) for size in (0, 1, 4096, 4097, 10_000, 1_000_000)] == [
        *(4096, 4096, 4096, 4352, 10_240, 1_015_808)
    ]
    for size in range(5000, 5_000_000, 9973):
        assert size <= padded_size(size) <= size * 1.12
        assert padded_size(padded_size(size)) == padded_size(size)


def test_a_mailbox_without_its_key_or_with_anothers_is_refused() -> None:
    record = as_record(ALERT, "source")
    keys = source_keys(RECEIPT, NODE)

    with pytest.raises(MalformedContent):
        open_mailbox(record | {"wraps": []}, keys, desk=STAFF)
    with pytest.raises(MalformedContent):
        open_mailbox(record | {"wraps": [{"compartment": "dialogue", "sealed": "!"}]}, keys, desk=STAFF)
    with pytest.raises(WrongPlace):
        open_mailbox(record | {"id": "0" * 32}, keys, desk=STAFF)
    with pytest.raises(NotForThisKey):
        open_mailbox(record, source_keys(new_receipt(), NODE), desk=STAFF)


def test_a_cases_records_open_for_its_holders_in_order_by_staff_alone() -> None:
    begun: dict[str, Any] = begin_case(ANA, {"ana": ANA.recipient, "ben": BEN.recipient}, node=NODE)
    record = {
        "id": begun["id"],
        "internal": begun["internal"],
        "wraps": [wrap for wrap in begun["wraps"] if wrap["holder"] == "ben"],
        "records": [],
    }
    opened = open_case(record, BEN, node=NODE, staff=STAFF)
    for kind in (ObjectType.NOTE, ObjectType.CHECK, ObjectType.ASSESSMENT):
        record["records"] = [
            *record["records"],
            compose_record(opened, kind, {"text": str(kind)}, by=BEN.signing, day=DAY),
        ]
        opened = open_case(record, BEN, node=NODE, staff=STAFF)
    stranger = compose_record(opened, ObjectType.NOTE, {}, by=EVE.signing, day=DAY)
    relabelled = [one | {"type": "check"} for one in record["records"]]

    assert not any(isinstance(link.outcome, SealingError) for link in opened.links)
    forged = open_case(record | {"records": [*record["records"], stranger]}, BEN, node=NODE, staff=STAFF)
    assert isinstance(forged.links[3].outcome, WrongSignature)
    other = open_case(record | {"records": relabelled}, BEN, node=NODE, staff=STAFF)
    assert [isinstance(link.outcome, WrongPlace) for link in other.links] == [True, False, True]
    with pytest.raises(WrongPlace):
        compose_record(opened, ObjectType.MESSAGE, {}, by=BEN.signing, day=DAY)
    with pytest.raises(NotForThisKey):
        open_case(record | {"wraps": []}, BEN, node=NODE, staff=STAFF)
    with pytest.raises(NotForThisKey):
        open_case(record, EVE, node=NODE, staff=STAFF)
    with pytest.raises(MalformedContent):
        open_case(record | {"internal": None}, BEN, node=NODE, staff=STAFF)
