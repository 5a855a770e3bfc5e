"""Taking in a sealed alert: first everything that is refused."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from node.database import Row
from node.errors import Conflict, Invalid, TooLarge
from node.intake.alerts import Alert, SealedObject, Wrap
from node.intake.manifest import DoorClosed, UnknownManifest
from node.intake.receive import MAX_OBJECT_BYTES, SealedAlert, SealedPiece, SealedWrap, receive_alert
from node.outbox import Job
from node.sealing.age import seal
from node.sealing.header import write_header
from node.sealing.recipients import wrap
from tests.rig.alerts import PAD, Door, a_recipient, an_alert, sealed_to

CLASSICAL = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
CLASSICAL_FILE = (
    b"age-encryption.org/v1\n-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
    b"EmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0\n"
    + b"x"
    * (16 + PAD + 16)
)


def two_recipients() -> bytes:
    """A file that two hybrid keys open."""
    one = seal(b" " * PAD, a_recipient("one"))
    key = b"k" * 16
    header = write_header([wrap(key, a_recipient("one")), wrap(key, a_recipient("two"))], key)
    return header + one[one.index(b"\n---") :].split(b"\n", 2)[2]


def mixed_recipients() -> bytes:
    """A file with a hybrid stanza and a classical one, which would undo the first."""
    one = seal(b" " * PAD, a_recipient("one"))
    head, rest = one.split(b"\n---", 1)
    lines = CLASSICAL_FILE.split(b"\n")
    return head + b"\n" + lines[1] + b"\n" + lines[2] + b"\n---" + rest


async def refuse(door: Door, alert: SealedAlert, kind: type[Exception], *, now: datetime) -> Any:
    async with door.database.begin() as session:
        with pytest.raises(kind) as refused:
            await receive_alert(session, alert, door.terms, now=now)
    async with door.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Alert)) == 0
        assert await session.scalar(select(func.count()).select_from(Wrap)) == 0
    return refused.value


async def test_an_alert_to_an_unknown_manifest_is_refused(door: Door, now: datetime) -> None:
    error = await refuse(door, an_alert(door.manifest, manifest="0" * 64), UnknownManifest, now=now)

    assert error.public == "manifest"


async def test_an_alert_to_an_expired_manifest_is_refused(door: Door, now: datetime) -> None:
    await refuse(door, an_alert(door.manifest), UnknownManifest, now=now + timedelta(days=40))


async def test_an_alert_is_refused_when_only_one_person_could_read_it(door: Door, now: datetime) -> None:
    alone = replace(door, terms=replace(door.terms, handlers=door.terms.handlers[:1]))

    await refuse(alone, an_alert(door.manifest), DoorClosed, now=now)


@pytest.mark.parametrize("field", ["source_age", "dialogue", "identity"])
async def test_a_classical_recipient_is_refused(door: Door, now: datetime, field: str) -> None:
    error = await refuse(door, an_alert(door.manifest, **{field: CLASSICAL}), Invalid, now=now)

    assert "hybrid" in error.public


async def test_one_key_for_two_compartments_is_refused(door: Door, now: datetime) -> None:
    alert = an_alert(door.manifest)

    await refuse(door, replace(alert, identity=alert.dialogue), Invalid, now=now)


@pytest.mark.parametrize("key", ["", "z6Mk", "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc", "u7QE"])
async def test_a_signing_key_that_is_none_is_refused(door: Door, now: datetime, key: str) -> None:
    await refuse(door, an_alert(door.manifest, source_ed25519=key), Invalid, now=now)


@pytest.mark.parametrize(
    "sealed",
    [
        b"",
        b"plain text of a source",
        CLASSICAL_FILE,
        two_recipients(),
        mixed_recipients(),
        seal(b" " * PAD, a_recipient("one"))[:-1000],
        seal(b"not padded", a_recipient("one")),
        seal(b"", a_recipient("one")),
    ],
    ids=["empty", "plain", "classical", "two", "mixed", "cut", "unpadded", "nothing"],
)
@pytest.mark.parametrize("part", ["object", "wrap"])
async def test_what_is_not_sealed_to_one_hybrid_recipient_is_refused(
    door: Door, now: datetime, part: str, sealed: bytes
) -> None:
    alert = an_alert(door.manifest)
    if part == "object":
        changed = replace(alert, objects=(replace(alert.objects[0], sealed=sealed), alert.objects[1]))
    else:
        changed = replace(alert, wraps=(replace(alert.wraps[0], sealed=sealed), *alert.wraps[1:]))

    await refuse(door, changed, Invalid, now=now)


def without(alert: SealedAlert, compartment: str, holder: str) -> SealedAlert:
    return replace(
        alert, wraps=tuple(w for w in alert.wraps if (w.compartment, w.holder) != (compartment, holder))
    )


@pytest.mark.parametrize("compartment", ["dialogue", "identity"])
@pytest.mark.parametrize("who", ["ana", "boris", "source"])
async def test_a_missing_wrap_is_refused(door: Door, now: datetime, compartment: str, who: str) -> None:
    holder = who if who == "source" else getattr(door, who).id

    await refuse(door, without(an_alert(door.manifest), compartment, holder), Invalid, now=now)


@pytest.mark.parametrize("compartment", ["dialogue", "identity", "internal"])
async def test_a_wrap_for_a_stranger_is_refused(door: Door, now: datetime, compartment: str) -> None:
    alert = an_alert(door.manifest)
    more = SealedWrap(compartment, "stranger", alert.wraps[0].sealed)

    await refuse(door, replace(alert, wraps=(*alert.wraps, more)), Invalid, now=now)


async def test_a_wrap_that_comes_twice_is_refused(door: Door, now: datetime) -> None:
    alert = an_alert(door.manifest)

    await refuse(door, replace(alert, wraps=(*alert.wraps, alert.wraps[0])), Invalid, now=now)


async def test_a_recovery_wrap_that_nobody_asked_for_is_refused(door: Door, now: datetime) -> None:
    alert = an_alert(door.manifest)
    more = SealedWrap("dialogue", "recovery", alert.wraps[0].sealed)

    await refuse(door, replace(alert, wraps=(*alert.wraps, more)), Invalid, now=now)


async def test_too_large_a_wrap_or_object_is_refused(door: Door, now: datetime) -> None:
    alert = an_alert(door.manifest)
    large = sealed_to(a_recipient("x"), {"x": "y" * MAX_OBJECT_BYTES})

    wraps = (replace(alert.wraps[0], sealed=large), *alert.wraps[1:])
    await refuse(door, replace(alert, wraps=wraps), TooLarge, now=now)
    objects = (replace(alert.objects[0], sealed=large), alert.objects[1])
    await refuse(door, replace(alert, objects=objects), TooLarge, now=now)


@pytest.mark.parametrize(
    "places",
    [
        [],
        [("dialogue", 1)],
        [("dialogue", 0), ("identity", 1)],
        [("dialogue", 1), ("identity", 2)],
        [("dialogue", 1), ("dialogue", 2), ("identity", 1)],
        [("dialogue", 1), ("internal", 1)],
    ],
)
async def test_other_objects_than_one_submission_and_one_identity_are_refused(
    door: Door, now: datetime, places: list[tuple[str, int]]
) -> None:
    alert = an_alert(door.manifest)
    objects = tuple(SealedPiece(compartment, seq, alert.objects[0].sealed) for compartment, seq in places)

    await refuse(door, replace(alert, objects=objects), Invalid, now=now)


async def test_other_bytes_under_a_known_id_are_refused(door: Door, now: datetime) -> None:
    async with door.database.begin() as session:
        await receive_alert(session, an_alert(door.manifest), door.terms, now=now)
    async with door.database.begin() as session:
        with pytest.raises(Conflict):
            await receive_alert(
                session, replace(an_alert(door.manifest), request_sha256="0" * 64), door.terms, now=now
            )


async def test_another_alert_for_a_mailbox_that_is_taken_is_refused(door: Door, now: datetime) -> None:
    first, second = an_alert(door.manifest, "one"), an_alert(door.manifest, "two")
    async with door.database.begin() as session:
        await receive_alert(session, first, door.terms, now=now)
    async with door.database.begin() as session:
        with pytest.raises(Conflict):
            await receive_alert(session, replace(second, mailbox=first.mailbox), door.terms, now=now)


@pytest.mark.both_databases
async def test_the_same_bytes_twice_are_one_alert(door: Door, now: datetime) -> None:
    alert = an_alert(door.manifest)
    answers = []
    for moment in (now, now + timedelta(days=1), now + timedelta(days=90)):
        async with door.database.begin() as session:
            kept, is_new = await receive_alert(session, alert, door.terms, now=moment)
            answers.append((kept.received_on, is_new))

    assert answers == [(now.date(), True), (now.date(), False), (now.date(), False)]
    async with door.database.read() as session:
        assert await session.scalar(select(func.count()).select_from(SealedObject)) == 2


async def test_an_alert_is_kept_as_it_came(door: Door, now: datetime) -> None:
    alert = an_alert(door.manifest)

    async with door.database.begin() as session:
        kept, _ = await receive_alert(session, alert, door.terms, now=now)

    assert (kept.state, kept.received_on, kept.case_id) == ("received", now.date(), None)
    async with door.database.read() as session:
        pieces = (await session.scalars(select(SealedObject).order_by(SealedObject.compartment))).all()
        wraps = (await session.scalars(select(Wrap))).all()
    assert [piece.sealed for piece in pieces] == [piece.sealed for piece in alert.objects]
    assert {(one.compartment, one.holder) for one in wraps} == {
        (one.compartment, one.holder) for one in alert.wraps
    }


async def test_one_notice_a_day_is_enqueued_and_tells_no_time(door: Door, now: datetime) -> None:
    for label in ("one", "two"):
        async with door.database.begin() as session:
            await receive_alert(session, an_alert(door.manifest, label), door.terms, now=now)

    async with door.database.read() as session:
        jobs = (await session.scalars(select(Job))).all()
    assert [(job.kind, job.payload) for job in jobs] == [("notify-desk", {"day": "2026-11-21"})]
    assert jobs[0].not_before == datetime.combine(now.date(), time(), UTC) + timedelta(days=1)


def test_no_table_of_the_intake_has_room_for_a_time_or_an_address() -> None:
    tables = [
        table
        for name, table in Row.metadata.tables.items()
        if name in {"alerts", "sealed_objects", "wraps", "attachments", "upload_parts"}
    ]

    assert len(tables) == 5
    for table in tables:
        for column in table.columns:
            assert "DATETIME" not in str(column.type).upper()
            assert not {"ip", "address", "agent", "referrer", "at"} & set(column.name.split("_"))
