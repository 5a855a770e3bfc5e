"""An actor moves: believed when both accounts say so, once a week, and never to where it was not agreed."""

import asyncio
from typing import Any

import pytest

from federation import allowance
from node.effects.moving import move_in
from node.peers.directory import find_actor
from node.peers.follows import between, follow, unfollow
from node.peers.hosts import decide
from node.peers.ours import local_actor_at
from tests.rig.stranger import Stranger
from tests.rig.town import Town


@pytest.fixture
async def old(town: Town) -> Stranger:
    """An organisation that node a follows, and that follows node a."""
    stranger = Stranger(town, "old.example", "cases")
    await stranger.befriend("a")
    return stranger


@pytest.fixture
def new(town: Town) -> Stranger:
    return Stranger(town, "new.example", "cases", key="other")


def agree(
    old: Stranger, new: Stranger, *, moved_to: str | None = "new", known_as: str | None = "old"
) -> None:
    path = "/users/cases"
    old.documents[path] = old.actor(**({"movedTo": new.id} if moved_to else {}))
    new.documents[path] = new.actor(**({"alsoKnownAs": [old.id]} if known_as else {}))


async def states(town: Town, stranger: Stranger) -> list[str | None]:
    us = town["a"].settings.main_actor
    async with town["a"].node.database.read() as session:
        rows: list[Any] = [await between(session, *pair) for pair in ((us, stranger.id), (stranger.id, us))]
    return [row.state if row else None for row in rows]


async def move(town: Town, by: Stranger, object_: str, target: str, number: int = 1) -> None:
    await by.post("a", by.activity("Move", object_, target=target, number=number))
    await town.settle()


async def test_a_move_that_one_of_the_two_accounts_does_not_say_is_refused(
    town: Town, old: Stranger, new: Stranger
) -> None:
    for number, said in enumerate(({"moved_to": None}, {"known_as": None})):
        agree(old, new, **said)
        await move(town, old, old.id, new.id, number)

    assert await states(town, old) == ["accepted", "accepted"]
    assert await states(town, new) == [None, None]


async def test_who_follows_from_both_accounts_follows_from_the_new_one_after_a_move(
    town: Town, old: Stranger, new: Stranger
) -> None:
    await new.post("a", new.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    agree(old, new)

    await move(town, old, old.id, new.id)

    assert await states(town, old) == ["undone", "undone"]
    assert await states(town, new) == ["requested", "accepted"]


async def test_a_move_that_somebody_else_tells_is_refused(town: Town, old: Stranger, new: Stranger) -> None:
    agree(old, new)
    mallory = Stranger(town, "evil.example", "mallory", key="peer")

    await move(town, mallory, old.id, new.id)
    await move(town, mallory, mallory.id, new.id, 2)

    assert await states(town, old) == ["accepted", "accepted"]


@pytest.mark.parametrize("is_known", [True, False])
async def test_who_is_nothing_to_us_any_more_makes_us_ask_nobody(
    town: Town, old: Stranger, new: Stranger, is_known: bool
) -> None:
    """A follow that has ended is none, and who only liked something is known and no more."""
    agree(old, new)
    us = town["a"].settings.main_actor
    if is_known:
        follower = old
        await old.post("a", old.activity("Block", us, number=7))
    else:
        follower = Stranger(town, "third.example", "cases", key="peer")
        follower.documents["/users/cases"] = follower.actor(movedTo=new.id)
        await follower.post("a", follower.activity("Like", f"{us}/none"))
    await town.settle()
    new.asked.clear()

    await move(town, follower, follower.id, new.id, 8)

    assert new.asked == []
    assert new.received == []


@pytest.mark.parametrize("which", ["the old", "the new"])
async def test_an_account_that_is_found_under_another_id_says_nothing_of_a_move(
    town: Town, old: Stranger, new: Stranger, which: str
) -> None:
    agree(old, new)
    target, other = new.id, f"https://{old.host}/users/other"
    if which == "the old":
        found = old.actor(id=other, movedTo=new.id)
        old.documents["/users/cases"] = old.documents["/users/other"] = found
    else:
        target = f"https://{new.host}/users/alias"
        old.documents["/users/cases"] = old.actor(movedTo=target)
        new.documents["/users/alias"] = new.documents["/users/cases"]

    await move(town, old, old.id, target)

    assert await states(town, old) == ["accepted", "accepted"]
    assert await states(town, new) == [None, None]
    assert new.received == []


@pytest.mark.parametrize("where", ["ourselves", "a chain", "a blocked host", "nowhere"])
async def test_a_move_to_a_wrong_place_is_refused(
    town: Town, old: Stranger, new: Stranger, where: str
) -> None:
    agree(old, new)
    target = new.id
    match where:
        case "ourselves":
            target = town["a"].settings.main_actor
            old.documents["/users/cases"] = old.actor(movedTo=target)
        case "a chain":
            new.documents["/users/cases"] = new.actor(alsoKnownAs=[old.id], movedTo="https://far.example/1")
        case "a blocked host":
            async with town["a"].node.database.begin() as session:
                await decide(session, new.host, "block", reason="", now=town.clock.now())
        case _:
            new.documents.clear()

    await move(town, old, old.id, target)

    assert await states(town, old) == ["accepted", "accepted"]
    assert new.received == []


async def test_a_move_takes_both_follows_along_and_not_again_within_a_week(
    town: Town, old: Stranger, new: Stranger
) -> None:
    agree(old, new)

    await move(town, old, old.id, new.id)

    assert await states(town, old) == ["undone", "undone"]
    assert await states(town, new) == ["requested", "accepted"]
    assert new.received[-1]["type"] == "Follow"
    assert old.received[-1]["type"] == "Undo"

    third = Stranger(town, "third.example", "cases", key="peer")
    town.clock.forward(days=1)
    new.documents["/users/cases"] = new.actor(movedTo=third.id)
    third.documents["/users/cases"] = third.actor(alsoKnownAs=[new.id])
    await move(town, new, new.id, third.id)
    assert await states(town, third) == [None, None]
    town.clock.forward(days=7)
    await move(town, new, new.id, third.id, 2)
    assert (await states(town, third))[1] == "accepted"


async def test_a_follow_that_was_refused_is_not_asked_for_again_at_the_new_account(
    town: Town, old: Stranger, new: Stranger
) -> None:
    agree(old, new)
    ours = next(one for one in old.received if one["type"] == "Follow")
    await old.post("a", old.activity("Reject", ours, number=7))
    await town.settle()
    assert await states(town, old) == ["rejected", "accepted"]

    await move(town, old, old.id, new.id, 8)

    assert await states(town, new) == [None, "accepted"]
    assert new.received == []


@pytest.mark.parametrize("limited", ["old.example", "example", "new.example"])
async def test_nobody_escapes_a_limit_by_moving(
    town: Town, old: Stranger, new: Stranger, limited: str
) -> None:
    agree(old, new)
    async with town["a"].node.database.begin() as session:
        await decide(session, limited, "limit", reason="", now=town.clock.now())
        if limited == "example":
            await decide(session, new.host, "allow", reason="", now=town.clock.now())

    await move(town, old, old.id, new.id)
    # Nor when they are found to say it, a Move or not.
    town.clock.forward(days=8)
    await town.settle()

    assert await states(town, old) == ["accepted", "accepted"]
    assert await states(town, new) == [None, None]


@pytest.mark.parametrize("ended", ["by us", "by them"])
async def test_whom_people_here_let_go_does_not_come_back_as_the_new_account_of_another(
    town: Town, old: Stranger, new: Stranger, ended: str
) -> None:
    node = town["a"].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, new.id)
    how: dict[str, Any] = {"us": us, "them": them, "now": town.clock.now()}
    async with node.database.begin() as session:
        row = await follow(session, node.settings, node.keyring, **how)
    await new.post("a", new.activity("Accept" if ended == "by us" else "Reject", row.activity))
    await town.settle()
    if ended == "by us":
        async with node.database.begin() as session:
            await unfollow(session, node.settings, node.keyring, **how)
    agree(old, new)

    await move(town, old, old.id, new.id)

    assert await states(town, new) == ["undone" if ended == "by us" else "rejected", "accepted"]
    assert await states(town, old) == ["undone", "undone"]


async def return_to(town: Town, old: Stranger, new: Stranger) -> None:
    """They moved from the old account to the new one, and a week later back again."""
    agree(old, new)
    await move(town, old, old.id, new.id)
    asked = next(one for one in new.received if one["type"] == "Follow")
    await new.post("a", new.activity("Accept", asked))
    town.clock.forward(days=8)
    old.documents["/users/cases"] = old.actor(alsoKnownAs=[new.id])
    new.documents["/users/cases"] = new.actor(movedTo=old.id)
    await move(town, new, new.id, old.id, 2)


@pytest.mark.both_databases
async def test_who_moved_away_and_returns_is_followed_and_follows_again(
    town: Town, old: Stranger, new: Stranger
) -> None:
    await return_to(town, old, new)

    assert await states(town, old) == ["requested", "accepted"]
    assert await states(town, new) == ["undone", "undone"]


@pytest.mark.both_databases
async def test_a_move_that_is_found_twice_in_one_moment_is_made_once(
    town: Town, old: Stranger, new: Stranger
) -> None:
    agree(old, new)
    node = town["a"].node

    found = await asyncio.gather(*(move_in(node, old.id, new.id) for _ in range(2)), return_exceptions=True)
    await town.settle()

    assert sorted(type(one).__name__ for one in found) == ["NoneType", "RefusedActivity"]
    assert await states(town, new) == ["requested", "accepted"]
    assert [one["type"] for one in new.received] == ["Follow"]


async def test_who_left_before_they_moved_here_does_not_follow_by_it(
    town: Town, old: Stranger, new: Stranger
) -> None:
    us = town["a"].settings.main_actor
    await new.post("a", new.activity("Follow", us))
    await new.post("a", new.activity("Undo", {"type": "Follow", "object": us}))
    agree(old, new)

    await move(town, old, old.id, new.id)

    assert await states(town, new) == ["requested", "undone"]


async def test_who_returned_and_was_let_go_does_not_come_back_as_the_new_account_of_another(
    town: Town, old: Stranger, new: Stranger
) -> None:
    await return_to(town, old, new)
    node = town["a"].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, old.id)
    async with node.database.begin() as session:
        await unfollow(session, node.settings, node.keyring, us=us, them=them, now=town.clock.now())
    await old.post("a", old.activity("Undo", {"type": "Follow", "object": us.id}, number=3))
    third = Stranger(town, "third.example", "cases", key="third")
    asked = await find_actor(node, third.id)
    async with node.database.begin() as session:
        row = await follow(session, node.settings, node.keyring, us=us, them=asked, now=town.clock.now())
    await third.post("a", third.activity("Accept", row.activity))
    await third.post("a", third.activity("Follow", us.id))
    town.clock.forward(days=8)
    third.documents["/users/cases"] = third.actor(movedTo=old.id)
    old.documents["/users/cases"] = old.actor(alsoKnownAs=[third.id])

    await move(town, third, third.id, old.id)

    assert await states(town, third) == ["undone", "undone"]
    assert await states(town, old) == ["undone", "undone"]


async def test_a_follower_who_moves_to_many_places_makes_us_ask_there_a_few_times(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 2)
    follower, bystander = Stranger(town, "old.example", "cases"), Stranger(town, "new.example", key="other")
    await follower.post("a", follower.activity("Follow", town["a"].settings.main_actor))
    await town.settle()

    for number in range(6):
        target = f"https://{bystander.host}/users/n{number}"
        follower.documents["/users/cases"] = follower.actor(movedTo=target)
        await move(town, follower, follower.id, target, number)

    assert len(bystander.asked) == 2 + 1  # and one of the trickle
