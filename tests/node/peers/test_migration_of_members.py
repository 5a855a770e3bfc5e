"""Actors known before say nothing of their States, and what an organisation wrote about its hours stays, through 0011, there and back."""

import asyncio

import pytest
from alembic import command

from node.migrations import config, migrate
from tests.node.peers.test_migration_of_hosts import ACTOR, run

pytestmark = pytest.mark.both_databases

WORDS = "We answer by six in the evening (fictional)."
FORM = f"""INSERT INTO form_versions (sha256, purpose, number, document)
    VALUES ('{"a" * 64}', 'urgent', 1, CAST('{WORDS}' AS {{bytes}}))"""


async def test_actors_and_the_words_of_forms_outlive_promises_and_their_undoing(database_url: str) -> None:
    kind = "BYTEA" if database_url.startswith("postgres") else "BLOB"
    await asyncio.to_thread(command.upgrade, config(database_url), "0010")
    known = ACTOR.replace("fetched_at)", "fetched_at, indexable, is_network)").replace(
        "00:00:00')", "00:00:00', true, true)"
    )
    await run(database_url, known, FORM.format(bytes=kind))

    await asyncio.to_thread(migrate, database_url)
    actors = await run(database_url, "SELECT id, states FROM remote_actors")
    promises = await run(database_url, "SELECT hours FROM intake_promises")
    before = await run(database_url, "SELECT document FROM form_versions")
    await asyncio.to_thread(command.downgrade, config(database_url), "0010")
    after = await run(database_url, "SELECT document FROM form_versions")

    assert actors == [("https://b.example/a", "")]
    assert promises == []
    assert [bytes(row[0]) for row in (*before, *after)] == [WORDS.encode()] * 2  # type: ignore[call-overload]  # rows of any shape: these hold bytes
    assert len(await run(database_url, "SELECT id FROM remote_actors")) == 1
