"""Strangers are forgotten a month after they were last read, when nothing here refers to them: their keys too, and nobody else's."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from node import roles
from node.effects.moving import NOT_AGAIN_FOR
from node.entries.entries import Entry, expect_withdrawn
from node.hub.quarantine import keep_out
from node.outbox import Job, Lane, Turn, enqueue
from node.peers.actors import RemoteActor, RemoteKey, keys_of, remember_actor
from node.peers.directory import find_actor
from node.peers.follows import Follow, between
from node.peers.habits import Habits, expect_dialect, remember_habits
from node.peers.hosts import Blocklist, Host, decide
from node.peers.network import NetworkMember
from node.peers.ours import say_alias
from node.peers.synchronising import Told, remember_told
from node.publishing.reactions import Reaction
from node.settings import Settings
from node.upkeep import forgetting
from node.upkeep.forgetting import FORGOTTEN_AFTER, forget_strangers
from tests.node.effects.test_process import a_document, admit, at_hub, victim
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.actors import Actor, PublicKey

__all__ = ["victim"]

pytestmark = pytest.mark.both_databases

SOMEBODY = "https://somebody.example/users/sam"
DAYS = FORGOTTEN_AFTER.days


async def forget(town: Town, *, days: float = DAYS + 1, site: str = "hub") -> None:
    """So many days later strangers are forgotten."""
    town.clock.forward(days=days)
    await forget_strangers(town[site].node, Turn(0, "chore:forget-strangers", forgetting.KIND, {}, 0))


async def add(session: AsyncSession, town: Town, *actors: str) -> None:
    """Their servers told of these actors just now, each with a key that was retired and one that holds."""
    for actor_id in actors:
        keys = tuple(
            PublicKey(f"{actor_id}#{name}", actor_id, "ed25519", multibase="z6Mk", expires=expires)
            for name, expires in (("old", town.clock.now()), ("new", None))
        )
        actor = Actor(actor_id, "Person", "sam", inbox=f"{actor_id}/inbox", keys=keys)
        await remember_actor(session, actor, now=town.clock.now())


async def known(town: Town, site: str = "hub") -> set[str]:
    async with town[site].node.database.read() as session:
        return set(await session.scalars(select(RemoteActor.id)))


async def count(town: Town, row: type[RemoteKey] | type[Follow]) -> int:
    async with town.hub.node.database.read() as session:
        return await session.scalar(select(func.count()).select_from(row)) or 0


def a_follow(town: Town, follower: str, followed: str, state: str) -> Follow:
    row = Follow(activity_id=f"{follower}#f", follower=follower, followed=followed, state=state)
    row.activity, row.changed_at = {}, town.clock.now()
    return row


async def test_a_stranger_is_forgotten_with_their_keys_and_not_before_the_time(town: Town) -> None:
    async with town.hub.node.database.begin() as session:
        await add(session, town, SOMEBODY)

    await forget(town, days=DAYS - 1)
    within = await known(town), await count(town, RemoteKey)
    await forget(town, days=2)
    after = await known(town), await count(town, RemoteKey)
    await forget(town, days=0)

    assert within == ({SOMEBODY}, 2)
    assert after == (set(), 0)
    assert await known(town) == set()


@pytest.mark.parametrize("state", ["requested", "accepted", "rejected", "undone"])
async def test_whom_we_asked_to_follow_is_known_whatever_became_of_it(town: Town, state: str) -> None:
    async with town.hub.node.database.begin() as session:
        await add(session, town, SOMEBODY)
        session.add(a_follow(town, town.hub.settings.main_actor, SOMEBODY, state))

    await forget(town)

    assert await known(town) == {SOMEBODY}


@pytest.mark.parametrize(("state", "is_known"), [("accepted", True), ("undone", False), ("rejected", False)])
async def test_who_follows_us_is_known_and_who_left_is_not(town: Town, state: str, is_known: bool) -> None:
    async with town.hub.node.database.begin() as session:
        await add(session, town, SOMEBODY)
        session.add(a_follow(town, SOMEBODY, town.hub.settings.main_actor, state))

    await forget(town)

    assert (SOMEBODY in await known(town), await count(town, Follow)) == (is_known, int(is_known))


async def test_whoever_something_here_refers_to_is_known(town: Town) -> None:
    why = ("shown", "withdrawn", "liked", "kept-out", "member", "list", "account-of-before")
    actors = {name: f"https://{name}.example/users/sam" for name in why}
    now = town.clock.now()
    async with town.hub.node.database.begin() as session:
        await add(session, town, SOMEBODY, *actors.values())
        url = "https://withdrawn.example/cases/1"
        await expect_withdrawn(session, url, actor=actors["withdrawn"], host="withdrawn.example", now=now)
        seen = Entry(
            **{column.key: "" for column in Entry.__table__.columns}
            | {"id": "https://shown.example/cases/1", "actor": actors["shown"], "own": False}
            | {"state": "live", "fields": {}, "document": b"", "published_at": now, "received_at": now}
            | {"updated_at": None, "withdrawn_at": None}
        )
        reaction = Reaction(id="https://liked.example/1", kind="like", actor=actors["liked"], case_url="x")
        reaction.site, reaction.received_at = "liked.example", now
        member = NetworkMember(actor=actors["member"], host="member.example", name="m", states="")
        session.add_all(
            (seen, reaction, member, Blocklist(url="https://list.example/l", actor=actors["list"]))
        )
        await keep_out(session, "https://kept-out.example/1", actor=actors["kept-out"], reason="x", now=now)
        await say_alias(
            session, town.hub.settings.main_actor, actors["account-of-before"], "also-known-as", now=now
        )

    await forget(town)

    assert await known(town) == set(actors.values())
    async with town.hub.node.database.read() as session:
        retired = [len(await keys_of(session, actor)) for actor in actors.values()]
    assert retired == [2] * len(actors)


async def test_the_hub_of_a_node_is_known(town: Town) -> None:
    site = await town.open("c", hub="https://hub.example")
    hub = "https://hub.example/actors/hub"
    async with site.node.database.begin() as session:
        await add(session, town, hub, SOMEBODY)

    await forget(town, site="c")

    assert await known(town, "c") == {hub}


async def test_what_a_publisher_signed_before_holds_after_others_were_forgotten(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    document = a_document(victim, town)
    await victim.post("hub", victim.activity("Create", document))
    await town.settle()
    async with town.hub.node.database.begin() as session:
        row = await between(session, town.hub.settings.main_actor, victim.id)
        assert row is not None
        await session.delete(row)
        await add(session, town, SOMEBODY)

    await forget(town)

    entry = await at_hub(town)
    async with town.hub.node.database.read() as session:
        keys = {key.id for key in await keys_of(session, victim.id)}
    assert entry is not None
    assert await known(town) == {victim.id}
    assert f"{victim.id}#ed25519-key" in keys


async def test_who_was_forgotten_and_writes_again_is_heard(town: Town) -> None:
    case = await publish_case(town["a"].node)
    stranger = Stranger(town)
    await find_actor(town["a"].node, stranger.id)
    await forget(town, site="a")
    forgotten = stranger.id not in await known(town, "a")

    answer = await stranger.post("a", stranger.activity("Like", case.url))
    await town.settle()
    await forget(town, site="a")

    async with town["a"].node.database.read() as session:
        liked = await session.scalar(select(Reaction.actor))
    assert forgotten
    assert (answer.status_code, liked) == (202, stranger.id)
    assert stranger.id in await known(town, "a")


async def test_what_was_decided_about_a_host_stands_when_its_actors_are_forgotten(town: Town) -> None:
    async with town.hub.node.database.begin() as session:
        await add(session, town, SOMEBODY)
        await decide(session, "somebody.example", "block", reason="", now=town.clock.now())

    await forget(town)

    async with town.hub.node.database.read() as session:
        row = await session.get(Host, "somebody.example")
    assert await known(town) == set()
    assert row is not None
    assert row.policy == "block"


async def test_many_are_forgotten_some_at_a_time(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    followed, *rest = (f"https://somebody.example/users/{number}" for number in range(7))
    async with town.hub.node.database.begin() as session:
        await add(session, town, followed, *rest)
        session.add(a_follow(town, town.hub.settings.main_actor, followed, "accepted"))

    await forget(town)

    assert await known(town) == {followed}


async def test_where_it_takes_long_the_rest_waits_for_the_next_day(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the job would go on when its lease is over, and be done again at the same time."""
    monkeypatch.setattr(forgetting, "AT_ONCE", 1)
    actors = [f"https://somebody.example/users/{number}" for number in range(4)]
    async with town.hub.node.database.begin() as session:
        await add(session, town, *actors)
    whole = forgetting._forget

    async def slow(session: AsyncSession, settings: Settings, old: Sequence[str], *, before: datetime) -> int:
        town.clock.forward(seconds=15)
        return await whole(session, settings, old, before=before)

    monkeypatch.setattr(forgetting, "_forget", slow)
    await forget(town)
    left = len(await known(town))
    await forget(town, days=1)

    assert (left, len(await known(town))) == (2, 0)


async def test_it_is_done_every_day_from_the_start(town: Town) -> None:
    node = town.hub.node
    async with node.database.begin() as session:
        await add(session, town, SOMEBODY)
    for _ in range(2):
        await roles.begin(node)

    town.clock.forward(days=DAYS)
    await town.settle()
    within = await known(town)
    town.clock.forward(days=1)
    await town.settle()

    async with node.database.read() as session:
        due = list(await session.scalars(select(Job.not_before).where(Job.kind == forgetting.KIND)))
    assert (within, await known(town)) == ({SOMEBODY}, set())
    assert len(due) == 1
    assert timedelta() < due[0] - town.clock.now() <= timedelta(days=1)


def test_who_moved_is_known_for_as_long_as_they_may_not_move_again() -> None:
    assert FORGOTTEN_AFTER > NOT_AGAIN_FOR


async def test_of_a_host_of_whom_nobody_is_known_nothing_is_left_but_what_was_decided_or_waits(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each host that ever wrote left a row here and a row there, for ever."""
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    node, now = town.hub.node, town.clock.now()
    await town.befriend("hub", "a")
    names = ["dead.example", "decided.example", "failing.example", "gone.example", "waits.example"]
    async with node.database.begin() as session:
        await decide(session, "decided.example", "limit", reason="", now=now)
        await remember_habits(session, [Habits("failing.example", None, now)])
        for name in ("gone.example", "dead.example", "waits.example"):
            await expect_dialect(session, name, "rfc9421")
        for name in names:
            await remember_told(session, [(node.settings.main_actor, f"https://{name}/inbox")], now=now)
            await enqueue(session, "deliver", {}, lane=f"to:{name}", key=name, now=now)
        await session.execute(update(Job).where(Job.key == "dead.example").values(dead_at=now))
        done = delete(Job).where(Job.key.not_in(["waits.example", "dead.example"]), Job.kind == "deliver")
        await session.execute(done)
        await session.execute(update(Lane).where(~exists().where(Job.lane == Lane.name)).values(due_at=None))

    await forget(town, days=3)

    async with node.database.read() as session:
        hosts = set(await session.scalars(select(Host.name)))
        lanes = set(await session.scalars(select(Lane.name).where(Lane.name.startswith("to:"))))
        told = set(await session.scalars(select(Told.pair)))
        jobs = set(await session.scalars(select(Job.key).where(Job.kind == "deliver")))
    assert hosts == {"a.example", "decided.example", "failing.example"}
    assert lanes == {"to:dead.example", "to:waits.example"}
    assert told == set()
    assert jobs == {"dead.example", "waits.example"}
