"""Rows by the hundred: added together or not at all, in their order, and told when one of them cannot be."""

import asyncio
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from node import outbox
from node.database import Database
from node.outbox import Job, Lane, Order
from node.statements import ROWS_AT_ONCE, Bulk, Question, Rows, among

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MANY = 2 * ROWS_AT_ONCE + 7

pytestmark = pytest.mark.both_databases


def orders(count: int, lane: str = "chore:x") -> list[Order]:
    return [Order("chore", {"n": number}, lane, key=f"{lane}:{number}") for number in range(count)]


async def add(database: Database, *inserts: tuple[Bulk, Rows]) -> None:
    async with database.hand() as hand:
        await hand.add(*inserts)


async def numbers(database: Database) -> list[int]:
    async with database.read() as session:
        return [job["n"] for job in await session.scalars(select(Job.payload).order_by(Job.seq))]


async def test_rows_of_several_kinds_are_added_together_and_in_their_order(database: Database) -> None:
    await add(database, *outbox.inserts(orders(MANY), now=NOW))

    assert await numbers(database) == list(range(MANY))
    async with database.read() as session:
        assert (await session.scalars(select(Lane.due_at))).all() == [NOW]


async def test_rows_that_are_there_already_stay_as_they_are(database: Database) -> None:
    await add(database, *outbox.inserts(orders(3), now=NOW))
    await add(database, *outbox.inserts(orders(5), now=NOW + timedelta(hours=1)))

    async with database.read() as session:
        due = (await session.scalars(select(Job.not_before).order_by(Job.seq))).all()
    assert due == [NOW] * 3 + [NOW + timedelta(hours=1)] * 2


async def test_nothing_to_add_adds_nothing(database: Database) -> None:
    await add(database, *outbox.inserts([], now=NOW))

    assert await numbers(database) == []


async def test_when_one_row_cannot_be_added_none_is(database: Database) -> None:
    added = outbox.inserts(orders(3), now=NOW)
    astray = without_its_lane(orders(1, "of-nobody"))

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await add(database, *added, astray)

    assert await numbers(database) == []
    await add(database, *added)
    assert await numbers(database) == [0, 1, 2]


async def test_a_row_that_cannot_be_added_is_told_within_the_transaction_and_undoes_it(
    database: Database,
) -> None:
    bulk, rows = without_its_lane(orders(1, "of-nobody"))

    async def add_them() -> None:
        async with database.begin() as session:
            await outbox.enqueue_many(session, orders(2), now=NOW)
            await bulk.run(session, rows)

    with pytest.raises(DBAPIError, match=r"(?i)foreign key"):
        await add_them()

    assert await numbers(database) == []


async def test_after_what_could_not_be_added_the_same_hand_adds_and_answers(database: Database) -> None:
    waiting = Question(
        select(Job.lane, Job.kind).where(among(Job.lane, "lanes"), Job.kind == "chore").order_by(Job.lane)
    )
    async with database.hand() as hand:
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            await hand.add(*outbox.inserts(orders(1, "a"), now=NOW), without_its_lane(orders(1, "of-nobody")))
        await hand.add(*outbox.inserts([*orders(1, "b"), *orders(1, "c")], now=NOW))
        by_hand = await waiting.ask(hand, lanes=["a", "b", "x"])

    async with database.read() as session:
        in_session = await waiting.ask(session, lanes=["a", "b", "x"])
    assert [tuple(row) for row in by_hand] == [tuple(row) for row in in_session] == [("b", "chore")]


async def test_what_is_added_in_a_transaction_is_seen_by_its_next_statement(database: Database) -> None:
    async with database.begin() as session:
        await outbox.enqueue_many(session, orders(MANY), now=NOW)
        seen = await session.scalar(select(func.count()).select_from(Job))

    assert seen == MANY


async def test_what_was_added_is_forgotten_with_the_transaction_that_is_taken_back(
    database: Database,
) -> None:
    async with database.begin() as session:
        await outbox.enqueue_many(session, orders(2), now=NOW)
        await session.rollback()
    async with database.begin() as session:
        await outbox.enqueue_many(session, orders(1, "chore:y"), now=NOW)

    assert await numbers(database) == [0]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.scale
async def test_a_value_that_is_too_long_is_refused_and_not_cut_off(database: Database) -> None:
    with pytest.raises(Exception, match="too long"):
        await add(database, *outbox.inserts(orders(1, "x" * 301), now=NOW))

    assert await numbers(database) == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.scale
async def test_a_connection_that_the_server_closed_is_replaced(database: Database) -> None:
    async with database.engine.connect() as connection:
        first = await connection.scalar(text("SELECT pg_backend_pid()"))
        driver: Any = (await connection.get_raw_connection()).driver_connection
    other = Database(database.engine.url.render_as_string(hide_password=False))
    async with other.begin() as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
    await other.close()
    async with asyncio.timeout(30):
        while not driver.is_closed():
            await asyncio.sleep(0.01)

    async with database.begin() as session:
        await outbox.enqueue_many(session, orders(1), now=NOW)
        second = await session.scalar(text("SELECT pg_backend_pid()"))

    assert second != first
    assert await numbers(database) == [0]


def without_its_lane(some: Iterable[Order]) -> tuple[Bulk, Any]:
    return outbox.inserts(some, now=NOW)[1]


async def test_what_comes_one_after_the_other_is_served_by_one_connection(database: Database) -> None:
    async with database.read() as one, database.read() as other:
        for session in (one, other):
            await session.execute(text("SELECT 1"))
    used = set()
    for _ in range(3):
        async with database.begin() as session:
            used.add((await (await session.connection()).get_raw_connection()).driver_connection)

    assert len(used) == 1


@pytest.mark.parametrize(
    ("name", "failures"),
    [("canary", 0), ("x" * 400 + "canary", 0), ("canary", None), (41_000_000_041, 0), ("canary", "canary")],
)
async def test_an_error_tells_nothing_of_what_was_to_be_stored(
    database: Database, name: object, failures: object
) -> None:
    """Whatever is logged of it: what it says, what caused it, and what stood before that."""
    row = {"name": name, "failures": failures}
    told = []
    for _ in range(2):
        try:
            async with database.begin() as session:
                await session.execute(
                    text("INSERT INTO lanes (name, failures) VALUES (:name, :failures)"), row
                )
        except DBAPIError as error:
            told.append("".join(traceback.format_exception(error)))
    try:
        await add(database, (_ROUGH, [row, row]))
    except Exception as error:
        told.append("".join(traceback.format_exception(error)))

    assert told
    assert [one for one in told if "canary" in one or "41000000041" in one] == []


def _insert(insert: Any) -> Any:
    return insert(Lane)


_ROUGH = Bulk(_insert, ("name", "failures"))
