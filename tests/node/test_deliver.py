"""Deliveries: a dead host is set aside and delays nobody, comes back when it is heard from, and the desk sees who has what."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node import deliver
from node.deliver import GIVEN_UP_AFTER, SET_ASIDE_AFTER
from node.peers.deliveries import Deliveries, deliveries_of, progress_of
from node.peers.habits import Habits, hosts_at, remember_habits
from node.peers.synchronising import Told
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town


@pytest.fixture
async def followers(town: Town) -> tuple[Stranger, Stranger]:
    """Two servers that follow node a."""
    found = (Stranger(town, "one.example"), Stranger(town, "two.example", key="other"))
    for stranger in found:
        await stranger.post("a", stranger.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    return found


async def got_to(town: Town, url: str) -> dict[str, str]:
    return {one.host: one.state for one in (await told(town, url)).to}


async def told(town: Town, url: str) -> Deliveries:
    async with town["a"].node.database.read() as session:
        found, progress = await deliveries_of(session, url), await progress_of(session, url)
    assert found is not None
    assert progress == {state: found.count(state) for state in ("has", "waiting", "never")}
    return found


def created(stranger: Stranger) -> list[Any]:
    return [activity["object"]["id"] for activity in stranger.received if activity["type"] == "Create"]


async def pass_days(town: Town, days: float) -> None:
    for _ in range(int(days * 2) + 1):
        town.clock.forward(hours=12)
        await town.settle()


async def test_what_was_never_sent_has_got_nowhere(town: Town) -> None:
    async with town["a"].node.database.read() as session:
        assert await deliveries_of(session, "https://a.example/cases/none") is None
        assert set((await progress_of(session, "https://a.example/cases/none")).values()) == {0}


async def test_the_desk_sees_who_has_a_case_who_not_yet_and_who_never_will(
    town: Town, followers: tuple[Stranger, Stranger]
) -> None:
    one, two = followers
    town.wires.apps.pop(two.host)
    publication = await publish_case(town["a"].node)

    assert await got_to(town, publication.url) == {one.host: "waiting", two.host: "waiting"}
    await town.settle()
    assert await got_to(town, publication.url) == {one.host: "has", two.host: "waiting"}
    (late,) = (one for one in (await told(town, publication.url)).to if one.state == "waiting")
    assert late.attempts == 1
    assert late.failing_since == town.clock.now()
    assert late.reason

    town.wires.apps[two.host] = httpx.MockTransport(lambda _: httpx.Response(410))
    town.clock.forward(hours=1)
    await town.settle()
    assert await got_to(town, publication.url) == {one.host: "has", two.host: "never"}


async def test_a_dead_host_is_set_aside_asked_once_a_day_and_given_up_in_the_end(
    town: Town, followers: tuple[Stranger, Stranger]
) -> None:
    one, two = followers
    asked = 0

    def dead(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(503)

    town.wires.apps[two.host] = httpx.MockTransport(dead)
    publication = await publish_case(town["a"].node)
    await town.settle()
    await pass_days(town, SET_ASIDE_AFTER / timedelta(days=1))
    before = asked

    await pass_days(town, 4)
    second = await publish_case(town["a"].node)
    await town.settle()

    assert 3 <= asked - before <= 5
    assert created(one) == [publication.url, second.url]
    await pass_days(town, GIVEN_UP_AFTER / timedelta(days=1))
    assert (await got_to(town, publication.url))[two.host] == "never"
    assert (await got_to(town, second.url))[two.host] == "never"


async def test_a_host_that_is_heard_from_gets_what_waits_for_it_at_once_and_in_order(
    town: Town, followers: tuple[Stranger, Stranger]
) -> None:
    _, two = followers
    back = town.wires.apps.pop(two.host)
    first = await publish_case(town["a"].node)
    await town.settle()
    await pass_days(town, 7)
    second = await publish_case(town["a"].node)
    await town.settle()
    town.wires.apps[two.host] = back
    assert created(two) == []

    await two.post("a", two.activity("Like", first.url, number=7))
    await town.settle()

    assert created(two) == [first.url, second.url]
    assert await got_to(town, first.url) == {"one.example": "has", "two.example": "has"}


async def test_a_set_aside_host_that_says_nothing_is_found_by_the_daily_try(
    town: Town, followers: tuple[Stranger, Stranger]
) -> None:
    _, two = followers
    back = town.wires.apps.pop(two.host)
    publication = await publish_case(town["a"].node)
    await town.settle()
    await pass_days(town, 7)

    town.wires.apps[two.host] = back
    town.clock.forward(days=1)
    await town.settle()

    assert created(two) == [publication.url]


async def test_an_inbox_that_is_gone_takes_nothing_from_others_of_its_host(town: Town) -> None:
    gone, there = (Stranger(town, "many.example", name) for name in ("gone", "there"))

    def serve(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path == "/users/gone/inbox":
            return httpx.Response(410)
        return (gone if request.url.path.startswith("/users/gone") else there)._serve(request)

    town.wires.apps[gone.host] = httpx.MockTransport(serve)
    for number, stranger in enumerate((gone, there)):
        await stranger.post("a", stranger.activity("Follow", town["a"].settings.main_actor, number=number))
    await town.settle()

    first, second = await publish_case(town["a"].node), await publish_case(town["a"].node)
    await town.settle()

    assert created(there) == [first.url, second.url]
    assert {one.state for one in (await told(town, second.url)).to} == {"has", "never"}


@pytest.mark.both_databases
async def test_what_deliveries_teach_of_many_hosts_is_kept_together(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of hosts are met anew each day, and on SQLite nobody else writes meanwhile."""
    hosts = [Stranger(town, f"host{number}.example") for number in range(12)]
    for one in hosts:
        await one.post("a", one.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    town.clock.forward(days=2)
    for one in hosts[6:]:
        town.wires.apps[one.host] = httpx.MockTransport(lambda _: httpx.Response(503))
    kept: list[int] = []

    async def counting(session: AsyncSession, learnt: list[Habits]) -> None:
        kept.append(len(learnt))
        await remember_habits(session, learnt)

    monkeypatch.setattr(deliver, "remember_habits", counting)
    await publish_case(town["a"].node)
    await town.settle()

    names = [one.host for one in hosts]
    async with town["a"].node.database.read() as session:
        failing = {name for name, one in (await hosts_at(session, names)).items() if one.failing_since}
        told = len(list(await session.scalars(select(Told.pair))))
    assert failing == set(names[6:])
    assert told == 6
    assert sum(kept) == 6
    assert len(kept) < 6


async def test_what_could_not_be_kept_of_a_delivery_fails_it_and_it_is_sent_again(
    town: Town, followers: tuple[Stranger, Stranger], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    town.clock.forward(days=2)
    publication = await publish_case(town["a"].node)
    with monkeypatch.context() as patched:
        patched.setattr(deliver, "remember_told", fail)
        await town.settle()
    assert set((await got_to(town, publication.url)).values()) == {"waiting"}

    town.clock.forward(hours=1)
    await town.settle()

    assert set((await got_to(town, publication.url)).values()) == {"has"}
