"""Who was shut out, and is let in again, is told what was for everybody."""

from datetime import datetime

import pytest
from sqlalchemy import event, func, select, update

from node.database import Database
from node.entries.entries import Entry
from node.outbox import Job, Order, enqueue_many
from node.peers import blocklists
from node.peers.directory import find_actor
from node.peers.hosts import decide
from node.peers.sending import WITHHELD, Sent, lane_to, send_withheld
from node.publishing.copies import remember_copy
from tests.rig.publications import a_case, publish_case, withdraw_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town

pytestmark = pytest.mark.both_databases

WAYS = ["by a decision", "by a list"]


async def decided(town: Town, name: str, host: str, policy: str | None) -> None:
    async with town[name].node.database.begin() as session:
        await decide(session, host, policy, reason="", now=town.clock.now())


async def shut_out(town: Town, by: str, host: str, way: str) -> None:
    if way == "by a decision":
        await decided(town, by, host, "block")
    else:
        await decided(town, "hub", host, "block")
        await blocklists.subscribe(town[by].node, f"{town.hub.settings.main_actor}/blocklist")


async def let_in(town: Town, by: str, host: str, way: str) -> None:
    if way == "by a decision":
        await decided(town, by, host, None)
    else:
        async with town[by].node.database.begin() as session:
            url = f"{town.hub.settings.main_actor}/blocklist"
            await blocklists.unsubscribe(session, url, now=town.clock.now())
    await town.settle()


async def state(town: Town, name: str, url: str) -> str | None:
    async with town[name].node.database.read() as session:
        entry = await session.get(Entry, url)
    return entry.state if entry else None


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_withdrawn_while_somebody_was_shut_out_is_told_them_when_they_are_let_in(
    town: Town, way: str
) -> None:
    await town.befriend("b", "a")
    publication = await publish_case(town["a"].node)
    await town.settle()
    await shut_out(town, "a", "b.example", way)
    town.clock.forward(minutes=1)
    await withdraw_case(town["a"].node, publication)
    await town.settle()
    meanwhile = await state(town, "b", publication.url)

    await let_in(town, "a", "b.example", way)

    assert meanwhile == "live"
    assert await state(town, "b", publication.url) == "withdrawn"


async def test_a_follower_whom_a_list_shut_out_is_sent_what_was_published_meanwhile_and_stands(
    town: Town,
) -> None:
    await town.befriend("b", "a")
    await shut_out(town, "a", "b.example", "by a list")
    stands, withdrawn = [await publish_case(town["a"].node, a_case(number)) for number in range(2)]
    await town.settle()
    town.clock.forward(minutes=1)
    await withdraw_case(town["a"].node, withdrawn)
    await town.settle()

    await let_in(town, "a", "b.example", "by a list")

    assert await state(town, "b", stands.url) == "live"
    assert await state(town, "b", withdrawn.url) in (None, "unseen")


async def test_whoever_is_still_shut_out_is_sent_nothing_when_another_is_let_in(town: Town) -> None:
    reader, other = Stranger(town, "reader.example", key="peer"), Stranger(town, "other.example", key="other")
    for one in (reader, other):
        await one.post("a", one.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    publication = await publish_case(town["a"].node)
    await town.settle()
    for one in (reader, other):
        await decided(town, "a", one.host, "block")
    town.clock.forward(minutes=1)
    await withdraw_case(town["a"].node, publication)
    await town.settle()

    await let_in(town, "a", other.host, "by a decision")

    assert [one["type"] for one in reader.received] == ["Accept", "Create"]
    assert [one["type"] for one in other.received] == ["Accept", "Create", "Delete"]


async def test_what_was_said_to_somebody_alone_is_not_sent_when_they_are_let_in(town: Town) -> None:
    reader = Stranger(town, "reader.example", key="peer")
    await reader.post("a", reader.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    door = town.wires.apps.pop(reader.host)
    town.clock.forward(seconds=1)
    await reader.post("a", reader.activity("Follow", town["a"].settings.main_actor, number=2))
    await town.settle()
    town.wires.apps[reader.host] = door
    await decided(town, "a", reader.host, "block")
    town.clock.forward(hours=1)
    await town.settle()
    async with town["a"].node.database.read() as session:
        given_up = list(await session.scalars(select(Job.last_reason).where(Job.dead_at.is_not(None))))

    await let_in(town, "a", reader.host, "by a decision")

    assert given_up == [WITHHELD]
    assert [one["type"] for one in reader.received] == ["Accept"]


async def test_whoever_fetched_a_case_and_is_shut_out_hears_of_its_withdrawal_when_they_are_let_in(
    town: Town,
) -> None:
    reader = Stranger(town, "reader.example", key="peer")
    node, now = town["a"].node, town.clock.now()
    await find_actor(node, reader.id)
    publication = await publish_case(node)
    async with node.database.begin() as session:
        await remember_copy(session, publication.url, f"{reader.id}/inbox", served_at=now, now=now)
    await decided(town, "a", reader.host, "block")
    await withdraw_case(node, publication)
    await town.settle()
    meanwhile = list(reader.received)

    await let_in(town, "a", reader.host, "by a decision")

    assert meanwhile == []
    assert [one["type"] for one in reader.received] == ["Delete"]


async def test_many_who_are_let_in_at_once_take_no_more_questions_than_few(
    database: Database, now: datetime
) -> None:
    """Host by host, a list of thousands that is followed no more held SQLite for longer than an inbox waits."""
    sent = {"actor": "https://a.example/actors/cases", "type": "Delete", "object_id": "x", "wraps": None}
    activity = "https://a.example/activities/1"
    async with database.begin() as session:
        session.add(Sent(id=activity, body=b"{}", is_public=True, sent_at=now, **sent))
    asked: list[int] = []
    counts: list[int] = []

    def note(*_: object) -> None:
        if asked:
            asked[-1] += 1

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    for many in (2, 40):
        hosts = [f"of{many}-{number}.example" for number in range(many)]
        orders = [Order("deliver", {"activity": activity}, lane_to(host), host) for host in hosts]
        async with database.begin() as session:
            await enqueue_many(session, orders, now=now)
            dead = update(Job).where(Job.key.in_(hosts)).values(dead_at=now, last_reason=WITHHELD)
            await session.execute(dead)
        async with database.begin() as session:
            asked.append(0)
            await send_withheld(session, hosts, now=now)
            counts = [*counts, asked.pop()]

    assert counts[0] == counts[1]
    async with database.read() as session:
        assert await session.scalar(select(func.count()).where(Job.dead_at.is_(None))) == 42
