"""The mailbox: the same work for a hit and a miss, one place for each message, and only what its holder may have."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from sqlalchemy import event

from node.database import Database
from node.errors import Conflict, Invalid, NotFound, TooLarge
from node.intake import mailbox
from node.intake.receive import MAX_OBJECT_BYTES, receive_alert
from tests.rig.alerts import Door, a_recipient, an_alert, mailbox_token, sealed_to

MESSAGE = sealed_to(a_recipient("dialogue one"), {"text": "a message"})


@contextmanager
def reads(database: Database) -> Iterator[list[str]]:
    """The tables read meanwhile, in order."""
    seen: list[str] = []

    def note(conn: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement.split("FROM ")[1].split()[0])

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.fixture
async def full(door: Door, now: datetime) -> Door:
    """A door through which one alert has come."""
    async with door.database.begin() as session:
        await receive_alert(session, an_alert(door.manifest), door.terms, now=now)
    return door


async def test_a_wrong_token_reads_the_same_tables_as_the_right_one(full: Door) -> None:
    async with full.database.read() as session:
        with reads(full.database) as hit:
            await mailbox.open_mailbox(session, mailbox_token())
        with reads(full.database) as miss, pytest.raises(NotFound):
            await mailbox.open_mailbox(session, mailbox_token("nobody"))
        with reads(full.database) as junk, pytest.raises(NotFound):
            await mailbox.open_mailbox(session, b"")

    assert hit == miss == junk == ["alerts", "wraps", "sealed_objects", "attachments"]


async def test_the_hash_that_is_stored_does_not_open_the_mailbox(full: Door) -> None:
    async with full.database.read() as session:
        with pytest.raises(NotFound):
            await mailbox.open_mailbox(session, bytes.fromhex(an_alert(full.manifest).mailbox))


async def test_a_holder_without_a_wrap_of_the_identity_is_not_given_it(full: Door, now: datetime) -> None:
    async with full.database.read() as session:
        found = await mailbox.open_mailbox(session, mailbox_token())
        for_ana = await mailbox.contents(session, found.alert, holder=full.ana.id)
        for_nobody = await mailbox.contents(session, found.alert, holder="somebody-else")

    assert {piece.compartment for piece in for_ana.objects} == {"dialogue", "identity"}
    assert for_nobody.objects == []
    assert for_nobody.wraps == []
    assert {wrap.holder for wrap in found.wraps} == {"source"}


@pytest.mark.parametrize("seq", [0, 1, 3, 499])
async def test_a_place_that_is_taken_or_leaves_a_gap_is_refused(full: Door, now: datetime, seq: int) -> None:
    async with full.database.begin() as session:
        with pytest.raises(Conflict):
            await mailbox.answer(session, mailbox_token(), seq=seq, sealed=MESSAGE, now=now)


@pytest.mark.parametrize(
    ("sealed", "kind"),
    [(b"plain", Invalid), (MESSAGE[:-5000], Invalid), (b"x" * (MAX_OBJECT_BYTES + 1), TooLarge)],
)
async def test_a_message_that_is_not_sealed_or_too_large_is_refused(
    full: Door, now: datetime, sealed: bytes, kind: type[Exception]
) -> None:
    async with full.database.begin() as session:
        with pytest.raises(kind):
            await mailbox.answer(session, mailbox_token(), seq=2, sealed=sealed, now=now)


async def test_a_dialogue_goes_to_and_fro(full: Door, now: datetime) -> None:
    async with full.database.begin() as session:
        alert = (await mailbox.open_mailbox(session, mailbox_token())).alert
        await mailbox.ask(session, alert, seq=2, sealed=MESSAGE, now=now)
        assert alert.state == "needs-answer"
        await mailbox.answer(session, mailbox_token(), seq=3, sealed=MESSAGE, now=now)
        assert alert.state == "open"

    async with full.database.read() as session:
        found = await mailbox.open_mailbox(session, mailbox_token())
    assert [(one.seq, one.author) for one in found.objects if one.compartment == "dialogue"] == [
        (1, "source"),
        (2, "desk"),
        (3, "source"),
    ]
