"""Entry: a public case as readers see it, with its provenance: who published it, when it came, which proof held."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ForeignKey,
    Index,
    Insert,
    String,
    bindparam,
    case,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.statements import Bulk, among
from vocab.canonical import canonical
from vocab.cases import PublicCase, facets
from vocab.jsonld import parse, write
from vocab.properties import refuses_indexing, robots

LIVE, CORRECTED, WITHDRAWN = "live", "corrected", "withdrawn"
# Withdrawn before it came: nobody is shown anything of it, and when it comes it is not taken in.
UNSEEN = "unseen"
# Of a host that is shut out here by a decision: nobody is shown anything of it, nor could hear from there that it was withdrawn.
RESTING = "resting"
SHOWN, HIDDEN = (LIVE, CORRECTED), (UNSEEN, RESTING)
_SHOWN, _NOT_SHOWN = (text(f"state {which} ('{LIVE}', '{CORRECTED}')") for which in ("IN", "NOT IN"))


class Entry(Row):
    """A public case.

    id        the case's own address, on the server of its publisher
    text      its words as they are searched; none when its publisher does not want that
    document  the signed object, byte for byte as it was proven; a Tombstone when withdrawn
    own       published here
    """

    __tablename__ = "entries"

    id: Mapped[str] = mapped_column(String(2000), primary_key=True)
    actor: Mapped[str] = mapped_column(String(2000), index=True)
    host: Mapped[str] = mapped_column(String(300), index=True)
    publisher: Mapped[str] = mapped_column(String(2048))
    own: Mapped[bool] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(String(20))
    language: Mapped[str] = mapped_column(String(35))
    fields: Mapped[dict[str, Any]]
    document: Mapped[bytes]
    sha256: Mapped[str] = mapped_column(String(64))
    proof_key: Mapped[str] = mapped_column(String(2000))
    text: Mapped[str]
    published_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    received_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_entries_shown", "published_at", "id", sqlite_where=_SHOWN, postgresql_where=_SHOWN),
        Index(
            "ix_entries_shown_of_host",
            "host",
            "published_at",
            "state",
            sqlite_where=_SHOWN,
            postgresql_where=_SHOWN,
        ),
        Index(
            "ix_entries_not_shown",
            "state",
            "withdrawn_at",
            sqlite_where=_NOT_SHOWN,
            postgresql_where=_NOT_SHOWN,
        ),
    )

    @property
    def last_changed_at(self) -> datetime:
        """When its publisher last changed it."""
        return self.withdrawn_at or self.updated_at or self.published_at

    @property
    def is_corrected(self) -> bool:
        """Whether its publisher changed it after it was published."""
        return self.updated_at is not None and self.updated_at > self.published_at

    def case(self) -> PublicCase:
        """The allow-listed fields as a value."""
        return PublicCase.parse(self.fields)


# With the values in them: only so a database knows that it may use the indexes of those that are shown, or are not.
_VALUES: BindParameter[str] = bindparam("shown", SHOWN, expanding=True, literal_execute=True)
IS_SHOWN, IS_NOT_SHOWN = Entry.state.in_(_VALUES), Entry.state.not_in(_VALUES)


class EntryFacet(Row):
    """One thing an entry can be found by, such as ("state", "FR"): a value of a list. Who published it stands in the entry."""

    __tablename__ = "entry_facets"

    entry: Mapped[str] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True)
    facet: Mapped[str] = mapped_column(String(30), primary_key=True)
    value: Mapped[str] = mapped_column(String(120), primary_key=True)

    __table_args__ = (Index("ix_entry_facets_value", "facet", "value", "entry"),)


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be. Trusted: that `document` was proven with `proof_key`, which belongs to `actor`.

    is_searched  whether the publisher lets its words be searched; the document may refuse it as well (FEP-5e53).
    """

    case: PublicCase
    id: str
    actor: str
    host: str
    publisher: str
    own: bool
    document: bytes
    sha256: str
    proof_key: str
    published_at: datetime
    updated_at: datetime | None
    is_searched: bool = True

    @property
    def newest(self) -> datetime:
        return self.updated_at or self.published_at

    def values(self) -> dict[str, Any]:
        """What changes with each version."""
        corrected = self.updated_at is not None and self.updated_at > self.published_at
        may_be = self.is_searched and not refuses_indexing(asks_robots(self.document))
        return {
            "publisher": self.publisher,
            "state": CORRECTED if corrected else LIVE,
            "language": self.case.language,
            "fields": self.case.fields(),
            "document": self.document,
            "sha256": self.sha256,
            "proof_key": self.proof_key,
            "text": searchable(self.case) if may_be else "",
            "published_at": self.published_at,
            "updated_at": self.updated_at,
        }


def _add(insert: Any) -> Insert:
    # Any: the two dialects' inserts share their methods but no base class that says so.
    added: Insert = insert(Entry)
    return added


def _add_facets(insert: Any) -> Insert:
    added: Insert = insert(EntryFacet)
    return added


def _expect(insert: Any) -> Insert:
    expected: Insert = insert(Entry).on_conflict_do_nothing(index_elements=[Entry.id])
    return expected


_COLUMNS = [column.key for column in Entry.__table__.columns]
_ADD, _EXPECT = Bulk(_add, _COLUMNS), Bulk(_expect, _COLUMNS)
_ADD_FACETS = Bulk(_add_facets, ("entry", "facet", "value"))


_IDS = Entry.__table__.c.id
# Built once: it is asked for every case that comes in.
_KNOWN = select(_IDS).where(among(_IDS, "ids")).order_by(_IDS).with_for_update()


async def last_changes(session: AsyncSession, ids: Collection[str]) -> dict[str, datetime]:
    """When those of these cases that are here, or were, were last changed by their publishers."""
    changed_at = func.coalesce(Entry.withdrawn_at, Entry.updated_at, Entry.published_at)
    found = await session.execute(
        select(Entry.id, changed_at).where(among(Entry.id, ids), Entry.state != UNSEEN)
    )
    return {row[0]: row[1] for row in found}


async def is_shown(session: AsyncSession, id: str | None, *, actor: str | None = None) -> bool:
    """Whether that case of somebody else is shown here; of this actor, where one is named."""
    known = await session.get(Entry, id) if id else None
    return known is not None and known.state in SHOWN and not known.own and actor in (None, known.actor)


async def own_case(session: AsyncSession, *ids: str) -> Entry | None:
    """The first of these that is a case published here."""
    ours = set(await session.scalars(select(Entry.id).where(among(Entry.id, ids), Entry.own.is_(True))))
    first = next((one for one in ids if one in ours), None)
    return await session.get(Entry, first) if first is not None else None


async def put_entry(session: AsyncSession, draft: Draft, *, now: datetime) -> Entry | None:
    """Keep a case, new or changed; None when what we have is as new, or withdrawn for good."""
    if not await put_entries(session, [draft], now=now):
        return None
    return await session.get_one(Entry, draft.id)


async def put_entries(session: AsyncSession, drafts: Sequence[Draft], *, now: datetime) -> dict[str, bool]:
    """Keep cases, each another; returns those that changed something, by id, and whether it is new."""
    # Locked: an update that comes while a withdrawal is committed would put back what was withdrawn. In order: two that keep the
    # same cases wait for one another, and never both.
    ordered = sorted(drafts, key=attrgetter("id"))
    ids = [draft.id for draft in ordered]
    known: dict[str, Entry] = {}
    await session.flush()
    if (await (await session.connection()).execute(_KNOWN, {"ids": ids})).all():
        found = select(Entry).where(among(Entry.id, ids)).execution_options(populate_existing=True)
        known = {row.id: row for row in await session.scalars(found)}
    for draft in ordered:
        row = known.get(draft.id)
        if row is not None and row.state == UNSEEN and row.actor != draft.actor:
            # Nobody but its own author withdraws a case before it comes (attack 56).
            await session.delete(known.pop(draft.id))
    fresh: list[dict[str, Any]] = []
    changed: list[Draft] = []
    for draft in ordered:
        row = known.get(draft.id)
        if row is None:
            own = {"id": draft.id, "actor": draft.actor, "host": draft.host, "own": draft.own}
            fresh.append({**own, **draft.values(), "received_at": now, "withdrawn_at": None})
        elif row.state == RESTING and row.actor == draft.actor and draft.newest == row.last_changed_at:
            # Its host may speak again, and it stands there as it was.
            row.state = CORRECTED if row.is_corrected else LIVE
            continue
        elif row.state in SHOWN and _is_in_its_own_order(draft, row):
            row.document, row.sha256 = draft.document, draft.sha256
            continue
        elif row.withdrawn_at is not None or row.actor != draft.actor or draft.newest <= row.last_changed_at:
            # An old signed version replayed must not undo a correction; a withdrawal is for good.
            continue
        else:
            # What takes the place of another is a correction, and as old as what it corrects, whatever it says of itself.
            same = {"state": CORRECTED, "published_at": row.published_at, "updated_at": draft.newest}
            for name, value in (draft.values() | same).items():
                setattr(row, name, value)
        changed.append(draft)
    await session.flush()
    await _ADD.run(session, fresh)
    if again := [draft.id for draft in changed if draft.id in known]:
        await session.execute(delete(EntryFacet).where(among(EntryFacet.entry, again)))
    pairs = ((draft.id, *pair) for draft in changed for pair in sorted(facets(draft.case)))
    await _ADD_FACETS.run(
        session, [dict(zip(("entry", "facet", "value"), one, strict=True)) for one in pairs]
    )
    return {draft.id: draft.id not in known for draft in changed}


def _is_in_its_own_order(draft: Draft, row: Entry) -> bool:
    """Whether it is the version that is here, which somebody brought while its own server did not show it: in an order of nobody's choice.

    As its own server writes it, it has the hash that others know it by.
    """
    if draft.actor != row.actor or draft.newest != row.last_changed_at or draft.sha256 == row.sha256:
        return False
    return write(parse(canonical(parse(draft.document)))) == row.document


async def withdraw_entry(
    session: AsyncSession, id: str, *, actor: str, tombstone: bytes, now: datetime
) -> Entry | None:
    """Put a dated tombstone in the place of a case; None when there is none of that actor, or it is withdrawn already."""
    row = await session.get(Entry, id, with_for_update=True)
    if row is None or row.actor != actor or row.withdrawn_at is not None:
        return None
    row.state, row.withdrawn_at = WITHDRAWN, now
    # What was withdrawn is not kept to be read: the address, the dates and the reason stay.
    row.fields, row.text, row.document = {}, "", tombstone
    await session.execute(delete(EntryFacet).where(EntryFacet.entry == id))
    return row


async def expect_withdrawn(session: AsyncSession, id: str, *, actor: str, host: str, now: datetime) -> None:
    """Keep a case out that is not here and that its author has withdrawn; one that is here stays as it is.

    Whoever adds it at the same moment waits for this, and this for them: then it is here.
    """
    row = dict.fromkeys(("publisher", "language", "proof_key", "text", "sha256"), "")
    times = {"published_at": now, "updated_at": None, "withdrawn_at": now, "received_at": now}
    own = {
        "id": id,
        "actor": actor,
        "host": host,
        "own": False,
        "state": UNSEEN,
        "fields": {},
        "document": b"",
    }
    await _EXPECT.run(session, [row | own | times])


async def shown_of(session: AsyncSession, hosts: Collection[str]) -> Sequence[str]:
    """The cases from these hosts that are shown."""
    return (await session.scalars(select(Entry.id).where(*_shown_of(hosts)))).all()


async def let_rest(session: AsyncSession, ids: Collection[str], *, hosts: Collection[str]) -> None:
    """Show nobody those of these cases that come from these hosts."""
    rested = update(Entry).where(among(Entry.id, ids), *_shown_of(hosts)).values(state=RESTING)
    await session.execute(rested.execution_options(synchronize_session=False))


def _shown_of(hosts: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return (among(Entry.host, hosts), Entry.own.is_(False), Entry.state.in_(SHOWN))


async def show_again(session: AsyncSession, actor: str, *, limit: int) -> int:
    """Show some of what rested of an actor who may speak again, and was asked what stands; returns how many."""
    some = select(Entry.id).where(Entry.actor == actor, Entry.state == RESTING).limit(limit)
    stands = case((Entry.updated_at > Entry.published_at, CORRECTED), else_=LIVE)
    shown = update(Entry).where(Entry.id.in_(some.scalar_subquery()), Entry.state == RESTING)
    told = shown.values(state=stands).returning(Entry.id).execution_options(synchronize_session=False)
    return len((await session.scalars(told)).all())


async def searched_otherwise(session: AsyncSession, actor: str, *, is_searched: bool) -> Sequence[str]:
    """The cases of an actor whose words are searched and are to be no more, or the other way round."""
    is_silent = Entry.text == ""
    theirs = select(Entry.id).where(Entry.actor == actor, Entry.state.in_((*SHOWN, RESTING)))
    return (await session.scalars(theirs.where(is_silent if is_searched else ~is_silent))).all()


async def set_searched(session: AsyncSession, ids: Collection[str], *, is_searched: bool) -> None:
    """The publisher of these cases agrees that their words are searched here, or no more (FEP-5feb)."""
    if not is_searched:
        silenced = update(Entry).where(among(Entry.id, ids)).values(text="")
        await session.execute(silenced.execution_options(synchronize_session=False))
        return
    silent = select(Entry).where(among(Entry.id, ids), Entry.state.in_((*SHOWN, RESTING)), Entry.text == "")
    for row in list(await session.scalars(silent.order_by(Entry.id).with_for_update())):
        row.text = "" if refuses_indexing(asks_robots(row.document)) else searchable(row.case())


def asks_robots(document: bytes) -> tuple[str, ...]:
    """What a signed object asks of whoever indexes it; most ask nothing, and are not parsed for it."""
    return robots(parse(document)) if b"xRobotsTag" in document else ()


def searchable(case: PublicCase) -> str:
    """All public words of a case, folded, for the text search."""
    parts: list[str] = []
    for texts in (case.title, case.summary, case.verification_statement):
        parts.extend(texts.values())
    return " \n".join(parts).casefold()
