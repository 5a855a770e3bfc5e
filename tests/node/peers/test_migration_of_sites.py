"""What was kept before it was counted by site is counted with the rest of its site, and may go back, on both databases."""

import asyncio

import pytest
from alembic import command

from node.migrations import config, migrate
from tests.node.peers.test_migration_of_hosts import run

pytestmark = pytest.mark.both_databases

REPORT = """INSERT INTO reports (id, activity_id, reporter, host, objects, text, received_at)
    VALUES ('r', 'f', 'https://A.evil.example:8443/x', 'a.evil.example:8443', '[]', 'words', '2026-01-01 00:00:00')"""
KEPT_OUT = """INSERT INTO quarantine (id, actor, host, reason, received_at)
    VALUES ('https://b.evil.example/c', 'https://b.evil.example/x', 'b.evil.example', 'why', '2026-01-01 00:00:00')"""
LIKE = """INSERT INTO reactions (id, kind, actor, case_url, received_at, shown)
    VALUES ('l', 'like', 'https://c.evil.example/x', 'c', '2026-01-01 00:00:00', {})"""


async def test_what_was_kept_is_counted_by_site_and_keeps_the_rest(database_url: str) -> None:
    await asyncio.to_thread(command.upgrade, config(database_url), "0015")
    shown = "0" if database_url.startswith("sqlite") else "false"
    await run(database_url, REPORT, KEPT_OUT, LIKE.format(shown))

    await asyncio.to_thread(migrate, database_url)
    after = [
        await run(database_url, statement)
        for statement in (
            "SELECT id, site, text FROM reports",
            "SELECT site, reason FROM quarantine",
            "SELECT id, site FROM reactions",
        )
    ]
    await asyncio.to_thread(command.downgrade, config(database_url), "0015")
    before = [
        await run(database_url, statement)
        for statement in (
            "SELECT id, host, text FROM reports",
            "SELECT host, reason FROM quarantine",
            "SELECT id, kind FROM reactions",
        )
    ]

    assert after == [[("r", "evil.example", "words")], [("evil.example", "why")], [("l", "evil.example")]]
    assert before == [[("r", "a.evil.example:8443", "words")], [("b.evil.example", "why")], [("l", "like")]]
