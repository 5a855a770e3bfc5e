"""Cases of a host that is shut out by a decision: nobody is shown them, until it may speak again and was asked what stands."""

from collections.abc import Collection, Sequence

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from node.effects import taking
from node.effects.process import TRIES
from node.effects.taking import fetch_case
from node.entries.entries import LIVE, RESTING, Entry, let_rest
from node.entries.search import Filter, coverage, document_at, entry_at, search
from node.hub.aggregate import Brought, Ready, make_ready
from node.outbox import LEASE, Job
from node.peers import blocklists
from node.peers.hosts import Blocklist, HostAdvice, decide
from node.runtime import Node
from node.upkeep import backfill, chores, outboxes
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case
from tests.rig.town import Town

pytestmark = pytest.mark.both_databases


async def decided(town: Town, host: str, policy: str | None, *, at: str = "a") -> None:
    town.clock.forward(seconds=1)
    node = town[at].node
    async with node.database.begin() as session:
        await decide(session, host, policy, reason="a test", now=node.clock.now())
    await town.settle()


async def shut_out_by_a_list(town: Town) -> None:
    node = town["a"].node
    await decided(town, "b.example", "block", at="hub")
    await blocklists.subscribe(node, f"{town.hub.settings.main_actor}/blocklist")
    await town.settle()


async def listed(town: Town, *, at: str = "a") -> list[str]:
    async with town[at].node.database.read() as session:
        return [card.url for card in (await search(session, Filter())).items]


async def test_no_more_cases_of_a_host_are_put_to_rest_than_were_when_it_was_let_in(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done some at a time, for a host may have tens of thousands and nobody else writes to SQLite meanwhile."""
    await town.befriend("a", "b")
    cases = {(await publish_case(town["b"].node)).url for _ in range(3)}
    await town.settle()
    monkeypatch.setattr(chores, "AT_ONCE", 1)
    rested: list[int] = []

    async def with_a_second_thought(
        session: AsyncSession, ids: Sequence[str], *, hosts: Collection[str]
    ) -> None:
        await let_rest(session, ids, hosts=hosts)
        rested.append(len(hosts))
        await decide(session, "b.example", None, reason="a test", now=town.clock.now())

    monkeypatch.setattr(chores, "let_rest", with_a_second_thought)
    await decided(town, "b.example", "block")

    assert rested == [1, 0, 0]
    assert len(cases & set(await listed(town))) == 2


@pytest.mark.parametrize("shut", ["b.example", "example"])
async def test_nobody_is_shown_a_case_of_a_host_that_is_blocked(town: Town, shut: str) -> None:
    await town.befriend("a", "b")
    theirs, own = await publish_case(town["b"].node), await publish_case(town["a"].node)
    await town.settle()
    assert set(await listed(town)) == {theirs.url, own.url}

    await decided(town, shut, "block")

    assert await listed(town) == [own.url]
    async with town["a"].node.database.read() as session:
        assert await entry_at(session, theirs.url) is None
        assert await document_at(session, theirs.url) is None
        assert [host for host, *_ in (await coverage(session, now=town.clock.now())).nodes] == ["a.example"]
    async with town.visitor("a") as visitor:
        for path in ("/cases", "/api/v1/cases", "/feeds/cases.json"):
            assert theirs.url not in (await visitor.get(path)).text, path


async def test_a_limit_takes_nothing_away_that_is_shown(town: Town) -> None:
    await town.befriend("a", "b")
    theirs = await publish_case(town["b"].node)
    await town.settle()

    await decided(town, "b.example", "limit")

    assert await listed(town) == [theirs.url]


async def test_it_is_shown_again_when_its_publisher_may_speak_and_is_followed_again(town: Town) -> None:
    await town.befriend("a", "b")
    live, corrected = [await publish_case(town["b"].node) for _ in range(2)]
    town.clock.forward(hours=1)
    await correct_case(town["b"].node, corrected, a_case(title={"en": "As it is now"}))
    await town.settle()
    before = await states(town)
    await decided(town, "b.example", "block")
    assert set((await states(town)).values()) == {RESTING}

    await decided(town, "b.example", None)
    assert await listed(town) == []
    await town.befriend("a", "b")
    await town.settle()

    assert set(await listed(town)) == {live.url, corrected.url}
    assert await states(town) == before


async def test_all_of_many_cases_are_shown_again(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    await town.befriend("a", "b")
    cases = {(await publish_case(town["b"].node)).url for _ in range(5)}
    await town.settle()
    await decided(town, "b.example", "block")
    monkeypatch.setattr(backfill, "AT_ONCE", 2)

    await decided(town, "b.example", None)
    await town.befriend("a", "b")

    assert set(await listed(town)) == cases


async def test_what_was_withdrawn_meanwhile_is_never_shown_again(town: Town) -> None:
    await town.befriend("a", "b")
    withdrawn = await publish_case(town["b"].node)
    await town.settle()
    await decided(town, "b.example", "block")
    await withdraw_case(town["b"].node, withdrawn)
    await town.settle()

    await decided(town, "b.example", None)
    await town.befriend("a", "b")
    await town.settle()

    assert await listed(town) == []
    assert set((await states(town)).values()) == {"withdrawn"}


async def test_what_was_corrected_meanwhile_is_shown_as_it_is_now(town: Town) -> None:
    await town.befriend("a", "b")
    case = await publish_case(town["b"].node)
    await town.settle()
    await decided(town, "b.example", "block")
    town.clock.forward(hours=1)
    await correct_case(town["b"].node, case, a_case(title={"en": "As it is now"}))
    await town.settle()

    await decided(town, "b.example", None)
    await town.befriend("a", "b")
    await town.settle()

    async with town["a"].node.database.read() as session:
        card = await entry_at(session, case.url)
    assert card is not None
    assert card.case is not None
    assert card.case.title == {"en": "As it is now"}


async def test_what_a_list_advises_rests_for_as_long_as_it_says_so(town: Town) -> None:
    await town.befriend("a", "b")
    theirs = await publish_case(town["b"].node)
    await town.settle()

    await shut_out_by_a_list(town)
    assert await listed(town) == []
    await decided(town, "b.example", None, at="hub")
    town.clock.forward(hours=25)
    await town.settle()

    assert await listed(town) == [theirs.url]


@pytest.mark.parametrize("by", ["a", "hub"])
async def test_what_was_withdrawn_is_taken_back_when_its_host_is_only_limited_yet(
    town: Town, by: str
) -> None:
    await town.befriend("a", "b")
    withdrawn, stands = [await publish_case(town["b"].node) for _ in range(2)]
    await town.settle()
    await shut_out_by_a_list(town)
    await withdraw_case(town["b"].node, withdrawn)
    await town.settle()
    meanwhile = await states(town)

    await decided(town, "b.example", "limit", at=by)
    town.clock.forward(hours=25)
    await town.settle()

    assert meanwhile == {withdrawn.url: RESTING, stands.url: RESTING}
    assert await states(town) == {withdrawn.url: "withdrawn", stands.url: LIVE}


@pytest.mark.parametrize("policy", [None, "allow"])
async def test_what_was_corrected_is_asked_for_when_the_limit_of_its_host_is_lifted(
    town: Town, policy: str | None
) -> None:
    case = await publish_case(town["b"].node)
    await fetch_case(town["a"].node, case.url, invited=True)
    await decided(town, "b.example", "limit")
    await correct_case(town["b"].node, case, a_case(title={"en": "As it is now"}))
    await town.settle()
    meanwhile = await states(town)

    await decided(town, "b.example", policy)

    assert meanwhile == {case.url: LIVE}
    assert await states(town) == {case.url: "corrected"}


@pytest.mark.parametrize("by_a_list", [False, True])
async def test_what_a_hub_announced_and_rests_is_shown_again_as_it_is_when_its_host_is_let_in(
    town: Town, by_a_list: bool
) -> None:
    await town.befriend("hub", "b")
    await town.befriend("a", "hub")
    stands, corrected, withdrawn = [await publish_case(town["b"].node) for _ in range(3)]
    await town.settle()
    await (shut_out_by_a_list(town) if by_a_list else decided(town, "b.example", "block"))
    town.clock.forward(minutes=1)
    await correct_case(town["b"].node, corrected, a_case(title={"en": "As it is now"}))
    await withdraw_case(town["b"].node, withdrawn)
    await town.settle()
    meanwhile = await states(town)

    await decided(town, "b.example", None, at="hub" if by_a_list else "a")
    town.clock.forward(hours=25)
    await town.settle()

    assert set(meanwhile.values()) == {RESTING}
    assert await states(town) == {
        stands.url: LIVE,
        corrected.url: "corrected",
        withdrawn.url: "withdrawn",
    }


async def test_all_that_a_hub_announced_and_rests_is_shown_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.befriend("hub", "b")
    await town.befriend("a", "hub")
    cases = [await publish_case(town["b"].node) for _ in range(5)]
    await town.settle()
    await decided(town, "b.example", "block")
    for module in (backfill, outboxes):
        monkeypatch.setattr(module, "MAX_CASES", 2)

    await decided(town, "b.example", None)

    assert await states(town) == {one.url: LIVE for one in cases}


async def test_what_a_hub_announced_and_rests_stays_at_rest_while_its_host_is_blocked(town: Town) -> None:
    await town.befriend("hub", "b")
    await town.befriend("a", "hub")
    case = await publish_case(town["b"].node)
    await town.settle()
    await decided(town, "b.example", "block")
    asked = len(town.wires.carried)

    await decided(town, "other.example", "block")
    await town.befriend("a", "hub")

    assert await states(town) == {case.url: RESTING}
    assert not [one for one in town.wires.carried[asked:] if str(one.url) == case.url]


@pytest.mark.parametrize("policy", ["block", "limit"])
async def test_what_a_hub_announced_of_who_is_let_in_is_taken(town: Town, policy: str) -> None:
    await town.befriend("hub", "b")
    await town.befriend("a", "hub")
    await decided(town, "b.example", policy)
    missed = await publish_case(town["b"].node)
    await town.settle()
    meanwhile = await listed(town)

    await decided(town, "b.example", None)

    assert meanwhile == []
    assert await listed(town) == [missed.url]


@pytest.mark.parametrize("policy", ["block", "limit"])
async def test_what_a_hub_announced_is_taken_when_a_list_says_nothing_of_its_host_any_more(
    town: Town, policy: str
) -> None:
    node, url = town["a"].node, "https://lists.example/actors/hub/blocklist"
    await town.befriend("hub", "b")
    await town.befriend("a", "hub")
    async with node.database.begin() as session:
        session.add(Blocklist(url=url, actor="https://lists.example/actors/hub"))
        await session.flush()
        session.add(HostAdvice(blocklist=url, name="b.example", policy=policy, reason=""))
    missed = await publish_case(town["b"].node)
    await town.settle()
    meanwhile = await listed(town)

    async with node.database.begin() as session:
        await blocklists.unsubscribe(session, url, now=town.clock.now())
    await town.settle()

    assert meanwhile == []
    assert await listed(town) == [missed.url]


@pytest.mark.parametrize("policy", ["block", "limit"])
async def test_of_hosts_of_whom_nobody_is_known_nothing_is_asked(town: Town, policy: str) -> None:
    await decided(town, "unknown.example", policy)
    node = town["a"].node

    async with node.database.begin() as session:
        await decide(session, "unknown.example", None, reason="a test", now=node.clock.now())

    async with node.database.read() as session:
        asked = await session.scalars(select(Job.kind).where(Job.kind.in_(("backfill", "ask-again"))))
        assert list(asked) == []


async def test_while_it_cannot_be_asked_what_stands_nothing_is_shown_again(town: Town) -> None:
    await town.befriend("a", "b")
    theirs = await publish_case(town["b"].node)
    await town.settle()
    await shut_out_by_a_list(town)

    door = town.wires.apps.pop("b.example")
    await decided(town, "b.example", "allow")
    assert await listed(town) == []
    town.wires.apps["b.example"] = door
    town.clock.forward(hours=3)
    await town.settle()

    assert await listed(town) == [theirs.url]


async def test_who_cannot_be_asked_for_hours_is_not_hidden_for_good(town: Town) -> None:
    await town.befriend("a", "b")
    theirs = await publish_case(town["b"].node)
    await town.settle()
    await shut_out_by_a_list(town)
    town.wires.apps.pop("b.example")
    await decided(town, "b.example", "allow")

    shown = []
    for _ in range(TRIES + 1):
        shown.append(await listed(town))
        town.clock.forward(hours=2)
        await town.settle()

    assert shown[: TRIES - 1] == [[]] * (TRIES - 1)
    assert await listed(town) == [theirs.url]


async def test_a_case_of_somebody_who_is_not_followed_rests_until_it_is_let_in_anew(town: Town) -> None:
    theirs = await publish_case(town["b"].node)
    await fetch_case(town["a"].node, theirs.url, invited=True)
    await decided(town, "b.example", "block")

    await decided(town, "b.example", None)
    assert await listed(town) == []
    await fetch_case(town["a"].node, theirs.url, invited=True)

    assert await listed(town) == [theirs.url]


@pytest.mark.parametrize("by_a_list", [False, True])
async def test_the_words_of_what_rests_and_was_withdrawn_meanwhile_go_when_its_host_is_let_in(
    town: Town, by_a_list: bool
) -> None:
    withdrawn, stands = [await publish_case(town["b"].node) for _ in range(2)]
    for one in (withdrawn, stands):
        await fetch_case(town["a"].node, one.url, invited=True)
    await (shut_out_by_a_list(town) if by_a_list else decided(town, "b.example", "block"))
    await withdraw_case(town["b"].node, withdrawn)
    await town.settle()
    assert set((await states(town)).values()) == {RESTING}

    if by_a_list:
        async with town["a"].node.database.begin() as session:
            url = f"{town.hub.settings.main_actor}/blocklist"
            await blocklists.unsubscribe(session, url, now=town.clock.now())
    else:
        await decided(town, "b.example", None)
    await town.settle()

    assert await states(town) == {withdrawn.url: "withdrawn", stands.url: RESTING}


async def test_all_of_many_cases_are_asked_about_some_at_a_time(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = [await publish_case(town["b"].node) for _ in range(5)]
    for one in published:
        await fetch_case(town["a"].node, one.url, invited=True)
    await decided(town, "b.example", "block")
    for one in published:
        await withdraw_case(town["b"].node, one)
    await town.settle()
    for module in (backfill, outboxes):
        monkeypatch.setattr(module, "MAX_CASES", 2)

    await decided(town, "b.example", None)

    assert await states(town) == {one.url: "withdrawn" for one in published}


async def test_who_was_shut_out_again_while_they_were_asked_stays_at_rest(town: Town) -> None:
    await town.befriend("a", "b")
    await publish_case(town["b"].node)
    await town.settle()
    await decided(town, "b.example", "block")
    node = town["a"].node

    async with node.database.begin() as session:
        await decide(session, "b.example", None, reason="", now=node.clock.now())
    town.clock.forward(seconds=1)
    async with node.database.begin() as session:
        await decide(session, "b.example", "block", reason="", now=node.clock.now())
    await town.settle()

    assert await listed(town) == []


async def states(town: Town) -> dict[str, str]:
    """How the cases of others stand at `a`."""
    async with town["a"].node.database.read() as session:
        rows = await session.execute(select(Entry.id, Entry.state).where(Entry.own.is_(False)))
        return {row[0]: row[1] for row in rows}


async def test_what_was_read_before_its_host_is_blocked_is_not_kept_after_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = await publish_case(town["b"].node)

    async def blocked_meanwhile(node: Node, brought: Sequence[Brought]) -> list[Ready]:
        await decided(town, "b.example", "block")
        return await make_ready(node, brought)

    monkeypatch.setattr(taking, "make_ready", blocked_meanwhile)

    await fetch_case(town["a"].node, theirs.url, invited=True)

    async with town["a"].node.database.read() as session:
        assert await session.get(Entry, theirs.url) is None


async def test_what_was_being_kept_while_its_host_was_blocked_rests_soon_after(town: Town) -> None:
    """PostgreSQL shows nobody what is not committed yet, nor who commits it what was decided since."""
    theirs = await publish_case(town["b"].node)
    await fetch_case(town["a"].node, theirs.url, invited=True)
    await decided(town, "b.example", "block")
    async with town["a"].node.database.begin() as session:
        await session.execute(update(Entry).values(state=LIVE))

    town.clock.forward(seconds=LEASE.total_seconds())
    await town.settle()

    assert await listed(town) == []
