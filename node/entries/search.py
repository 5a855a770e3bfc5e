"""The read side of public cases: filters, pages, counts. It never writes, and never ranks States."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import HIDDEN, SHOWN, WITHDRAWN, Entry, EntryFacet
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
    matching = _matching(wanted)
    total = await session.scalar(select(func.count()).select_from(matching.subquery())) or 0
    pages = max(1, -(-total // per_page))
    page = min(wanted.page, pages)
    rows = await session.scalars(
        select(Entry)
        .where(Entry.id.in_(matching))
        .order_by(Entry.published_at.desc(), Entry.id)
        .limit(per_page)
        .offset((page - 1) * per_page)
    )
    counted = await session.execute(
        select(EntryFacet.facet, EntryFacet.value, func.count())
        .where(EntryFacet.entry.in_(matching), EntryFacet.facet.in_(COUNTED))
        .group_by(EntryFacet.facet, EntryFacet.value)
    )
    by_host = await session.execute(
        select(Entry.host, func.count()).where(Entry.id.in_(matching)).group_by(Entry.host)
    )
    counts: dict[str, list[tuple[str, int]]] = {}
    for facet, value, n in (*counted, *(("node", *row) for row in by_host)):
        counts.setdefault(facet, []).append((value, n))
    # By name, never by number: a list by number would rank.
    ordered = {facet: tuple(sorted(values)) for facet, values in counts.items()}
    return Listing(tuple(card(row) for row in rows), total, page, pages, ordered)


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
    active = select(Entry.id).where(Entry.state.in_(SHOWN), Entry.published_at >= now - ACTIVE)
    states = await session.scalars(
        select(EntryFacet.value).distinct().where(EntryFacet.facet == "state", EntryFacet.entry.in_(active))
    )
    nodes = await session.execute(
        select(Entry.host, func.max(Entry.publisher), func.max(Entry.published_at), func.count())
        .where(Entry.state.in_(SHOWN))
        .group_by(Entry.host)
        .order_by(Entry.host)
    )
    total = await session.scalar(select(func.count()).select_from(Entry).where(Entry.state.in_(SHOWN)))
    return Coverage(frozenset(states), tuple((row[0], row[1], row[2], row[3]) for row in nodes), total or 0)


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


def _matching(wanted: Filter) -> Select[str]:
    matching = select(Entry.id).where(Entry.state.in_(SHOWN))
    if wanted.own is not None:
        matching = matching.where(Entry.own.is_(wanted.own))
    for facet, value in wanted.facets().items():
        if facet in COLUMNS:
            matching = matching.where(COLUMNS[facet] == value)
            continue
        carries = select(EntryFacet.entry).where(EntryFacet.facet == facet, EntryFacet.value == value)
        matching = matching.where(Entry.id.in_(carries))
    for word in wanted.q.casefold().split()[:8]:
        matching = matching.where(Entry.text.contains(word, autoescape=True))
    return matching


def _withdrawal(row: Entry) -> Withdrawal | None:
    try:
        return read_withdrawal(parse(row.document))
    except VocabError:
        # A Delete of other software may bring no Tombstone that says why.
        return None
