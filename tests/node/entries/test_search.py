"""What readers ask for: pages, counts and coverage say of each case that is shown, and of no other; and none looks at all cases to find some."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from node.database import Database
from node.entries.entries import (
    CORRECTED,
    LIVE,
    RESTING,
    WITHDRAWN,
    Draft,
    let_rest,
    put_entries,
    withdraw_entry,
)
from node.entries.search import COUNTED, Filter, Listing, by_state, coverage, newest, search
from tests.rig.publications import a_case
from vocab.cases import facets

HOSTS = ("one.example", "two.example", "three.example")
RESTS = HOSTS[2]


async def fill(database: Database, now: datetime, *, cases: int = 30) -> list[Draft]:
    """Cases of three hosts, of which every tenth is withdrawn and the third is let rest; returns those that are shown."""
    drafts = [
        Draft(
            a_case(number),
            id=f"https://{HOSTS[number % 3]}/cases/{number:04}",
            actor=f"https://{HOSTS[number % 3]}/actors/cases",
            host=HOSTS[number % 3],
            publisher=f"Publisher of {HOSTS[number % 3]} (fictional)",
            own=number % 3 == 0,
            document=b"{}",
            sha256="0" * 64,
            proof_key=f"https://{HOSTS[number % 3]}/actors/cases#ed25519-key",
            # Three at a time at the same moment.
            published_at=now - timedelta(days=number // 3),
            updated_at=now if number % 4 == 0 else None,
        )
        for number in range(cases)
    ]
    async with database.begin() as session:
        await put_entries(session, drafts, now=now)
        for draft in drafts[::10]:
            await withdraw_entry(session, draft.id, actor=draft.actor, tombstone=b"gone", now=now)
        await let_rest(session, [draft.id for draft in drafts], hosts=[RESTS])
    return [draft for number, draft in enumerate(drafts) if number % 10 and draft.host != RESTS]


def told(found: Listing) -> dict[str, dict[str, int]]:
    return {facet: dict(values) for facet, values in found.counts.items()}


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "wanted",
    [Filter(), Filter(page=2), Filter(state="FR"), Filter(node=HOSTS[1]), Filter(own=True), Filter(q="the")],
    ids=["all", "the second page", "a State", "a node", "our own", "a word"],
)
async def test_a_page_and_its_counts_are_of_what_is_shown(
    database: Database, now: datetime, wanted: Filter
) -> None:
    shown = await fill(database, now)
    matching = [
        draft
        for draft in shown
        if not wanted.state or ("state", wanted.state) in facets(draft.case)
        if wanted.node in ("", draft.host)
        if wanted.own in (None, draft.own)
        if wanted.q in draft.values()["text"]
    ]
    counted: dict[str, Counter[str]] = {"node": Counter(draft.host for draft in matching)}
    for draft in matching:
        for facet, value in facets(draft.case):
            if facet in COUNTED:
                counted.setdefault(facet, Counter())[value] += 1
    # Of those of one moment the later address first.
    order = sorted(matching, key=lambda draft: (draft.published_at, draft.id), reverse=True)

    async with database.read() as session:
        found = await search(session, wanted, per_page=5)
        latest = await newest(session, wanted, limit=3)

    assert 0 < len(matching) == found.total
    assert [card.url for card in found.items] == [draft.id for draft in order][5 * (found.page - 1) :][:5]
    assert [card.url for card in latest] == [draft.id for draft in order][:3]
    assert told(found) == counted
    assert all(list(values) == sorted(values) for values in found.counts.values())


@pytest.mark.both_databases
async def test_coverage_names_who_publishes_and_where_something_happened_lately(
    database: Database, now: datetime
) -> None:
    shown = await fill(database, now)
    lately = frozenset(value for draft in shown for facet, value in facets(draft.case) if facet == "state")

    async with database.read() as session:
        found = await coverage(session, now=now)
        later = await coverage(session, now=now + timedelta(days=366))

    assert found.states == lately
    assert not later.states
    assert found.cases == len(shown)
    assert [(host, name, n) for host, name, _, n in found.nodes] == [
        (host, f"Publisher of {host} (fictional)", sum(draft.host == host for draft in shown))
        for host in sorted(HOSTS[:2])
    ]
    assert all(
        last == max(draft.published_at for draft in shown if draft.host == host)
        for host, _, last, _ in found.nodes
    )


@pytest.mark.both_databases
async def test_entries_are_told_by_their_state(database: Database, now: datetime) -> None:
    shown = await fill(database, now)

    async with database.read() as session:
        found = await by_state(session)

    assert found == {
        LIVE: sum(draft.updated_at is None for draft in shown),
        CORRECTED: sum(draft.updated_at is not None for draft in shown),
        WITHDRAWN: 3,
        RESTING: 30 - 3 - len(shown),
    }


async def test_the_newest_are_found_in_their_order_and_nothing_is_sorted(
    database: Database, now: datetime
) -> None:
    """Of a hundred thousand cases a page took seconds, for whoever asked."""
    await fill(database, now)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
        # Any: as SQLAlchemy tells it.
        asked.append((statement, given))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)

    async with database.read() as session:
        await newest(session, Filter(), limit=3)
        statement, given = next(one for one in asked if "ORDER BY" in one[0])
        driver = await session.connection()

        async def plan(statement: str, given: Any = ()) -> str:
            found = await driver.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
            return " · ".join(row["detail"] for row in found.mappings())

        steps = await plan(statement, given)
        others = await plan("SELECT id FROM entries WHERE state NOT IN ('live', 'corrected')")

    assert "INDEX ix_entries_shown" in steps
    assert "TEMP B-TREE" not in steps
    assert "INDEX ix_entries_not_shown" in others
