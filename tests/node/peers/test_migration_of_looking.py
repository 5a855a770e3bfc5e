"""Hosts and actors keep what is known of them through 0018, there and back; what was told of followers is told once more."""

import asyncio

import pytest
from alembic import command

from node.migrations import config, migrate
from tests.node.peers.test_migration_of_hosts import ACTOR, run

pytestmark = pytest.mark.both_databases

HOST = """INSERT INTO hosts (name, dialect, no_media, no_reports, synchronised_at)
    VALUES ('b.example', 'rfc9421', false, false, '2026-01-01 00:00:00')"""
PAIR = "INSERT INTO told_of_followers (pair, told_at) VALUES ('b.example https://a.example/a', '2026-01-01 00:00:00')"


async def test_hosts_and_actors_outlive_what_is_told_of_each_of_ours_and_its_undoing(
    database_url: str,
) -> None:
    known = ACTOR.replace("fetched_at)", "fetched_at, indexable, is_network, states)").replace(
        "00:00:00')", "00:00:00', true, true, 'fr')"
    )
    await asyncio.to_thread(command.upgrade, config(database_url), "0017")
    await run(database_url, known, HOST)

    await asyncio.to_thread(migrate, database_url)
    hosts = await run(database_url, "SELECT name, dialect FROM hosts")
    actors = await run(database_url, "SELECT id, states, looked_at, missing_since FROM remote_actors")
    await run(database_url, PAIR)
    await asyncio.to_thread(command.downgrade, config(database_url), "0017")

    assert hosts == [("b.example", "rfc9421")]
    assert actors == [("https://b.example/a", "fr", None, None)]
    assert await run(database_url, "SELECT name, dialect, synchronised_at FROM hosts") == [
        ("b.example", "rfc9421", None)
    ]
    assert await run(database_url, "SELECT id, states FROM remote_actors") == [("https://b.example/a", "fr")]
