"""Follows, and what becomes of them when what is said about them comes in another order than it was said in."""

from itertools import permutations
from typing import Any

import pytest

from node.effects.undone import REMEMBERED_FOR
from node.peers.directory import find_actor
from node.peers.follows import between, follow, unfollow
from node.peers.ours import local_actor_at
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import PUBLIC

pytestmark = pytest.mark.both_databases

US = "https://a.example/actors/cases"


@pytest.fixture
def sam(town: Town) -> Stranger:
    return Stranger(town)


async def say(town: Town, by: Stranger, said: dict[str, Any], to: str = "a") -> None:
    town.clock.forward(seconds=1)
    assert (await by.post(to, said)).status_code == 202
    await town.settle()


async def state(town: Town, follower: str, followed: str, at: str = "a") -> str | None:
    async with town[at].node.database.read() as session:
        row = await between(session, follower, followed)
    return row.state if row else None


def follow_of(sam: Stranger, number: int = 1, followed: str = US) -> dict[str, Any]:
    return sam.activity("Follow", followed, number=number)


# ---- of ours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["whole", "by its id"])
async def test_whoever_unfollowed_before_their_follow_came_follows_nobody(
    town: Town, sam: Stranger, how: str
) -> None:
    said = follow_of(sam)

    await say(town, sam, sam.activity("Undo", said if how == "whole" else said["id"]))
    await say(town, sam, said)

    assert await state(town, sam.id, US) is None
    assert sam.received == []


async def test_the_same_at_a_hub_that_is_asked_for_everything(town: Town, sam: Stranger) -> None:
    said = follow_of(sam, followed=PUBLIC)

    await say(town, sam, sam.activity("Undo", said), "hub")
    await say(town, sam, said, "hub")

    assert await state(town, sam.id, PUBLIC, "hub") is None


async def test_whoever_follows_anew_follows(town: Town, sam: Stranger) -> None:
    first = follow_of(sam)
    await say(town, sam, sam.activity("Undo", first))
    await say(town, sam, first)

    await say(town, sam, follow_of(sam, 2))

    assert await state(town, sam.id, US) == "accepted"


async def test_whoever_follows_leaves_and_follows_again_under_the_same_id_follows(
    town: Town, sam: Stranger
) -> None:
    """And says twice that they leave, under two ids."""
    said = follow_of(sam)

    for one in (said, sam.activity("Undo", said), sam.activity("Undo", said, number=2), said):
        await say(town, sam, one)

    assert await state(town, sam.id, US) == "accepted"


async def test_an_undo_of_a_follow_by_another_name_ends_it_and_keeps_no_other_out(
    town: Town, sam: Stranger
) -> None:
    """As Misskey names it: by the two, and not by what it sent."""
    await say(town, sam, follow_of(sam))

    await say(town, sam, sam.activity("Undo", follow_of(sam, 2)))
    assert await state(town, sam.id, US) == "undone"

    await say(town, sam, follow_of(sam, 2))
    assert await state(town, sam.id, US) == "accepted"


async def test_nobody_unfollows_for_another(town: Town, sam: Stranger) -> None:
    other = Stranger(town, "other.example", "olga", key="other")
    said = follow_of(sam)

    await say(town, other, other.activity("Undo", said))
    await say(town, sam, said)

    assert await state(town, sam.id, US) == "accepted"


async def test_it_is_remembered_for_as_long_as_others_try(town: Town, sam: Stranger) -> None:
    said = follow_of(sam)
    await say(town, sam, sam.activity("Undo", said))

    town.clock.forward(seconds=REMEMBERED_FOR.total_seconds())
    await say(town, sam, said)

    assert await state(town, sam.id, US) == "accepted"


# ---- by us -----------------------------------------------------------------------------------------------------------


async def ask(town: Town, sam: Stranger) -> dict[str, Any]:
    """Ask to follow them, anew if that was asked before; the Follow as they got it."""
    node = town["a"].node
    us, them = local_actor_at(node.settings, US), await find_actor(node, sam.id)
    assert us is not None
    async with node.database.begin() as session:
        row = await follow(session, node.settings, node.keyring, us=us, them=them, now=town.clock.now())
    return row.activity


async def let_go(town: Town, sam: Stranger) -> None:
    node = town["a"].node
    us, them = local_actor_at(node.settings, US), await find_actor(node, sam.id)
    assert us is not None
    async with node.database.begin() as session:
        await unfollow(session, node.settings, node.keyring, us=us, them=them, now=town.clock.now())


async def test_a_refusal_of_what_we_asked_before_says_nothing_of_what_we_ask_now(
    town: Town, sam: Stranger
) -> None:
    first = await ask(town, sam)
    await let_go(town, sam)
    second = await ask(town, sam)

    await say(town, sam, sam.activity("Reject", first))
    assert await state(town, US, sam.id) == "requested"

    await say(town, sam, sam.activity("Accept", second))
    assert await state(town, US, sam.id) == "accepted"


@pytest.mark.parametrize("named", ["as we sent it", "by an id of theirs", "without an id"])
async def test_a_refusal_of_what_we_ask_now_counts_however_it_is_named(
    town: Town, sam: Stranger, named: str
) -> None:
    await ask(town, sam)
    await let_go(town, sam)
    said = dict(await ask(town, sam))
    if named == "by an id of theirs":
        said["id"] = f"{sam.id}/requests/1"
    elif named == "without an id":
        del said["id"]

    await say(town, sam, sam.activity("Reject", said))

    assert await state(town, US, sam.id) == "rejected"


async def test_who_ends_a_follow_that_stands_may_name_the_one_that_they_know(
    town: Town, sam: Stranger
) -> None:
    """Asked once more, a server may keep the Follow that it accepted."""
    first = await ask(town, sam)
    await say(town, sam, sam.activity("Accept", first))
    await ask(town, sam)

    await say(town, sam, sam.activity("Reject", first))

    assert await state(town, US, sam.id) == "rejected"


@pytest.mark.parametrize("how", ["whole", "by its id"])
async def test_who_agrees_may_name_the_first_of_several_that_we_asked(
    town: Town, sam: Stranger, how: str
) -> None:
    first = await ask(town, sam)
    await ask(town, sam)

    await say(town, sam, sam.activity("Accept", first if how == "whole" else first["id"]))

    assert await state(town, US, sam.id) == "accepted"


@pytest.mark.parametrize("how", ["whole", "by its id"])
async def test_a_late_accept_of_what_we_took_back_agrees_to_nothing_that_we_asked_since(
    town: Town, sam: Stranger, how: str
) -> None:
    """Who agreed once has not agreed anew: a hub would count them among its members."""
    first = await ask(town, sam)
    await let_go(town, sam)
    await ask(town, sam)

    await say(town, sam, sam.activity("Accept", first if how == "whole" else first["id"]))

    assert await state(town, US, sam.id) == "requested"


@pytest.mark.parametrize("how", ["whole", "by its id"])
async def test_a_late_refusal_of_what_we_took_back_ends_nothing_that_they_agreed_to_since(
    town: Town, sam: Stranger, how: str
) -> None:
    first = await ask(town, sam)
    await let_go(town, sam)
    second = await ask(town, sam)
    await say(town, sam, sam.activity("Accept", second))

    await say(town, sam, sam.activity("Reject", first if how == "whole" else first["id"]))

    assert await state(town, US, sam.id) == "accepted"


async def test_of_what_was_asked_before_ids_were_kept_any_of_them_is_refused(
    town: Town, sam: Stranger
) -> None:
    first = await ask(town, sam)
    await say(town, sam, sam.activity("Accept", await ask(town, sam)))
    async with town["a"].node.database.begin() as session:
        row = await between(session, US, sam.id)
        assert row is not None
        row.asked_as = []

    await say(town, sam, sam.activity("Reject", first))

    assert await state(town, US, sam.id) == "rejected"


# ---- in whatever order -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [one for one in permutations(range(3)) if one != (2, 0, 1)])
async def test_a_follow_its_undo_and_another_follow_end_alike_in_whatever_order(
    town: Town, sam: Stranger, order: tuple[int, ...]
) -> None:
    """But for one: where an earlier Follow comes after the later one, nothing tells that the Undo of it is not of both."""
    first, second = follow_of(sam), follow_of(sam, 2)
    said = [first, sam.activity("Undo", first["id"]), second]

    for number in order:
        await say(town, sam, said[number])

    assert await state(town, sam.id, US) == "accepted"
