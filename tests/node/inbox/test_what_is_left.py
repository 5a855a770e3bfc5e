"""What an activity leaves behind: nothing where it has no effect, a digest once it was processed, and nothing after a year."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from node.database import async_url
from node.inbox import keeping
from node.inbox.keeping import Received
from node.migrations import config, migrate
from node.outbox import Job
from node.peers.follows import follows
from node.peers.hosts import decide
from node.roles import begin
from tests.rig.stranger import Stranger
from tests.rig.town import Town

pytestmark = pytest.mark.both_databases


async def left(town: Town) -> list[Received]:
    async with town["a"].node.database.read() as session:
        return list(await session.scalars(select(Received)))


@pytest.mark.parametrize("kind", ["Listen", "as:Listen", "Nonsense", ["Listen", "View"], "LikeRequests"])
async def test_what_has_no_effect_is_accepted_and_leaves_nothing(town: Town, kind: Any) -> None:
    stranger = Stranger(town)

    answer = await stranger.post("a", stranger.activity("Listen", "https://a.example/x") | {"type": kind})

    assert answer.status_code == 202
    assert await left(town) == []
    async with town["a"].node.database.read() as session:
        of_theirs = select(func.count()).select_from(Job).where(Job.lane == f"from:{stranger.host}")
        assert await session.scalar(of_theirs) == 0


@pytest.mark.parametrize("kind", ["Listen", "Follow"])
async def test_a_type_is_no_way_to_learn_more_than_others_tell(town: Town, kind: str) -> None:
    stranger, shut = Stranger(town), Stranger(town, "evil.example", key="other")
    node = town["a"].node
    async with node.database.begin() as session:
        await decide(session, shut.host, "block", reason="a test", now=node.clock.now())
    said, theirs = (
        one.activity(kind, town["a"].settings.main_actor, number=n) for n, one in enumerate((stranger, shut))
    )

    answers = [
        await stranger.post("a", said),
        await stranger.post("a", said),
        await shut.post("a", theirs),
        # What somebody else says under that name.
        await stranger.post("a", theirs),
    ]

    assert [one.status_code for one in answers] == [202, 202, 403, 403]
    assert len({one.content for one in answers[:2]}) == 1


@pytest.mark.parametrize(
    "kind", ["as:Follow", "https://www.w3.org/ns/activitystreams#Follow", ["Follow"], ["Nonsense", "Follow"]]
)
async def test_a_type_that_is_spelled_otherwise_has_its_effect(town: Town, kind: Any) -> None:
    stranger, ours = Stranger(town), town["a"].settings.main_actor

    await stranger.post("a", stranger.activity("Follow", ours) | {"type": kind})
    await town.settle()

    async with town["a"].node.database.read() as session:
        assert await follows(session, stranger.id, ours)


async def test_after_a_year_nothing_is_left_of_what_was_processed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "FORGOTTEN_AT_ONCE", 2)
    node, stranger = town["a"].node, Stranger(town)
    await begin(node)
    for number in range(5):
        await stranger.post("a", stranger.activity("Flag", "https://a.example/x", number=number))
    await town.settle()
    unread = Received(
        digest=bytes(32), activity_id="x", actor="y", signer="z", body=b"{}", received_at=node.clock.now()
    )
    async with node.database.begin() as session:
        session.add(unread)
    before = len(await left(town))

    town.clock.forward(days=364)
    await town.settle()
    almost = len(await left(town))
    await stranger.post("a", stranger.activity("Flag", "https://a.example/x", number=9))
    town.clock.forward(days=3)
    await town.settle()

    assert (before, almost) == (6, 6)
    ages = {
        node.clock.now() - one.received_at < timedelta(days=4) for one in await left(town) if not one.body
    }
    assert (len(await left(town)), ages) == (2, {True})


async def test_what_was_processed_before_keeps_its_digest_alone(database_url: str) -> None:
    await asyncio.to_thread(command.upgrade, config(database_url), "0016")
    engine = create_async_engine(async_url(database_url))
    keep = text(
        "INSERT INTO received VALUES (:digest, 'id', 'actor', 'signer', :body, '2026-01-01 00:00:00')"
    )
    if not database_url.startswith("sqlite"):
        keep = text(str(keep).replace("'2026-01-01 00:00:00'", "timestamptz '2026-01-01 00:00:00+00'"))
    async with engine.begin() as connection:
        for digest, body in ((b"1" * 32, None), (b"2" * 32, b"{}")):
            await connection.execute(keep, {"digest": digest, "body": body})

    await asyncio.to_thread(migrate, database_url)

    async with engine.connect() as connection:
        found = await connection.execute(
            text("SELECT digest, activity_id, actor, signer, body FROM received ORDER BY digest")
        )
        rows = [tuple(row) for row in found]
    await engine.dispose()
    assert rows == [(b"1" * 32, "", "", "", None), (b"2" * 32, "id", "actor", "signer", b"{}")]
