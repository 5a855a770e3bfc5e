"""Entry: a public case as readers see it, with its provenance: who published it, when it came, which proof held."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from vocab.cases import PublicCase, facets
from vocab.jsonld import parse
from vocab.properties import refuses_indexing, robots

LIVE, CORRECTED, WITHDRAWN = "live", "corrected", "withdrawn"


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
    published_at: Mapped[datetime] = mapped_column(index=True)
    updated_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    received_at: Mapped[datetime]

    __table_args__ = (Index("ix_entries_newest", "state", "published_at"),)

    @property
    def last_changed_at(self) -> datetime:
        """When its publisher last changed it."""
        return self.withdrawn_at or self.updated_at or self.published_at

    def case(self) -> PublicCase:
        """The allow-listed fields as a value."""
        return PublicCase.parse(self.fields)


class EntryFacet(Row):
    """One thing an entry can be found by, such as ("state", "FR")."""

    __tablename__ = "entry_facets"

    entry: Mapped[str] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True)
    facet: Mapped[str] = mapped_column(String(30), primary_key=True)
    value: Mapped[str] = mapped_column(String(120), primary_key=True)

    __table_args__ = (Index("ix_entry_facets_value", "facet", "value", "entry"),)


async def put_entry(
    session: AsyncSession,
    case: PublicCase,
    *,
    id: str,
    actor: str,
    host: str,
    publisher: str,
    own: bool,
    document: bytes,
    sha256: str,
    proof_key: str,
    published_at: datetime,
    updated_at: datetime | None,
    is_searched: bool = True,
    now: datetime,
) -> Entry | None:
    """Keep a case, new or changed; None when what we have is as new, or withdrawn for good.

    Its words are searched only where publisher (`is_searched`) and document (FEP-5e53) agree.
    Trusted: that `document` was proven with `proof_key`, which belongs to `actor`.
    """
    # Locked: an update that comes while a withdrawal is committed would put back what was withdrawn.
    row = await session.get(Entry, id, with_for_update=True)
    if row is not None:
        newest = updated_at or published_at
        if row.withdrawn_at is not None or row.actor != actor or newest <= row.last_changed_at:
            # An old signed version replayed must not undo a correction; a withdrawal is for good.
            return None
    else:
        row = Entry(id=id, actor=actor, host=host, own=own, received_at=now)
        session.add(row)
    row.publisher = publisher
    row.state = CORRECTED if updated_at and updated_at > published_at else LIVE
    row.language = case.language
    row.fields = case.fields()
    row.document, row.sha256, row.proof_key = document, sha256, proof_key
    row.text = searchable(case) if is_searched and not refuses_indexing(asks_robots(document)) else ""
    row.published_at, row.updated_at = published_at, updated_at
    await session.flush()
    await session.execute(delete(EntryFacet).where(EntryFacet.entry == id))
    session.add_all(
        EntryFacet(entry=id, facet=facet, value=value)
        for facet, value in sorted(facets(case) | {("node", host), ("publisher", actor)})
    )
    await session.flush()
    return row


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
    await session.execute(delete(EntryFacet).where(EntryFacet.entry == id, EntryFacet.facet != "node"))
    return row


async def set_searched(session: AsyncSession, actor: str, *, is_searched: bool) -> None:
    """A publisher agrees that the words of their cases are searched here, or no more (FEP-5feb)."""
    empty = Entry.text == ""
    found = select(Entry).where(
        Entry.actor == actor, Entry.state != WITHDRAWN, empty if is_searched else ~empty
    )
    for row in list(await session.scalars(found)):
        may_be = is_searched and not refuses_indexing(asks_robots(row.document))
        row.text = searchable(row.case()) if may_be else ""


def asks_robots(document: bytes) -> tuple[str, ...]:
    """What a signed object asks of whoever indexes it; most ask nothing, and are not parsed for it."""
    return robots(parse(document)) if b"xRobotsTag" in document else ()


def searchable(case: PublicCase) -> str:
    """All public words of a case, folded, for the text search."""
    parts: list[str] = []
    for texts in (case.title, case.summary, case.verification_statement):
        parts.extend(texts.values())
    return " \n".join(parts).casefold()
