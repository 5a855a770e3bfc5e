"""What others said before it counted once: the last like of each stays, and all that waits has a place."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from node.database import async_url
from node.migrations import config, migrate

pytestmark = pytest.mark.both_databases

EARLIER = (
    # id, kind, actor, case, day, decided
    ("l1", "like", "https://a.example/x", "c1", "2026-01-01", None),
    ("l2", "like", "https://a.example/x", "c1", "2026-01-03", None),
    ("l3", "like", "https://a.example/x", "c1", "2026-01-02", None),
    ("l4", "like", "https://a.example/x", "c2", "2026-01-01", None),
    ("l5", "like", "https://a.example/y", "c1", "2026-01-01", None),
    ("b1", "boost", "https://a.example/x", "c1", "2026-01-01", None),
    ("b2", "boost", "https://a.example/x", "c1", "2026-01-01", None),
    ("q1", "quote", "https://a.example/x", "c1", "2026-01-01", None),
    ("q2", "quote", "https://a.example/x", "c1", "2026-01-01", None),
    ("r1", "reply", "https://a.example/x", "c1", "2026-01-02", None),
    ("r2", "reply", "https://a.example/x", "c1", "2026-01-01", None),
    ("r3", "reply", "https://A.example:8443/x", "c1", "2026-01-01", None),
    ("r4", "reply", "https://a.example/x", "c1", "2026-01-01", "2026-01-02"),
)
KEEP = (
    "INSERT INTO reactions (id, kind, actor, case_url, received_at, shown, decided_at) "
    "VALUES ('{}', '{}', '{}', '{}', '{} 00:00:00', {}, {})"
)


def written(row: Sequence[str | None], *, is_sqlite: bool) -> str:
    *before, decided = row
    decided_at = "NULL" if decided is None else f"'{decided} 00:00:00'"
    return KEEP.format(*before, "0" if is_sqlite else "false", decided_at)


async def run(url: str, *statements: str) -> None:
    engine = create_async_engine(async_url(url))
    try:
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))
    finally:
        await engine.dispose()


async def rows(url: str, columns: str) -> list[Row[*tuple[Any, ...]]]:
    engine = create_async_engine(async_url(url))
    async with engine.connect() as connection:
        found = list(await connection.execute(text(f"SELECT {columns} FROM reactions ORDER BY id")))
    await engine.dispose()
    return found


async def test_the_last_like_stays_and_what_waits_has_a_place(database_url: str) -> None:
    is_sqlite = database_url.startswith("sqlite")
    await asyncio.to_thread(command.upgrade, config(database_url), "0013")
    await run(database_url, *(written(row, is_sqlite=is_sqlite) for row in EARLIER))

    await asyncio.to_thread(migrate, database_url)

    found = {name: place for name, place in await rows(database_url, "id, place")}
    assert sorted(found) == ["b2", "l2", "l4", "l5", "q1", "q2", "r1", "r2", "r3", "r4"]
    assert {name: place for name, place in found.items() if place} == {
        "r1": "a.example 2",
        "r2": "a.example 1",
        "r3": "a.example:8443 1",
    }
    again = written(("l6", *EARLIER[0][1:]), is_sqlite=is_sqlite)
    with pytest.raises(IntegrityError):
        await run(database_url, again)
    await asyncio.to_thread(command.downgrade, config(database_url), "0013")
    await run(database_url, again)
    assert len(await rows(database_url, "id")) == len(found) + 1


async def test_more_than_a_hundred_that_wait_already_all_stay(database_url: str) -> None:
    is_sqlite = database_url.startswith("sqlite")
    many = [(f"r{n:03}", "reply", "https://a.example/x", "c1", "2026-01-01", None) for n in range(120)]
    await asyncio.to_thread(command.upgrade, config(database_url), "0013")
    await run(database_url, *(written(row, is_sqlite=is_sqlite) for row in many))

    await asyncio.to_thread(migrate, database_url)

    found = [place for (place,) in await rows(database_url, "place")]
    assert found == [f"a.example {number}" for number in range(1, 121)]
