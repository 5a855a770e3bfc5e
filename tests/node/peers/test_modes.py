"""A mode that is widened again: what was refused meanwhile is asked for, once."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from node import roles
from node.effects.taking import fetch_case
from node.entries.entries import Entry
from node.outbox import Job
from node.peers.hosts import decide
from node.peers.modes import note_mode
from node.publishing.publications import Publication
from node.settings import MODES
from tests.rig.clock import NOON
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case
from tests.rig.town import Town

pytestmark = pytest.mark.both_databases


async def restarted(town: Town, mode: str) -> None:
    """Node a is started anew, in that mode."""
    await town.stop("a")
    site = town["a"]
    site.settings = replace(site.settings, federation=mode)
    town.clock.forward(seconds=1)
    await town.start("a")
    await roles.begin(site.node)
    await town.settle()


async def decided(town: Town, policy: str | None) -> None:
    """The people of a decide about b."""
    node = town["a"].node
    async with node.database.begin() as session:
        await decide(session, "b.example", policy, reason="", now=node.clock.now())
    await town.settle()


async def shown(town: Town) -> dict[str, str]:
    async with town["a"].node.database.read() as session:
        entries = await session.scalars(select(Entry).where(Entry.own.is_(False)))
        return {entry.id: entry.state for entry in entries}


async def changed_in(town: Town, mode: str) -> tuple[Publication, Publication]:
    """Two cases of b that a has shown since it was open: what is withdrawn, and what is corrected, while it is in that mode."""
    await restarted(town, "open")
    withdrawn, corrected = [await publish_case(town["b"].node) for _ in range(2)]
    for one in (withdrawn, corrected):
        await fetch_case(town["a"].node, one.url, invited=True)
    await restarted(town, mode)
    await withdraw_case(town["b"].node, withdrawn)
    await correct_case(town["b"].node, corrected, a_case(7))
    await town.settle()
    return withdrawn, corrected


@pytest.mark.parametrize("mode", ["closed", "members"])
async def test_what_a_narrower_mode_refused_is_asked_for_when_it_is_widened(town: Town, mode: str) -> None:
    withdrawn, corrected = await changed_in(town, mode)
    missed = await shown(town)

    await restarted(town, "open")

    found = await shown(town)
    assert [missed[one.url] for one in (withdrawn, corrected)] == ["live", "live"]
    assert found[withdrawn.url] == "withdrawn"
    assert found[corrected.url] == "corrected"


async def test_what_became_of_cases_in_a_closed_time_is_asked_for_also_of_those_who_may_add_nothing(
    town: Town,
) -> None:
    withdrawn, corrected = await changed_in(town, "closed")

    await restarted(town, "limited")

    assert await shown(town) == {withdrawn.url: "withdrawn", corrected.url: "corrected"}


async def test_what_a_mode_refused_is_asked_for_when_its_host_is_allowed(town: Town) -> None:
    await restarted(town, "open")
    case = await publish_case(town["b"].node)
    await fetch_case(town["a"].node, case.url, invited=True)
    await restarted(town, "members")
    await withdraw_case(town["b"].node, case)
    await town.settle()
    missed = await shown(town)

    await decided(town, "allow")

    assert missed == {case.url: "live"}
    assert await shown(town) == {case.url: "withdrawn"}


async def test_what_the_mode_refused_to_let_be_withdrawn_is_asked_for_when_its_host_is_limited(
    town: Town,
) -> None:
    withdrawn, corrected = await changed_in(town, "members")
    missed = await shown(town)

    await decided(town, "limit")

    assert missed == {withdrawn.url: "live", corrected.url: "live"}
    assert await shown(town) == {withdrawn.url: "withdrawn", corrected.url: "live"}


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("open", None, "limit"),
        ("open", None, "allow"),
        ("limited", None, "limit"),
        ("members", "limit", None),
        ("members", "allow", "limit"),
        ("members", "block", None),
        ("closed", "block", "allow"),
        ("closed", None, "limit"),
    ],
)
async def test_a_decision_by_which_nobody_may_say_more_asks_for_nothing(
    town: Town, mode: str, before: str | None, after: str | None
) -> None:
    await restarted(town, "open")
    await fetch_case(town["a"].node, (await publish_case(town["b"].node)).url, invited=True)
    await decided(town, before)
    await restarted(town, mode)
    asked = len(town.wires.carried)

    await decided(town, after)

    assert [one.method for one in town.wires.carried[asked:]] == []


@pytest.mark.parametrize("followed", [True, False])
async def test_who_is_followed_is_read_anew_after_a_closed_time(town: Town, followed: bool) -> None:
    await restarted(town, "open")
    if followed:
        await town.befriend("a", "b")
    await restarted(town, "closed")
    case = await publish_case(town["b"].node)
    await town.settle()
    assert await shown(town) == {}

    await restarted(town, "open")

    assert (case.url in await shown(town)) is followed


@pytest.mark.parametrize("before", [None, *MODES])
@pytest.mark.parametrize("after", MODES)
async def test_only_a_wider_mode_than_the_last_asks(town: Town, before: str | None, after: str) -> None:
    node = town["a"].node
    async with node.database.begin() as session:
        if before is not None:
            await note_mode(session, before, now=NOON)
        later = node.clock.now()
        widened = [await note_mode(session, after, now=later) for _ in range(2)]

    is_wider = before is not None and MODES.index(after) > MODES.index(before)
    assert widened == [is_wider, False]


async def test_a_server_that_starts_as_it_was_asks_nobody(town: Town) -> None:
    case = await publish_case(town["b"].node)
    await fetch_case(town["a"].node, case.url, invited=True)
    await restarted(town, "open")

    await town.stop("a")
    await town.start("a")
    await roles.begin(town["a"].node)

    async with town["a"].node.database.read() as session:
        asked = await session.scalars(select(Job.kind).where(Job.kind.in_(("backfill", "ask-again"))))
        assert list(asked) == []
