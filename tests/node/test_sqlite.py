"""SQLite's thread is asked as seldom as can be: each time costs more than most statements."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import delete, select, update

from node import outbox
from node.database import Database
from node.inbox import keeping
from node.outbox import Job, Order, Turn
from node.roles import begin
from node.upkeep import chores

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def test_sqlites_thread_is_asked_once_to_read_and_twice_to_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has no thread; run it with --database=sqlite")
    # A connection asks several times once it is made.
    await database.ping()
    asked: list[object] = []
    execute: Any = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, function: Any, *given: Any, **named: Any) -> Any:
        asked.append(function)
        return await execute(self, function, *given, **named)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    async with database.read() as session:
        await session.execute(select(Job.seq))
    reading = len(asked)
    async with database.begin() as session:
        await session.execute(select(Job.seq))
    writing = len(asked) - reading
    async with database.hand() as hand:
        await hand.add(*outbox.inserts([Order("chore", {}, "chore:x")], now=NOW))

    assert (reading, writing, len(asked) - reading - writing) == (1, 2, 1)


async def test_what_was_deleted_stays_in_the_log_until_it_is_cut_off_and_nobody_reads_for_that(
    database: Database,
) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has a log of its own; run it with --database=sqlite")
    path = Path(str(database.engine.url.database))
    canary = "canary-of-a-deleted-row"

    def holding() -> list[str]:
        return [
            one.suffix for one in path.parent.glob(f"{path.name}*") if canary.encode() in one.read_bytes()
        ]

    async with database.begin() as session:
        await outbox.enqueue(session, "chore", {"said": canary}, lane="chore:x", now=NOW)
    async with database.begin() as session:
        await session.execute(delete(Job))
    assert holding() == [".sqlite-wal"]

    async with database.read() as session:
        await session.execute(select(Job.seq))
        is_cut_beside_a_reader = await database.cut_log()
        still = holding()

    assert (is_cut_beside_a_reader, still) == (False, [".sqlite-wal"])
    assert await database.cut_log()
    assert holding() == []
    async with database.begin() as session:
        await outbox.enqueue(session, "chore", {}, lane="chore:x", now=NOW)


async def test_what_undoes_a_statement_and_what_is_sorted_lies_in_no_file_of_its_own(
    database: Database,
) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has files of its own; run it with --database=sqlite")
    opened = Path("/proc/self/fd")
    if not opened.exists():
        pytest.skip("only Linux tells which files a process has open; run it there")
    orders = [Order("chore", {"said": "x" * 1_000}, "chore:x", key=f"chore:{n}") for n in range(3_000)]

    def temporary() -> list[str]:
        # What was listed may be closed by now: the list itself is.
        found = [str(one.readlink()) for one in opened.iterdir() if one.is_symlink()]
        return [name for name in found if "etilqs_" in name]  # as SQLite names them

    async with database.begin() as session:
        await outbox.enqueue_many(session, orders, now=NOW)
        await session.execute(update(Job).values(key=Job.key + "'"))
        await session.execute(select(Job.payload).order_by(Job.payload, Job.key.desc()))
        assert temporary() == []


async def test_every_night_the_log_is_cut_off(node: Any) -> None:
    if not node.database.is_sqlite:
        pytest.skip("PostgreSQL has a log of its own; run it with --database=sqlite")
    await begin(node)
    log = Path(f"{node.database.engine.url.database}-wal")
    before = log.stat().st_size

    node.clock.forward(days=1)
    async with node.database.read() as session:
        chore = await session.scalar(select(Job).where(Job.kind == keeping.FORGET))
    await chores.forget_received(node, Turn(chore.seq, chore.lane, chore.kind, chore.payload, 0))

    assert log.stat().st_size < before


async def test_connections_in_use_are_waited_for_before_all_are_closed(tmp_path: Path) -> None:
    """One that comes back after its pool has gone is closed by nobody: its thread and its open files stayed for as long as the process."""
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite'}")
    async with database.read() as session:
        await session.execute(select(1))
        closing = asyncio.create_task(database.close())
        await asyncio.wait([closing], timeout=0.2)
        was_closed = closing.done()

    await closing

    assert not was_closed
