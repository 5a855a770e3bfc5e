"""A key in memory is looked up again after thirty seconds, and what ended it meanwhile ends it then; a day that was said before, at once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from node.inbox.receive import Answer, Inbox
from node.inbox.signers import HELD_FOR
from node.peers.actors import RemoteKey, forget_actor
from tests.rig.clock import FrozenClock
from tests.rig.stranger import Stranger
from tests.rig.town import Town

pytestmark = pytest.mark.both_databases

A_MOMENT = timedelta(seconds=1)


@pytest.fixture
def stranger(town: Town) -> Stranger:
    return Stranger(town)


async def post(inbox: Inbox, sender: Stranger, number: int) -> Answer:
    """What that process answers to the next activity, signed now."""
    activity = sender.activity("Follow", "https://a.example/actors/cases", number=number)
    return await inbox.receive(sender.posting("a", activity))


def process_of(town: Town, *, ahead: timedelta = timedelta(0)) -> Inbox:
    """One more process on the same database; its clock is that much ahead."""
    node = town["a"].node
    return Inbox(replace(node, clock=FrozenClock(town.clock.now() + ahead)) if ahead else node)


async def expire(town: Town, key: RemoteKey) -> None:
    async with town["a"].node.database.begin() as session:
        ended = update(RemoteKey).where(RemoteKey.id == key.id).values(expires_at=town.clock.now())
        await session.execute(ended)


async def rotate(town: Town, key: RemoteKey) -> None:
    renewed = Stranger(town, key="peer")
    async with town["a"].node.database.begin() as session:
        new = {"material": renewed.rsa.public.pem, "fetched_at": town.clock.now()}
        await session.execute(update(RemoteKey).where(RemoteKey.id == key.id).values(new))


async def list_no_more(town: Town, key: RemoteKey) -> None:
    sam = Stranger(town)
    sam.documents["/users/sam"] = sam.actor(publicKey=[])
    async with town["a"].node.database.begin() as session:
        await session.execute(delete(RemoteKey).where(RemoteKey.id == key.id))


async def leave(town: Town, key: RemoteKey) -> None:
    Stranger(town).documents.clear()
    async with town["a"].node.database.begin() as session:
        await forget_actor(session, key.owner, now=town.clock.now())


@pytest.mark.parametrize("how", [expire, rotate, list_no_more, leave])
async def test_a_key_that_ended_while_a_process_holds_it_counts_there_for_less_than_thirty_seconds(
    town: Town, stranger: Stranger, how: Any
) -> None:
    inbox = process_of(town)
    assert await post(inbox, stranger, 1) is Answer.ACCEPTED
    async with town["a"].node.database.read() as session:
        key = await session.get_one(RemoteKey, stranger.key_id)
    await how(town, key)

    town.clock.forward(seconds=(HELD_FOR - A_MOMENT).total_seconds())
    just_before = await post(inbox, stranger, 2)
    town.clock.forward(seconds=A_MOMENT.total_seconds())
    then = await post(inbox, stranger, 3)

    assert (just_before, then) == (Answer.ACCEPTED, Answer.UNAUTHORISED)


async def test_a_held_key_ends_at_the_moment_that_its_owner_said_before(
    town: Town, stranger: Stranger
) -> None:
    ends = town.clock.now() + 10 * A_MOMENT
    key = stranger.actor()["publicKey"] | {"expires": ends.isoformat()}
    stranger.documents["/users/sam"] = stranger.actor(publicKey=key)
    inbox = process_of(town)

    first = await post(inbox, stranger, 1)
    town.clock.forward(seconds=9)
    last = await post(inbox, stranger, 2)
    town.clock.forward(seconds=1)
    too_late = await post(inbox, stranger, 3)

    assert (first, last, too_late) == (Answer.ACCEPTED, Answer.ACCEPTED, Answer.UNAUTHORISED)


@pytest.fixture
async def ahead(town: Town, stranger: Stranger) -> tuple[Inbox, FrozenClock]:
    """A process that holds a key which another one has renewed since, by a clock that is ten seconds behind; and its clock."""
    inbox = process_of(town, ahead=10 * A_MOMENT)
    assert await post(inbox, stranger, 1) is Answer.ACCEPTED
    async with town["a"].node.database.read() as session:
        key = await session.get_one(RemoteKey, stranger.key_id)
    await rotate(town, key)
    clock = inbox._node.clock
    assert isinstance(clock, FrozenClock)
    return inbox, clock


async def test_a_key_that_a_process_whose_clock_is_behind_has_renewed_ends_that_of_before_all_the_same(
    town: Town, stranger: Stranger, ahead: tuple[Inbox, FrozenClock]
) -> None:
    """It has an earlier date than the one that is held, and would be taken for older, for ever."""
    inbox, clock = ahead
    for each in (clock, town.clock):
        each.forward(seconds=HELD_FOR.total_seconds())

    assert await post(inbox, stranger, 2) is Answer.UNAUTHORISED
    assert await post(inbox, Stranger(town, key="peer"), 3) is Answer.ACCEPTED


async def test_a_clock_that_is_set_back_makes_no_key_count_for_longer(
    town: Town, stranger: Stranger, ahead: tuple[Inbox, FrozenClock]
) -> None:
    inbox, clock = ahead
    clock._now = town.clock.now()

    assert await post(inbox, stranger, 2) is Answer.UNAUTHORISED
