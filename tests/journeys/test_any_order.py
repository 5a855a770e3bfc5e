"""Whatever people and fate do, in any order: some histories each time, `make histories` lives through thousands. And each law refuses something."""

import asyncio
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any, cast

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from node.effects.proving import RefusedActivity
from node.entries.entries import Entry
from node.peers.actors import RemoteActor
from node.peers.sending import Sent
from tests.histories.__main__ import live, run
from tests.histories.laws import LAWS
from tests.histories.steps import (
    DAY,
    Correct,
    Decide,
    Down,
    Follow,
    Mode,
    NodeMoves,
    Passes,
    Publish,
    Reads,
    SamReacts,
    SamTakesBackFirst,
    Step,
    Subscribe,
    Then,
    Unfollow,
    Up,
    Withdraw,
)


def test_after_any_history_every_law_holds() -> None:
    run(1, 10, chapters=4)


async def none_of(*_given: object, **_named: object) -> int:
    """There was nothing, it says."""
    return 0


async def nobody(*_given: object, **_named: object) -> list[str]:
    """Nobody is to be told, it says."""
    return []


async def nothing(*_given: object, **_named: object) -> None:
    """Done, it says."""


def twice(say: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    return lambda *given, **named: [*say(*given, **named), *say(*given, **named)]


def again(tell: Callable[..., Any]) -> Callable[..., Any]:
    async def _tell(*given: Any, **named: Any) -> Sent:
        *before, activity = given
        await tell(*before, activity | {"id": f"{activity['id']}-again"}, **named)
        return cast(Sent, await tell(*given, **named))

    return _tell


def refuse(*_given: object, **_named: object) -> None:
    raise RefusedActivity("planted")


def forgetful(unfollow: Callable[..., Any]) -> Callable[..., Any]:
    async def _unfollow(session: AsyncSession, *given: Any, them: RemoteActor, **named: Any) -> bool:
        await session.execute(delete(Entry).where(Entry.actor == them.id))
        return cast(bool, await unfollow(session, *given, them=them, **named))

    return _unfollow


async def broken(*_given: object, **_named: object) -> None:
    raise RuntimeError("planted")


def never_blocked(_found: object) -> Callable[..., Any]:
    async def blocked(*_given: object, **_named: object) -> set[str]:
        return set()

    return blocked


# A law, what is broken and how, and a history that shows it.
FAULTS: dict[str, tuple[int, str, Callable[[Any], Any], list[Step]]] = {
    "words that are sent stay": (
        1,
        "node.publishing.publish.erase_sent",
        lambda _: nothing,
        [Publish("a"), Withdraw(0)],
    ),
    "a withdrawal that comes is passed over": (
        1,
        "node.effects.handlers.take_back",
        lambda _: nothing,
        [Follow("b", "a"), Passes(1), Publish("a"), Passes(1), Withdraw(0)],
    ),
    "nobody reads what was there before": (
        2,
        "node.upkeep.outboxes.Walk.through",
        lambda _: nothing,
        [Publish("a"), Follow("hub", "a")],
    ),
    "what is new is said twice": (
        2,
        "node.hub.announcing.announcements",
        twice,
        [Follow("hub", "a"), Passes(1), Publish("a")],
    ),
    "an outsider's case is taken": (
        3,
        "node.effects.taking._require_followed",
        lambda _: nothing,
        [Follow("hub", "a"), Passes(1), Down("a"), Unfollow("hub", "a"), Passes(1), Up("a"), Publish("a")],
    ),
    "a block is for those who come": (
        4,
        "node.deliver.blocked",
        never_blocked,
        [Follow("b", "a"), Passes(1), Down("b"), Publish("a"), Decide("a", "b", "block"), Up("b"), Passes(1)],
    ),
    "whoever leaves is kept": (
        5,
        "node.effects.handlers.receive_undo",
        lambda _: nothing,
        [Follow("b", "a"), Passes(1), Unfollow("b", "a")],
    ),
    "a like is for good": (
        7,
        "node.effects.handlers.drop_reaction_to",
        lambda _: nothing,
        [Publish("a"), SamReacts("like", 0, on=True), SamReacts("like", 0, on=False)],
    ),
    "what is taken back before it comes is forgotten": (
        7,
        "node.effects.handlers.expect_taken_back",
        lambda _: nothing,
        [Publish("a"), SamTakesBackFirst("like", 0, comes=True)],
    ),
    "who moves is not followed": (
        5,
        "node.effects.moving._require_settled",
        lambda _: refuse,
        [Follow("b", "a"), Passes(1), NodeMoves("a")],
    ),
    "who moves takes along what stays where it is": (
        2,
        "node.effects.moving.unfollow",
        forgetful,
        [Follow("b", "a"), Passes(1), Publish("a"), Passes(1), NodeMoves("a")],
    ),
    "whoever reads pages is not known to have read them": (
        1,
        "web.fediverse.actors.tells",
        lambda _: lambda *_given: None,
        [
            *[Publish("a")] * 5,
            Reads("b", "a", (Then(Publish("b"), is_after=True), Then(Unfollow("b", "a"), is_after=False))),
            Passes(1),
            Withdraw(4),
        ],
    ),
    "whoever is only to follow adds what another points to": (
        3,
        "node.effects.taking._require_open_hosts",
        lambda _: nothing,
        [Mode("b", "limited"), Follow("hub", "a"), Follow("b", "hub"), Passes(1), Publish("a")],
    ),
    "what a narrower mode refused is not asked for": (
        1,
        "node.peers.modes.note_mode",
        lambda _: nothing,
        [Follow("b", "a"), Passes(1), Publish("a"), Passes(1), Mode("b", "closed"), Withdraw(0)],
    ),
    "what a hub announces is passed over": (
        2,
        "node.effects.taking._keep_case",
        lambda _: nothing,
        [Follow("hub", "a"), Follow("b", "hub"), Passes(1), Publish("a")],
    ),
    "what rested is shown no more": (
        2,
        "node.upkeep.backfill.show_again",
        lambda _: none_of,
        [
            *(Follow("b", "a"), Passes(1), Publish("a"), Passes(1), Subscribe("b", on=True)),
            *(Decide("hub", "a", "block"), Passes(2 * DAY), Decide("hub", "a", None), Passes(2 * DAY)),
        ],
    ),
    "who may withdraw by a limit is not asked what they withdrew before": (
        1,
        "node.peers.hosts.last_mode",
        lambda _: nothing,
        [
            *(Follow("hub", "a"), Follow("b", "hub"), Passes(1), Publish("a"), Passes(1)),
            *(Mode("b", "members"), Withdraw(0), Passes(1), Decide("b", "a", "limit")),
        ],
    ),
    "what a hub announced and rested is shown no more": (
        2,
        "node.upkeep.outboxes.may_be_behind",
        lambda _: none_of,
        [
            *(Follow("hub", "a"), Follow("b", "hub"), Passes(1), Publish("a"), Passes(1)),
            *(Decide("b", "a", "block"), Passes(DAY), Decide("b", "a", None)),
        ],
    ),
    "who was let go is corrected for nobody": (
        2,
        "node.effects.taking._is_shown",
        lambda _: none_of,
        [
            *(Follow("hub", "a"), Passes(1), Publish("a"), Passes(1)),
            *(Unfollow("hub", "a"), Passes(1), Correct(0)),
        ],
    ),
    "what stays at an old address is corrected for nobody": (
        2,
        "node.publishing.publish.still_told",
        lambda _: nobody,
        [Follow("b", "a"), Passes(1), Publish("a"), Passes(1), NodeMoves("a"), Passes(1), Correct(0)],
    ),
    "who is closed asks all the same": (
        4,
        "node.peers.directory.require_open",
        lambda _: nothing,
        [Follow("b", "a"), Passes(1), Mode("b", "closed"), Passes(9 * DAY)],
    ),
    "a chore is forgotten": (
        6,
        "node.upkeep.looking.look_tomorrow",
        lambda _: nothing,
        [Passes(2 * DAY)],
    ),
    "what cannot be done is given up": (
        6,
        "node.effects.handlers.drop_reaction_to",
        lambda _: broken,
        [Publish("a"), SamReacts("like", 0, on=False)],
    ),
    "what is said is said twice": (
        8,
        "node.publishing.publish._tell",
        again,
        [Publish("a")],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_breaks_its_law(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    law, place, make, history = FAULTS[fault]
    monkeypatch.setattr(place, make(resolve_name(place)))

    with pytest.raises(AssertionError, match=rf"^\({law}\)"):
        asyncio.run(live(history))


def test_for_each_law_a_fault_is_planted() -> None:
    assert {law for law, *_ in FAULTS.values()} == set(range(1, len(LAWS) + 1))
