"""The append-only record of who did what to which subject, each entry chained to the one before by SHA-256.

Days, never times; identifiers, never contents; staff only: what a source does is not written here. The chain shows any
later change of the database to whoever noted its head elsewhere (`head`, printed by `tracker audit verify`).
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Date, Integer, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.errors import NodeError
from vocab.canonical import canonical

log = logging.getLogger(__name__)

START = "0" * 64
HEAD = 1
PAGE = 1_000


class BrokenChain(NodeError):
    """The record was changed after it was written."""

    public = "The audit record does not hold."


class AuditEntry(Row):
    """One thing that was done. Never updated, never deleted."""

    __tablename__ = "audit_entries"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    prev_hash: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(64))
    day: Mapped[date] = mapped_column(Date)
    hash: Mapped[str] = mapped_column(String(64))

    def digest(self) -> str:
        """SHA-256 over the canonical entry, which holds the hash of the one before."""
        return hashlib.sha256(
            canonical(
                {
                    "seq": self.seq,
                    "prev_hash": self.prev_hash,
                    "actor": self.actor,
                    "action": self.action,
                    "subject": self.subject,
                    "day": self.day.isoformat(),
                }
            )
        ).hexdigest()


class AuditHead(Row):
    """The end of the chain: one row, locked by whoever adds, so that two writers stand in line on either database."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(Integer)
    hash: Mapped[str] = mapped_column(String(64))


@dataclass(frozen=True, slots=True)
class Head:
    """How long the record is, and the hash that stands for all of it."""

    seq: int
    hash: str


async def record(
    session: AsyncSession, *, actor: str, action: str, subject: str, now: datetime
) -> AuditEntry:
    """Add one entry in the caller's transaction.

    actor    id of a member of staff, or `node` for what the server does by itself.
    subject  id of the alert, case, person or setting.
    """
    head = await _locked_head(session)
    entry = AuditEntry(
        seq=head.seq + 1, prev_hash=head.hash, actor=actor, action=action, subject=subject, day=now.date()
    )
    entry.hash = entry.digest()
    head.seq, head.hash = entry.seq, entry.hash
    session.add(entry)
    await session.flush()
    return entry


async def head(session: AsyncSession) -> Head:
    """The end of the chain as stored."""
    row = await session.get(AuditHead, HEAD)
    return Head(0, START) if row is None else Head(row.seq, row.hash)


async def verify(session: AsyncSession) -> Head:
    """Walk the whole record and return its head.

    Raises BrokenChain at the first entry that was changed, left out, put in or cut off.
    """
    seq, hash_ = 0, START
    while True:
        entries = (
            await session.scalars(
                select(AuditEntry).where(AuditEntry.seq > seq).order_by(AuditEntry.seq).limit(PAGE)
            )
        ).all()
        for entry in entries:
            if entry.seq != seq + 1 or entry.prev_hash != hash_ or entry.hash != entry.digest():
                raise BrokenChain(f"the audit record breaks at entry {seq + 1}")
            seq, hash_ = entry.seq, entry.hash
        if len(entries) < PAGE:
            break
    if await head(session) != Head(seq, hash_):
        raise BrokenChain(f"the audit record ends at entry {seq}, not where it should")
    return Head(seq, hash_)


async def entries_after(session: AsyncSession, seq: int, *, limit: int = PAGE) -> list[AuditEntry]:
    """The entries behind `seq`, oldest first."""
    found = await session.scalars(
        select(AuditEntry).where(AuditEntry.seq > seq).order_by(AuditEntry.seq).limit(limit)
    )
    return list(found)


async def entries_of(session: AsyncSession, subject: str) -> list[AuditEntry]:
    """What was done to one subject, oldest first."""
    found = await session.scalars(
        select(AuditEntry).where(AuditEntry.subject == subject).order_by(AuditEntry.seq)
    )
    return list(found)


async def _locked_head(session: AsyncSession) -> AuditHead:
    lock = (
        select(AuditHead)
        .where(AuditHead.id == HEAD)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(lock)
    if found is None:
        try:
            async with session.begin_nested():
                session.add(AuditHead(id=HEAD, seq=0, hash=START))
        except IntegrityError:
            log.debug(
                "audit.second-first"
            )  # somebody else wrote the very first entry: stand in line behind them
        found = await session.scalar(lock)
    if found is None:
        raise BrokenChain("the end of the audit record is gone")
    return found
