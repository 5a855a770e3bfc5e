"""What people do, take back and do again under the ids they used before, as Misskey and Pixelfed name them; and what is only a repeat."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from federation import proofs
from node.inbox.keeping import Received
from node.inbox.signers import HELD_FOR, READ_AGAIN
from node.peers.follows import Follow
from tests.rig.keys import rsa_key
from tests.rig.stranger import Stranger
from tests.rig.town import Town


@pytest.fixture
def stranger(town: Town) -> Stranger:
    return Stranger(town)


async def send(town: Town, stranger: Stranger, activity: dict[str, object]) -> None:
    """A second passes before each: the signature tells one from the other."""
    town.clock.forward(seconds=1)
    assert (await stranger.post("a", activity)).status_code == 202
    await town.settle()


async def is_follower(town: Town, stranger: Stranger) -> bool:
    async with town["a"].node.database.read() as session:
        state = await session.scalar(select(Follow.state).where(Follow.follower == stranger.id))
    return state == "accepted"


def said_of(stranger: Stranger, town: Town) -> tuple[dict[str, object], dict[str, object]]:
    follow = stranger.activity("Follow", town["a"].settings.main_actor)
    return follow, stranger.activity("Undo", follow)


async def test_whoever_follows_leaves_and_follows_again_under_the_same_ids_follows_and_leaves_each_time(
    town: Town, stranger: Stranger
) -> None:
    follow, undo = said_of(stranger, town)
    seen = []
    for said in (follow, undo, follow, undo):
        await send(town, stranger, said)
        seen.append(await is_follower(town, stranger))

    assert seen == [True, False, True, False]
    assert [one["type"] for one in stranger.received] == ["Accept", "Accept"]


async def test_a_follow_whose_answer_was_lost_is_answered_again(town: Town, stranger: Stranger) -> None:
    follow, _ = said_of(stranger, town)
    await send(town, stranger, follow)
    await send(town, stranger, follow)

    assert [one["type"] for one in stranger.received] == ["Accept", "Accept"]


async def test_a_follow_that_somebody_sends_on_once_more_does_not_bring_back_who_left(
    town: Town, stranger: Stranger
) -> None:
    follow, undo = said_of(stranger, town)
    content, at_first = json.dumps(follow).encode(), town.clock.now()
    await stranger.post("a", content, now=at_first)
    await town.settle()
    await send(town, stranger, undo)

    again = await stranger.post("a", content, now=at_first)
    with_more = await stranger.post("a", content, now=at_first, headers={"x-more": "1"})
    await town.settle()

    assert (again.status_code, with_more.status_code) == (202, 202)
    assert not await is_follower(town, stranger)


async def test_a_follow_that_another_server_passes_on_later_does_not_bring_back_who_left(
    town: Town, stranger: Stranger
) -> None:
    follow, undo = said_of(stranger, town)
    signed = proofs.attach(follow, stranger.prover(), now=town.clock.now())
    await send(town, stranger, signed)
    await send(town, stranger, undo)
    other = Stranger(town, "other.example", "olga", key="other")
    town.clock.forward(seconds=1)

    assert (await other.post("a", signed)).status_code == 202
    await town.settle()

    assert not await is_follower(town, stranger)


async def test_a_report_under_a_known_id_stays_a_repeat_however_it_is_signed(
    town: Town, stranger: Stranger
) -> None:
    said = stranger.activity("Flag", town["a"].settings.main_actor)
    await send(town, stranger, said)
    await send(town, stranger, said)

    async with town["a"].node.database.read() as session:
        assert len((await session.scalars(select(Received.digest))).all()) == 1


async def test_an_actor_in_a_list_of_one_is_the_actor_and_of_two_is_nobody(
    town: Town, stranger: Stranger
) -> None:
    follow, _ = said_of(stranger, town)
    other = "https://stranger.example/users/olga"

    assert (await stranger.post("a", follow | {"actor": [stranger.id, other]})).status_code == 400
    assert (await stranger.post("a", follow | {"actor": []})).status_code == 400
    assert (await stranger.post("a", follow | {"actor": [stranger.id]})).status_code == 202
    await town.settle()

    assert await is_follower(town, stranger)


async def test_a_key_renewed_under_its_id_counts_as_soon_as_its_owner_has_said_so(
    town: Town, stranger: Stranger
) -> None:
    follow, undo = said_of(stranger, town)
    await send(town, stranger, follow)
    old, stranger_new = stranger.rsa, rsa_key("peer")
    town.clock.forward(minutes=6)
    stranger.rsa = stranger_new
    stranger.documents["/users/sam"] = stranger.actor()
    stranger.rsa = old
    await send(town, stranger, stranger.activity("Update", stranger.actor(), number=2))

    stranger.rsa = stranger_new
    town.clock.forward(seconds=READ_AGAIN.total_seconds())
    assert (await stranger.post("a", undo)).status_code == 202

    stranger.rsa = old
    town.clock.forward(seconds=(HELD_FOR + timedelta(seconds=1)).total_seconds())
    assert (await stranger.post("a", follow)).status_code == 401
