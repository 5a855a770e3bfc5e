"""The read side of public cases: filters, pages, counts. It never writes, and never ranks States."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import HIDDEN, IS_NOT_SHOWN, IS_SHOWN, SHOWN, WITHDRAWN, Entry, EntryFacet
from node.statements import among
from vocab.cases import PublicCase, Withdrawal, read_withdrawal
from vocab.errors import VocabError
from vocab.jsonld import parse

PER_PAGE = 20
ACTIVE = timedelta(days=365)
COUNTED = ("state", "article", "group", "kind", "language", "verification", "theme", "status")
# What stands in the entry itself.
COLUMNS = {"node": Entry.host, "publisher": Entry.actor}
MAX_VALUE = 2000


@dataclass(frozen=True, slots=True)
class Filter:
    """What a reader asks for; every one of them is a link. Empty means all."""

    state: str = ""
    article: str = ""
    provision: str = ""
    group: str = ""
    kind: str = ""
    theme: str = ""
    node: str = ""
    publisher: str = ""
    language: str = ""
    verification: str = ""
    status: str = ""
    q: str = ""
    own: bool | None = None
    page: int = 1

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "Filter":
        """A filter from a query string; what is not understood is left out."""
        given: dict[str, Any] = {}
        for name in (f.name for f in fields(cls) if f.name not in {"page", "own"}):
            given[name] = query.get(name, "").strip()[:MAX_VALUE]
        # snac (2.75, 2.96) shows the addresses of hashtags in small letters; of what ours name, only a State's code has others.
        given["state"] = given["state"].upper() if given["state"].isascii() else given["state"]
        page = query.get("page", "1")
        # Python reads no number of more than 4,300 digits.
        is_number = page.isascii() and page.isdigit() and len(page) < 10
        given["page"] = min(max(int(page), 1), 100_000) if is_number else 1
        return cls(**given)

    def facets(self) -> dict[str, str]:
        """The facets that are asked for."""
        names = ("state", "article", "provision", "group", "kind", "theme", "node", "publisher", "language")
        found = {name: getattr(self, name) for name in (*names, "verification", "status")}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Card:
    """One case in a list or on its page, with where it came from. A withdrawn one has no case any more."""

    case: PublicCase | None
    url: str
    publisher_name: str
    publisher_origin: str
    actor: str
    published_at: datetime
    updated_at: datetime | None
    withdrawn_at: datetime | None
    withdrawal: Withdrawal | None
    state: str
    proof_key: str
    sha256: str
    own: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of cases, how many there are in all, and how many carry each value of each facet."""

    items: tuple[Card, ...]
    total: int
    page: int
    pages: int
    counts: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the cases rest on: which States they come from, which nodes publish and when each last did."""

    states: frozenset[str]
    nodes: tuple[tuple[str, str, datetime, int], ...]  # host, name, last published, live cases
    cases: int


async def search(session: AsyncSession, wanted: Filter, *, per_page: int = PER_PAGE) -> Listing:
    """The cases that match, newest first, with counts per facet. Withdrawn ones are not listed."""
    counts = await _counts(session, wanted)
    total = sum(n for _, n in counts.get("node", ()))
    pages = max(1, -(-total // per_page))
    page = min(wanted.page, pages)
    items = await newest(session, wanted, limit=per_page, after=(page - 1) * per_page)
    return Listing(items, total, page, pages, counts)


async def newest(session: AsyncSession, wanted: Filter, *, limit: int, after: int = 0) -> tuple[Card, ...]:
    """The newest cases that match, uncounted.

    after  so many are passed over.
    """
    order = (Entry.published_at.desc(), Entry.id.desc())
    # First which, then what they say: to pass over thousands no row is read.
    ids = select(Entry.id).where(*_conditions(wanted)).order_by(*order).limit(limit).offset(after)
    rows = await session.scalars(
        select(Entry).where(among(Entry.id, (await session.scalars(ids)).all())).order_by(*order)
    )
    return tuple(card(row) for row in rows)


async def entry_at(session: AsyncSession, id: str) -> Card | None:
    """One case by its address, withdrawn ones included."""
    row = await session.get(Entry, id)
    return card(row) if row is not None and row.state not in HIDDEN else None


async def document_at(session: AsyncSession, id: str) -> tuple[bytes, bool] | None:
    """The signed bytes at an address and whether they are a tombstone's; None when nothing was ever there."""
    wanted = select(Entry.document, Entry.state).where(Entry.id == id, Entry.state.not_in(HIDDEN))
    found = (await session.execute(wanted)).first()
    return (found[0], found[1] == WITHDRAWN) if found else None


async def standing(session: AsyncSession, ids: Collection[str]) -> frozenset[str]:
    """Those of these cases that are shown here: not withdrawn."""
    found = select(Entry.id).where(among(Entry.id, ids), Entry.state.in_(SHOWN))
    return frozenset(await session.scalars(found))


async def coverage(session: AsyncSession, *, now: datetime) -> Coverage:
    """What the published cases rest on."""
    known = select(EntryFacet.value).where(EntryFacet.facet == "state").distinct().subquery()
    active = (
        select(Entry.id)
        .join(EntryFacet, EntryFacet.entry == Entry.id)
        .where(EntryFacet.facet == "state", EntryFacet.value == known.c.value)
        .where(IS_SHOWN, Entry.published_at >= now - ACTIVE)
    )
    states = await session.scalars(select(known.c.value).where(active.exists()))
    each = (
        select(Entry.host, func.max(Entry.published_at).label("last"), func.count().label("cases"))
        .where(IS_SHOWN)
        .group_by(Entry.host)
        .subquery()
    )
    nodes = await session.execute(
        select(each.c.host, func.max(Entry.publisher), each.c.last, each.c.cases)
        .join(Entry, and_(Entry.host == each.c.host, Entry.published_at == each.c.last, IS_SHOWN))
        .group_by(each.c.host, each.c.last, each.c.cases)
        .order_by(each.c.host)
    )
    found = tuple((row[0], row[1], row[2], row[3]) for row in nodes)
    return Coverage(frozenset(states), found, sum(row[3] for row in found))


async def by_state(session: AsyncSession) -> dict[str, int]:
    """How many entries there are in each state, hidden ones included."""
    # Each in an index of its own: to look at every row takes a gigabyte of reading where there are a hundred thousand.
    each = (
        select(Entry.state, func.count()).where(which).group_by(Entry.state)
        for which in (IS_SHOWN, IS_NOT_SHOWN)
    )
    return {state: n for state, n in await session.execute(union_all(*each))}


def card(row: Entry) -> Card:
    """An entry as a value for pages and feeds."""
    scheme = row.id.split("://", 1)[0]
    return Card(
        case=row.case() if row.withdrawn_at is None else None,
        url=row.id,
        publisher_name=row.publisher,
        publisher_origin=f"{scheme}://{row.host}",
        actor=row.actor,
        published_at=row.published_at,
        updated_at=row.updated_at,
        withdrawn_at=row.withdrawn_at,
        withdrawal=_withdrawal(row) if row.withdrawn_at is not None else None,
        state=row.state,
        proof_key=row.proof_key,
        sha256=row.sha256,
        own=row.own,
        received_at=row.received_at,
    )


async def _counts(session: AsyncSession, wanted: Filter) -> dict[str, tuple[tuple[str, int], ...]]:
    """How many of the cases that match carry each value of each facet; by name, never by number: a list by number would rank."""
    by_value = select(EntryFacet.facet, EntryFacet.value, func.count())
    by_value = by_value.group_by(EntryFacet.facet, EntryFacet.value)
    parts: list[tuple[int, Select[str, str, int] | CompoundSelect[str, str, int]]]
    if wanted == Filter(page=wanted.page):
        # All: what is not shown is little, and counted apart, for to look up each of the others takes ten times as long.
        hidden = select(Entry.id).where(IS_NOT_SHOWN)
        by_host = select(literal("node"), Entry.host, func.count()).where(IS_SHOWN).group_by(Entry.host)
        parts = [
            (1, by_value.where(EntryFacet.facet.in_(COUNTED))),
            (-1, by_value.where(EntryFacet.entry.in_(hidden))),
            (1, by_host),
        ]
    else:
        # Named twice, they are found once.
        matching = select(Entry.id, Entry.host).where(*_conditions(wanted)).cte("matching")
        by_host = select(literal("node"), matching.c.host, func.count()).group_by(matching.c.host)
        parts = [(1, union_all(by_value.where(EntryFacet.entry.in_(select(matching.c.id))), by_host))]
    counted: Counter[tuple[str, str]] = Counter()
    for sign, part in parts:
        for facet, value, n in await session.execute(part):
            counted[facet, value] += sign * n
    counts: dict[str, list[tuple[str, int]]] = {}
    for (facet, value), n in sorted(counted.items()):
        if n > 0 and (facet in COUNTED or facet == "node"):
            counts.setdefault(facet, []).append((value, n))
    return {facet: tuple(values) for facet, values in counts.items()}


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [IS_SHOWN]
    if wanted.own is not None:
        conditions.append(Entry.own.is_(wanted.own))
    for facet, value in wanted.facets().items():
        if facet in COLUMNS:
            conditions.append(COLUMNS[facet] == value)
            continue
        carries = select(EntryFacet.entry).where(EntryFacet.facet == facet, EntryFacet.value == value)
        conditions.append(Entry.id.in_(carries))
    for word in wanted.q.casefold().split()[:8]:
        conditions.append(Entry.text.contains(word, autoescape=True))
    return conditions


def _withdrawal(row: Entry) -> Withdrawal | None:
    try:
        return read_withdrawal(parse(row.document))
    except VocabError:
        # A Delete of other software may bring no Tombstone that says why.
        return None
