"""The audit record: what is written stays, and whoever changes it is found out."""

from datetime import datetime

import pytest
from sqlalchemy import Executable, delete, update

from node import audit
from node.audit import AuditEntry, AuditHead, BrokenChain
from node.database import Database


async def three_entries(database: Database, now: datetime) -> None:
    for action in ("case.opened", "case.proposed", "case.confirmed"):
        async with database.begin() as session:
            await audit.record(session, actor="ana", action=action, subject="case", now=now)


async def test_an_empty_record_holds(database: Database) -> None:
    async with database.read() as session:
        assert (await audit.verify(session)).seq == 0


async def test_a_record_that_nobody_touched_holds(database: Database, now: datetime) -> None:
    await three_entries(database, now)

    async with database.read() as session:
        head = await audit.verify(session)
        entries = await audit.entries_of(session, "case")

    assert head.seq == 3
    assert head.hash == entries[-1].hash
    assert [entry.action for entry in entries] == ["case.opened", "case.proposed", "case.confirmed"]


async def test_only_the_day_is_kept(database: Database, now: datetime) -> None:
    async with database.begin() as session:
        entry = await audit.record(session, actor="ana", action="case.opened", subject="case", now=now)

    assert entry.day == now.date()
    assert not hasattr(entry, "at")


@pytest.mark.parametrize(
    "change",
    [
        update(AuditEntry).where(AuditEntry.seq == 2).values(actor="boris"),
        update(AuditEntry).where(AuditEntry.seq == 2).values(hash="0" * 64),
        delete(AuditEntry).where(AuditEntry.seq == 2),
        delete(AuditEntry).where(AuditEntry.seq == 3),
        delete(AuditEntry).where(AuditEntry.seq == 1),
        update(AuditHead).values(hash="f" * 64),
    ],
)
async def test_a_changed_or_shortened_record_is_refused(
    database: Database, now: datetime, change: Executable
) -> None:
    await three_entries(database, now)

    async with database.begin() as session:
        await session.execute(change)

    async with database.read() as session:
        with pytest.raises(BrokenChain):
            await audit.verify(session)


async def test_what_a_rolled_back_transaction_did_is_not_recorded(database: Database, now: datetime) -> None:
    async def fail() -> None:
        async with database.begin() as session:
            await audit.record(session, actor="ana", action="case.closed", subject="case", now=now)
            raise RuntimeError

    await three_entries(database, now)

    with pytest.raises(RuntimeError):
        await fail()

    async with database.read() as session:
        assert (await audit.verify(session)).seq == 3
