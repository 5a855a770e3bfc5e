"""How far the clock of who signs may be off: an hour for strangers, five minutes for servers of this network that we follow."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from node.inbox.signers import HELD_FOR
from node.peers.directory import find_actor
from node.peers.follows import between, follow, unfollow
from node.peers.ours import local_actor_at
from node.statements import Hand, Question
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import SRT

pytestmark = pytest.mark.both_databases

OURS: dict[str, object] = {
    "generator": {"type": "Application", "implements": [{"href": SRT, "name": "Cases"}]}
}
OTHERS: dict[str, object] = {
    "generator": {"type": "Application", "implements": [{"href": "https://x.example/", "name": "x"}]}
}


def a_server(town: Town, says: dict[str, object]) -> Stranger:
    stranger = Stranger(town)
    stranger.documents["/users/sam"] = stranger.actor(**says)
    return stranger


async def ask(town: Town, them: Stranger, *, accepted: bool) -> None:
    """We follow them, and they agree or have not yet."""
    node = town["a"].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    actor = await find_actor(node, them.id)
    async with node.database.begin() as session:
        await follow(session, node.settings, node.keyring, us=us, them=actor, now=node.clock.now())
    if accepted:
        async with node.database.read() as session:
            row = await between(session, us.id, them.id)
        assert row is not None
        await them.post("a", them.activity("Accept", row.activity))
        await town.settle()
        town.clock.forward(seconds=HELD_FOR.seconds)


async def answer(
    town: Town, stranger: Stranger, off: timedelta, dialect: str = "cavage", number: int = 1
) -> int:
    activity = stranger.activity("Follow", town["a"].settings.main_actor, number=number)
    return (await stranger.post("a", activity, now=town.clock.now() + off, dialect=dialect)).status_code


@pytest.mark.parametrize("off", [timedelta(minutes=-11), timedelta(minutes=6), timedelta(minutes=-50)])
@pytest.mark.parametrize("dialect", ["cavage", "rfc9421"])
async def test_a_server_of_this_network_whose_clock_is_off_by_more_than_five_minutes_is_refused(
    town: Town, off: timedelta, dialect: str
) -> None:
    member = a_server(town, OURS)
    await ask(town, member, accepted=True)

    assert await answer(town, member, off, dialect) == 401


@pytest.mark.parametrize("off", [timedelta(minutes=-4), timedelta(minutes=4)])
async def test_four_minutes_are_forgiven(town: Town, off: timedelta) -> None:
    member = a_server(town, OURS)
    await ask(town, member, accepted=True)

    assert await answer(town, member, off) == 202


@pytest.mark.parametrize(
    ("says", "accepted"), [(OURS, False), (OTHERS, True), ({}, True)], ids=["asked", "others", "silent"]
)
async def test_whoever_is_no_server_of_this_network_or_has_not_agreed_keeps_the_hour(
    town: Town, says: dict[str, object], accepted: bool
) -> None:
    stranger = a_server(town, says)
    await ask(town, stranger, accepted=accepted)

    assert await answer(town, stranger, timedelta(minutes=-50)) == 202


async def test_whoever_is_not_followed_any_more_is_a_stranger_again(town: Town) -> None:
    member = a_server(town, OURS)
    await ask(town, member, accepted=True)
    assert await answer(town, member, timedelta(minutes=-50)) == 401
    node = town["a"].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, member.id)

    async with node.database.begin() as session:
        await unfollow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
    town.clock.forward(seconds=HELD_FOR.seconds)

    assert await answer(town, member, timedelta(minutes=-50)) == 202


async def test_no_delivery_asks_who_is_of_this_network(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    member = a_server(town, OURS)
    await ask(town, member, accepted=True)
    assert await answer(town, member, timedelta()) == 202
    asked: list[str] = []
    engine = town["a"].node.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    ask_by_hand = Hand.ask

    async def heard(self: Hand, question: Question, **given: Any) -> Sequence[Any]:
        asked.append(question.compiled(engine.dialect).text)
        return await ask_by_hand(self, question, **given)

    monkeypatch.setattr(Hand, "ask", heard)

    assert await answer(town, member, timedelta(), number=2) == 202

    assert asked
    assert [statement for statement in asked if "is_network" in statement] == []
