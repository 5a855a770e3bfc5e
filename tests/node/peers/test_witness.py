"""Each node keeps the lists of keys it saw of those it follows, and says when two contradict each other."""

import hashlib
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, event, select, update

from node.casework.team import intake_terms
from node.database import Database
from node.intake.manifest import IntakeManifest, sign_manifest
from node.outbox import Done, Job, Turn
from node.peers import witness
from node.peers.actors import RemoteActor
from node.peers.directory import find_actor
from node.peers.follows import Follow, follow, follows
from node.peers.hosts import Blocklist, HostAdvice
from node.peers.ours import local_actor_at
from node.peers.witness import KIND, PATH, forked, keep, look, seen_of
from node.roles import begin
from node.sealing import manifest
from node.sealing.manifest import named_in
from node.settings import Settings
from tests.rig.alerts import a_member, an_open_door
from tests.rig.clock import NOON
from tests.rig.keys import keyring
from tests.rig.stranger import Stranger
from tests.rig.town import Town

ORIGIN = "https://a.example"


async def lists(database: Database) -> tuple[IntakeManifest, IntakeManifest, IntakeManifest]:
    """The first list, one that follows it, and another for the same time as that."""
    door = await an_open_door(database)
    async with database.begin() as session:
        await a_member(session, "Dora")
        terms = await intake_terms(session, Settings(origin=ORIGIN, name="Sample (fictional)"))
    root = keyring("a").root()
    following = sign_manifest(terms, previous=door.manifest, root=root, now=NOON)
    other = sign_manifest(door.terms, previous=door.manifest, root=root, now=NOON + timedelta(days=1))
    return door.manifest, following, other


async def kept(database: Database, *bodies: bytes) -> list[bool | None]:
    found: list[bool | None] = []
    for body in bodies:
        async with database.begin() as session:
            row = await keep(session, ORIGIN, body, now=NOON + timedelta(days=1))
            found.append(None if row is None else row.is_forked)
    return found


async def test_two_lists_for_one_time_are_told(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    first, following, other = await lists(database)

    with caplog.at_level(logging.ERROR):
        found = await kept(database, first.body, following.body, other.body)

    assert found == [False, False, True]
    assert "manifest.forked" in caplog.messages
    async with database.read() as session:
        assert [row.sha256 for row in await forked(session)] == [other.sha256]
        assert len(await seen_of(session, ORIGIN)) == 3


@pytest.mark.both_databases
@pytest.mark.parametrize("epoch", [2**31, 2**53 - 1, -(2**31) - 1])
async def test_a_list_is_evidence_whatever_number_it_gives_itself(database: Database, epoch: int) -> None:
    """A column of 32 bits holds no such number: what a source was shown so, nobody had seen."""
    first, _, _ = await lists(database)
    far = manifest.sign_manifest(replace(named_in(first.body), epoch=epoch), keyring("a").root())
    other = manifest.sign_manifest(
        replace(named_in(first.body), epoch=epoch, organisation="Another"), keyring("a").root()
    )

    await kept(database, far, other)

    async with database.read() as session:
        assert {row.sha256 for row in await forked(session)} == {hashlib.sha256(other).hexdigest()}


async def test_a_list_that_was_seen_before_is_kept_once(database: Database) -> None:
    first, _, _ = await lists(database)

    assert await kept(database, first.body, first.body) == [False, False]
    async with database.read() as session:
        assert len(await seen_of(session, ORIGIN)) == 1


async def test_a_list_under_another_root_is_a_fork_too(database: Database) -> None:
    first, _, _ = await lists(database)
    async with database.read() as session:
        terms = await intake_terms(session, Settings(origin=ORIGIN, name="Sample (fictional)"))
    stranger = sign_manifest(terms, previous=first, root=keyring("b").root(), now=NOON)

    assert await kept(database, first.body, stranger.body) == [False, True]


async def test_who_serves_another_list_each_day_fills_no_disk(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest goes, but never the first, which says whose they are, nor one that contradicts."""
    monkeypatch.setattr(witness, "MOST_KEPT", 3)
    first, following, other = await lists(database)
    async with database.read() as session:
        terms = await intake_terms(session, Settings(origin=ORIGIN, name="Sample (fictional)"))
    root = keyring("a").root()
    third = sign_manifest(terms, previous=following, root=root, now=NOON)
    fourth = sign_manifest(terms, previous=third, root=root, now=NOON)

    found = await kept(database, first.body, following.body, other.body, third.body, fourth.body)

    assert found == [False, False, True, True, None]
    assert "manifest.too-many" in caplog.messages
    async with database.read() as session:
        left = {row.body for row in await seen_of(session, ORIGIN)}
    assert left == {first.body, other.body, third.body}


async def test_an_earlier_list_that_comes_late_is_held_against_the_later_one(database: Database) -> None:
    first, following, _ = await lists(database)

    assert await kept(database, following.body, first.body) == [False, False]


async def test_a_list_is_held_against_each_that_was_seen_and_not_only_the_last(database: Database) -> None:
    first, following, other = await lists(database)
    async with database.read() as session:
        terms = await intake_terms(session, Settings(origin=ORIGIN, name="Sample (fictional)"))
    third = sign_manifest(terms, previous=following, root=keyring("a").root(), now=NOON)

    found = []
    for day, one in enumerate((first, other, following, third)):
        async with database.begin() as session:
            row = await keep(session, ORIGIN, one.body, now=NOON + timedelta(days=day))
            found.append(row is not None and row.is_forked)

    # The last follows the one before it, and contradicts the one before that.
    assert found == [False, False, True, True]


@pytest.mark.parametrize("body", [b"", b"{}", b"not json"])
async def test_what_is_no_list_is_not_kept(database: Database, body: bytes) -> None:
    assert await kept(database, body) == [None]


async def test_the_list_of_another_node_is_not_kept(database: Database) -> None:
    first, _, _ = await lists(database)

    async with database.begin() as session:
        assert await keep(session, "https://b.example", first.body, now=NOON) is None


async def test_a_follow_that_is_older_than_looking_is_looked_at_from_the_next_start_on_and_once(
    town: Town,
) -> None:
    await town.befriend("hub", "a")
    hub, b = town.hub, town["b"]
    us = local_actor_at(hub.settings, hub.settings.main_actor)
    assert us is not None
    asked = await find_actor(hub.node, b.settings.main_actor)
    async with hub.node.database.begin() as session:
        await session.execute(delete(Job).where(Job.kind == KIND))
        # Asked, and not accepted yet: nobody looks at what they do not follow.
        await follow(session, hub.settings, hub.node.keyring, us=us, them=asked, now=hub.node.clock.now())

    for _ in range(2):
        await begin(hub.node)
    async with hub.node.database.read() as session:
        before: list[Any] = list(await session.scalars(select(Job).where(Job.kind == KIND)))
    await town.settle()
    await begin(hub.node)
    async with hub.node.database.read() as session:
        after: list[Any] = list(await session.scalars(select(Job).where(Job.kind == KIND)))

    assert [job.payload["node"] for job in before] == [town["a"].origin]
    assert sorted(job.payload["node"] for job in after) == [town["a"].origin, b.origin]
    assert {job.not_before - hub.node.clock.now() for job in after} == {timedelta(days=1)}


async def test_whoever_follows_a_node_looks_every_day(town: Town) -> None:
    hub, a = town["hub"], town["a"]
    async with a.node.database.begin() as session:
        for name in ("Ana", "Boris"):
            await a_member(session, name, now=a.node.clock.now())
    us = local_actor_at(hub.settings, hub.settings.main_actor)
    assert us is not None
    them = await find_actor(hub.node, a.settings.main_actor, invited=True)
    async with hub.node.database.begin() as session:
        await follow(session, hub.settings, hub.node.keyring, us=us, them=them, now=hub.node.clock.now())

    await town.settle()

    async with hub.node.database.read() as session:
        seen = await seen_of(session, a.origin)
        waiting: list[Any] = list(await session.scalars(select(Job).where(Job.kind == KIND)))
    assert [(row.epoch, row.is_forked) for row in seen] == [(1, False)]
    assert [job.not_before - hub.node.clock.now() for job in waiting] == [timedelta(days=1)]


async def test_a_look_that_was_given_up_is_begun_anew(town: Town) -> None:
    await town.befriend("hub", "a")
    await town.settle()
    hub = town.hub.node
    async with hub.database.begin() as session:
        await session.execute(update(Job).where(Job.kind == KIND).values(dead_at=hub.clock.now()))
    town.clock.forward(days=2)

    await begin(hub)

    async with hub.database.read() as session:
        jobs: list[Any] = list(await session.scalars(select(Job).where(Job.kind == KIND)))
    assert [job.dead_at is None for job in jobs].count(True) == 1


async def test_what_is_served_as_an_error_is_no_list(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    await town.befriend("hub", "a")
    door = town.wires.apps["a.example"]

    async def missing(request: httpx.Request) -> httpx.Response:
        if request.url.path == PATH:
            return httpx.Response(404, content=b"Nobody takes alerts here.")
        return await door.handle_async_request(request)

    town.wires.apps["a.example"] = httpx.MockTransport(missing)

    assert len(await looked(town, "a")) == 1
    assert "manifest.refused" not in caplog.messages


async def looked(town: Town, name: str) -> list[str]:
    """Which lists the hub asks for when it is told to look at this node's."""
    hub, before = town["hub"].node, len(town.wires.carried)
    assert await look(hub, Turn(1, "", KIND, {"node": town[name].origin}, 0)) == Done()
    return [str(one.url) for one in town.wires.carried[before:] if one.url.path == PATH]


async def test_nobody_looks_at_whom_they_do_not_follow_or_no_more_or_do_not_speak_with(town: Town) -> None:
    await town.befriend("hub", "a")
    hub, asked = town.hub, await find_actor(town.hub.node, town["b"].settings.main_actor)
    us = local_actor_at(hub.settings, hub.settings.main_actor)
    assert us is not None
    async with hub.node.database.begin() as session:
        await follow(session, hub.settings, hub.node.keyring, us=us, them=asked, now=hub.node.clock.now())

    found = [await looked(town, name) for name in ("a", "b")]
    async with hub.node.database.begin() as session:
        # Advice shuts a host out and ends no follow.
        session.add(Blocklist(url="https://list.example/blocks", actor="https://list.example/actor"))
        await session.flush()
        session.add(
            HostAdvice(blocklist="https://list.example/blocks", name="a.example", policy="block", reason="")
        )
    found.append(await looked(town, "a"))

    assert found == [[f"{town['a'].origin}{PATH}"], [], []]


async def test_only_who_asks_again_reads_again_what_one_who_has_accepted_published(town: Town) -> None:
    hub, stranger = town.hub, Stranger(town)
    us = local_actor_at(hub.settings, hub.settings.main_actor)
    assert us is not None
    them = await find_actor(hub.node, stranger.id)

    async def ask() -> dict[str, Any]:
        async with hub.node.database.begin() as session:
            now = hub.node.clock.now()
            row = await follow(session, hub.settings, hub.node.keyring, us=us, them=them, now=now)
            return row.activity

    asked = await ask()
    for number in range(3):
        await stranger.post("hub", stranger.activity("Accept", asked, number=number))
        await town.settle()
    read = [stranger.asked.count(path) for path in (PATH, "/users/sam/outbox")]
    await ask()
    await town.settle()

    assert read == [1, 1]
    assert [stranger.asked.count(path) for path in (PATH, "/users/sam/outbox")] == [1, 2]


async def test_who_accepts_what_they_refused_is_not_followed_and_not_read(town: Town) -> None:
    hub, stranger = town.hub, Stranger(town)
    us = local_actor_at(hub.settings, hub.settings.main_actor)
    assert us is not None
    them = await find_actor(hub.node, stranger.id)
    async with hub.node.database.begin() as session:
        row = await follow(
            session, hub.settings, hub.node.keyring, us=us, them=them, now=hub.node.clock.now()
        )

    for kind in ("Reject", "Accept"):
        await stranger.post("hub", stranger.activity(kind, row.activity))
        await town.settle()

    async with hub.node.database.read() as session:
        assert not await follows(session, us.id, stranger.id)
    assert {PATH, "/users/sam/outbox"}.isdisjoint(stranger.asked)


async def test_to_look_at_one_list_a_hub_reads_nothing_of_all_the_others_whom_it_follows(town: Town) -> None:
    """A hub of thousands looks at that many lists each day, hundreds at once: with all of its members for each it fell silent."""
    await town.open("c")
    for name in ("a", "b", "c"):
        await town.befriend("hub", name)
    read: list[str] = []

    def note(row: RemoteActor | Follow, _context: object) -> None:
        read.append(row.id if isinstance(row, RemoteActor) else row.followed)

    for kind in (RemoteActor, Follow):
        event.listen(kind, "load", note)
    try:
        asked = await looked(town, "a")
    finally:
        for kind in (RemoteActor, Follow):
            event.remove(kind, "load", note)

    assert asked == [f"{town['a'].origin}{PATH}"]
    assert {town[name].settings.main_actor for name in ("b", "c")}.isdisjoint(read)
