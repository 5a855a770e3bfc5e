"""A server that could not answer for a moment loses nothing by it: what it was asked for is asked for again, later each time."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from node.effects.process import LONGEST_WAIT, TRIES
from node.entries.entries import Entry
from node.outbox import Job
from node.peers.actors import RemoteActor
from node.peers.directory import find_actor
from node.peers.follows import read_back, unfollow
from node.peers.ours import local_actor_at
from node.publishing.reactions import Reaction
from tests.node.effects.test_forwarded import a_reply, noted
from tests.node.effects.test_process import a_document, admit, at_hub, mallory, victim
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import AS

__all__ = ["mallory", "victim"]

PASSING = [408, 425, 429, 500, 502, 503, 504]
FINAL = [400, 401, 403, 404, 410, 501]


async def jobs(town: Town, at: str = "hub") -> list[Job]:
    async with town[at].node.database.read() as session:
        found = select(Job).where(Job.kind.in_(["process", "backfill"])).order_by(Job.seq)
        return list(await session.scalars(found))


async def an_outbox(town: Town, owner: Stranger, names: list[str]) -> dict[str, dict[str, Any]]:
    """An outbox that names these cases; what its owner's server would serve for each."""
    cases = {f"/cases/{name}": a_document(owner, town, name) for name in names}
    owner.documents[f"/users/{owner.id.rsplit('/', 1)[1]}/outbox"]["orderedItems"] = [
        {"type": "Create", "actor": owner.id, "object": case["id"]} for case in cases.values()
    ]
    return cases


async def announced(town: Town, member: Stranger, status: int) -> None:
    """A member announced a case of its own, and its server answers like this when it is asked for it."""
    await admit(town, member)
    member.documents["/cases/c1"] = httpx.Response(status)
    await member.post("hub", member.activity("Announce", "https://victim.example/cases/c1"))
    await town.settle()


@pytest.mark.both_databases
@pytest.mark.parametrize("status", PASSING)
async def test_a_case_whose_home_cannot_answer_for_a_moment_is_taken_in_afterwards(
    town: Town, victim: Stranger, status: int
) -> None:
    await announced(town, victim, status)
    before = await at_hub(town)
    victim.documents["/cases/c1"] = a_document(victim, town)
    town.clock.forward(seconds=30)
    await town.settle()

    assert before is None
    assert await at_hub(town) is not None
    assert await jobs(town) == []


@pytest.mark.parametrize("status", FINAL)
async def test_what_a_repeat_does_not_change_is_asked_for_once(
    town: Town, victim: Stranger, status: int
) -> None:
    await announced(town, victim, status)
    asked = victim.asked.count("/cases/c1")
    town.clock.forward(hours=3)
    await town.settle()

    assert (
        victim.asked.count("/cases/c1") == asked <= 2
    )  # a refused signature is followed by the other spelling
    assert await jobs(town) == []


async def test_a_reply_that_is_only_named_is_noted_when_its_server_has_room_again(
    town: Town, victim: Stranger
) -> None:
    note = await a_reply(town, victim)
    victim.documents["/notes/1"] = httpx.Response(429, headers={"retry-after": "600"})

    await victim.post("a", victim.activity("Create", note["id"]))
    await town.settle()
    victim.documents["/notes/1"] = note
    town.clock.forward(seconds=599)
    too_early = await noted(town, note["id"])
    town.clock.forward(seconds=1)

    assert too_early is None
    assert await noted(town, note["id"]) is not None
    assert victim.asked.count("/notes/1") == 2


async def test_a_wish_to_wait_for_days_is_kept_to_within_limits(town: Town, victim: Stranger) -> None:
    note = await a_reply(town, victim)
    victim.documents["/notes/1"] = httpx.Response(503, headers={"retry-after": "864000"})

    await victim.post("a", victim.activity("Create", note["id"]))
    await town.settle()

    (job,) = await jobs(town, "a")
    assert job.not_before == town.clock.now() + LONGEST_WAIT


async def test_one_address_that_never_answers_delays_nothing_else_of_its_server_and_is_given_up(
    town: Town, victim: Stranger
) -> None:
    note = await a_reply(town, victim)
    victim.documents["/notes/1"] = httpx.Response(500)

    await victim.post("a", victim.activity("Create", note["id"], number=1))
    await victim.post("a", victim.activity("Create", note | {"id": f"{note['id']}2"}, number=2))
    beside = await noted(town, f"{note['id']}2")
    for _ in range(TRIES + 1):
        town.clock.forward(hours=3)
        await town.settle()

    (job,) = await jobs(town, "a")
    assert beside is not None
    assert job.dead_at is not None
    assert victim.asked.count("/notes/1") == TRIES + 1
    async with town["a"].node.database.read() as session:
        assert await session.get(Reaction, note["id"]) is None


async def test_a_case_under_a_new_key_waits_until_its_publishers_server_shows_the_key(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    town.clock.forward(minutes=10)
    renewed = Stranger(town, "victim.example", "cases", key="peer")
    shown = renewed.documents["/users/cases"]
    shown["assertionMethod"][0]["id"] = f"{renewed.id}#new"
    case = a_document(renewed, town)
    case = case | {"proof": case["proof"] | {"verificationMethod": f"{renewed.id}#new"}}
    renewed.documents["/users/cases"] = httpx.Response(503)

    await victim.post("hub", victim.activity("Create", case))
    await town.settle()
    before = await jobs(town)

    assert len(before) == 1
    assert before[0].last_reason == "HTTP 503"


@pytest.mark.both_databases
@pytest.mark.parametrize("down", ["the outbox", "a page", "one case", "all cases", "the server"])
async def test_what_was_published_before_is_read_when_the_server_is_there_again(
    town: Town, victim: Stranger, down: str
) -> None:
    names = [f"c{number}" for number in range(8)]
    cases = await an_outbox(town, victim, names)
    there = victim.documents | cases
    if down == "a page":
        page = there["/users/cases/outbox"] | {"id": f"{victim.id}/outbox/1"}
        there["/users/cases/outbox"] = {
            name: value for name, value in page.items() if name != "orderedItems"
        } | {"id": f"{victim.id}/outbox", "first": page["id"]}
        there["/users/cases/outbox/1"] = page
    busy = httpx.Response(503)
    missing: dict[str, dict[str, Any]] = {
        "the outbox": {"/users/cases/outbox": busy},
        "a page": {"/users/cases/outbox/1": busy},
        "one case": {"/cases/c2": busy},
        "all cases": dict.fromkeys(cases, busy),
        "the server": {},
    }
    victim.documents = there | missing[down]
    serve = town.wires.apps[victim.host]

    def refused(request: httpx.Request) -> httpx.Response:
        if request.url.path in {"/users/cases", "/users/cases/inbox"}:
            return httpx.MockTransport(victim._serve).handler(request)  # type: ignore[return-value]  # it answers at once
        raise httpx.ConnectError("no", request=request)

    if down == "the server":
        town.wires.apps[victim.host] = httpx.MockTransport(refused)
    await admit(town, victim)
    first = [await at_hub(town, name) is not None for name in names]
    asked = [path for path in victim.asked if path.startswith("/cases/")]
    victim.documents, town.wires.apps[victim.host] = there, serve
    victim.asked.clear()
    town.clock.forward(seconds=30)
    await town.settle()

    assert first == [down == "one case" and name != "c2" for name in names]
    assert len(asked) == {"one case": 8, "all cases": 5}.get(down, 0)
    assert all([await at_hub(town, name) is not None for name in names])
    # What was here is not asked for once more.
    assert [path for path in victim.asked if path.startswith("/cases/")] == [
        path for path in cases if down != "one case" or path == "/cases/c2"
    ]
    assert await jobs(town) == []


@pytest.mark.both_databases
async def test_what_an_actor_says_of_itself_is_asked_for_again_when_its_server_has_room(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    victim.documents["/users/cases"] = httpx.Response(503)
    await victim.post("hub", victim.activity("Update", victim.actor(name="Another name"), number=2))
    await town.settle()
    async with town.hub.node.database.read() as session:
        before = await session.get_one(RemoteActor, victim.id)

    victim.documents["/users/cases"] = victim.actor(name="Another name")
    town.clock.forward(seconds=30)
    await town.settle()

    async with town.hub.node.database.read() as session:
        after = await session.get_one(RemoteActor, victim.id)
    assert (before.name, after.name) == ("A stranger (fictional)", "Another name")
    assert await jobs(town) == []


async def test_an_outbox_that_is_never_there_is_given_up_and_read_when_it_is_followed_anew(
    town: Town, victim: Stranger
) -> None:
    await an_outbox(town, victim, [])
    outbox = victim.documents["/users/cases/outbox"]
    victim.documents["/users/cases/outbox"] = httpx.Response(503)
    await admit(town, victim)
    for _ in range(TRIES + 2):
        town.clock.forward(seconds=timedelta(hours=3).seconds)
        await town.settle()
    asked = victim.asked.count("/users/cases/outbox")
    left = await jobs(town)

    victim.documents["/users/cases/outbox"] = outbox
    await admit(town, victim)

    assert asked == TRIES + 1
    assert left == []


@pytest.mark.both_databases
@pytest.mark.parametrize("shows", ["410", "a Tombstone"])
@pytest.mark.parametrize("named", [["c4"], ["c1", "c2", "c3", "c4"]])
async def test_a_withdrawal_that_never_came_is_heard_of_when_its_publisher_is_read_anew(
    town: Town, victim: Stranger, shows: str, named: list[str]
) -> None:
    cases = await an_outbox(town, victim, ["c1", "c2", "c3", "c4"])
    victim.documents |= cases
    await admit(town, victim)
    stone = {"@context": AS, "id": cases["/cases/c1"]["id"], "type": "Tombstone"}

    # Some forget in the outbox what they withdrew, others name all that they ever said.
    await an_outbox(town, victim, named)
    victim.documents["/cases/c1"] = httpx.Response(410) if shows == "410" else stone
    victim.documents["/cases/c2"] = httpx.Response(404)
    victim.documents["/cases/c3"] = a_document(victim, town, "c3", minutes=5)
    town.clock.forward(hours=1)
    await admit(town, victim)

    # What is merely not there may come back.
    found = [await at_hub(town, name) for name in ("c1", "c2", "c3", "c4")]
    assert [one.state for one in found] == ["withdrawn", "live", "corrected", "live"]


async def test_who_is_read_anew_is_not_asked_twice_for_a_case_nor_for_those_of_others(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    for member in (victim, mallory):
        member.documents |= await an_outbox(town, member, ["c1"])
        await admit(town, member)
        member.asked.clear()
    mallory.documents["/cases/c1"] = httpx.Response(410)

    await admit(town, victim)

    assert [path for path in victim.asked if path.startswith("/cases/")] == ["/cases/c1"]
    assert mallory.asked == []
    assert (await at_hub(town, host=mallory.host)).state == "live"


async def test_an_outbox_that_waits_to_be_read_is_not_once_its_owner_is_followed_no_more(town: Town) -> None:
    await town.befriend("b", "a")
    node, them = town["b"].node, town["a"].settings.main_actor
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    actor = await find_actor(node, them)
    async with node.database.begin() as session:
        await read_back(session, them, now=town.clock.now())
        await unfollow(session, node.settings, node.keyring, us=us, them=actor, now=town.clock.now())
    await publish_case(town["a"].node)

    await town.settle()

    async with node.database.read() as session:
        assert list(await session.scalars(select(Entry.id))) == []
