"""Hosts and actors known before keep what was decided about them, through 0006 and 0010, there and back, on both databases."""

import asyncio

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from node.database import async_url
from node.migrations import config, migrate

pytestmark = pytest.mark.both_databases

ACTOR = """INSERT INTO remote_actors (id, host, type, handle, name, url, inbox, fetched_at)
    VALUES ('https://b.example/a', 'b.example', 'Group', 'a@b.example', 'A', 'u', 'i', '2026-01-01 00:00:00')"""
DECIDED = "INSERT INTO hosts (name, policy, reason) VALUES ('evil.example', 'block', 'spam')"


async def run(database_url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run these; returns the rows of the last."""
    engine = create_async_engine(async_url(database_url))
    try:
        async with engine.begin() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        await engine.dispose()


async def test_what_was_decided_and_known_outlives_the_new_columns_and_their_undoing(
    database_url: str,
) -> None:
    await asyncio.to_thread(command.upgrade, config(database_url), "0005")
    await run(database_url, ACTOR, DECIDED)

    await asyncio.to_thread(migrate, database_url)
    actors = await run(database_url, "SELECT id, indexable, is_network FROM remote_actors")
    hosts = await run(database_url, "SELECT name, policy, reason, no_media, no_reports FROM hosts")
    await asyncio.to_thread(command.downgrade, config(database_url), "0005")
    after = await run(database_url, "SELECT name, policy, reason FROM hosts")

    # Whoever was searched stays so until asked again; nobody is of this network before saying so.
    assert actors == [("https://b.example/a", True, False)]
    assert hosts == [("evil.example", "block", "spam", False, False)]
    assert after == [("evil.example", "block", "spam")]
    assert len(await run(database_url, "SELECT id FROM remote_actors")) == 1
