"""What is remembered of a host: since when it takes nothing, what was decided of it besides its policy, and what went out once."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from node.outbox import Job
from node.peers.habits import Habits, hosts_at, remember_habits
from node.peers.hosts import decide, decisions, shows_media_of, takes_reports_of
from node.peers.sending import Packed, Sent, send_all
from node.runtime import Node
from tests.rig.clock import FrozenClock

pytestmark = pytest.mark.both_databases


async def test_a_host_fails_since_the_first_time_and_until_it_takes_something(
    node: Node, clock: FrozenClock
) -> None:
    began = clock.now()
    since = []
    for answers in (False, False, True, False):
        async with node.database.begin() as session:
            said = ("cavage", None) if answers else (None, clock.now())
            await remember_habits(session, [Habits("far.example", *said)])
        async with node.database.read() as session:
            since.append((await hosts_at(session, ["far.example"]))["far.example"].failing_since)
        clock.forward(hours=1)

    assert since == [began, began, None, began + timedelta(hours=3)]


@pytest.mark.parametrize("refused", ["no_media", "no_reports"])
async def test_what_is_refused_alone_of_a_domain_is_refused_of_each_host_in_it(
    node: Node, refused: str
) -> None:
    more: dict[str, Any] = {refused: True}
    async with node.database.begin() as session:
        await decide(session, "wide.example", None, reason="", now=node.clock.now(), **more)

    async with node.database.read() as session:
        shown = await shows_media_of(session, "near.wide.example")
        taken = await takes_reports_of(session, "near.wide.example")
        assert [row.name for row in await decisions(session)] == ["wide.example"]

    assert (shown, taken) == (refused != "no_media", refused != "no_reports")


async def test_what_others_said_is_passed_on_once_however_often_it_comes(node: Node) -> None:
    said = "https://b.example/activities/1"
    row = {
        "id": said, "actor": node.settings.main_actor, "type": "Create", "object_id": "https://b.example/cases/1",
        "wraps": said, "body": b"{}", "is_public": True, "sent_at": node.clock.now(),
    }  # fmt: skip
    for _ in range(2):
        async with node.database.begin() as session:
            await send_all(session, [Packed(row, ("https://c.example/inbox",))], now=node.clock.now())

    async with node.database.read() as session:
        counted = [await session.scalar(select(func.count()).select_from(kind)) for kind in (Sent, Job)]
    assert counted == [1, 1]
