"""SQLite's thread is asked as seldom as can be: each time costs more than most statements."""

from datetime import UTC, datetime
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import select

from node import outbox
from node.database import Database
from node.outbox import Job, Order

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def test_sqlites_thread_is_asked_once_to_read_and_twice_to_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has no thread; run it with --database=sqlite")
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
