"""What is withdrawn stays withdrawn, also when somebody changes it at the same moment."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import WITHDRAWN, Draft, Entry, put_entry, withdraw_entry
from tests.rig.publications import a_case

pytestmark = pytest.mark.both_databases

ACTOR, CASE = "https://other.example/actors/cases", "https://other.example/cases/c1"


async def put(session: AsyncSession, now: datetime, *, updated: datetime | None = None) -> Entry | None:
    draft = Draft(
        a_case(),
        id=CASE,
        actor=ACTOR,
        host="other.example",
        publisher="A publisher (fictional)",
        own=False,
        document=b"{}",
        sha256="0" * 64,
        proof_key=f"{ACTOR}#ed25519-key",
        published_at=now,
        updated_at=updated,
    )
    return await put_entry(session, draft, now=now)


async def test_an_update_does_not_undo_a_withdrawal_that_it_meets(database: Any, now: datetime) -> None:
    async with database.begin() as session:
        assert await put(session, now) is not None

    async def update() -> Entry | None:
        async with database.begin() as session:
            return await put(session, now, updated=now + timedelta(hours=1))

    async with database.begin() as session:
        await withdraw_entry(session, CASE, actor=ACTOR, tombstone=b"gone", now=now)
        await session.flush()
        updating = asyncio.create_task(update())
        await asyncio.sleep(0.2)
    outcome = await updating

    assert outcome is None
    async with database.read() as session:
        entry = await session.get(Entry, CASE)
    assert (entry.state, entry.document) == (WITHDRAWN, b"gone")
