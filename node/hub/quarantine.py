"""Cases that a hub was sent and does not show: of organisations that are no members, or with a proof that does not hold.

Only where they are, whose they say they are and why they wait is kept; nothing of what they say. Whoever lets one in lets in
what its own address then shows, on its publisher's proof.
"""

import logging
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import String, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row, among
from node.errors import NotFound
from node.peers.actors import host_of

log = logging.getLogger(__name__)

NOT_A_MEMBER = "not a member"
# Of one host, and of all: more would say nothing new.
MOST_OF_A_HOST = 100
MOST = 10_000


class Waiting(Row):
    """A case that is kept out until somebody decides, or until its publisher is a member or has mended it."""

    __tablename__ = "quarantine"

    id: Mapped[str] = mapped_column(String(2000), primary_key=True)
    actor: Mapped[str] = mapped_column(String(2000), index=True)
    host: Mapped[str] = mapped_column(String(300), index=True)
    reason: Mapped[str] = mapped_column(String(200))
    received_at: Mapped[datetime]


# Built once: it is asked for every case that comes in.
_LET_GO = delete(Waiting.__table__).where(among(Waiting.__table__.c.id, "urls"))  # type: ignore[arg-type]  # a table, as mapped


async def keep_out(session: AsyncSession, url: str, *, actor: str, reason: str, now: datetime) -> None:
    """Note a case that is not taken in; again, with another reason, it is the same one."""
    row = await session.get(Waiting, url)
    if row is None:
        host = host_of(url)
        everything = select(func.count()).select_from(Waiting)
        of_host = await session.scalar(everything.where(Waiting.host == host)) or 0
        if of_host >= MOST_OF_A_HOST or (await session.scalar(everything) or 0) >= MOST:
            log.info("quarantine.full", extra={"host": host})
            return
        row = Waiting(id=url, host=host)
        session.add(row)
    row.actor, row.reason, row.received_at = actor, reason[:200], now
    log.warning("quarantine.kept-out", extra={"host": row.host, "reason": row.reason})


async def waiting(session: AsyncSession, *, actor: str | None = None, limit: int = 500) -> list[Waiting]:
    """What waits, oldest first; of one publisher, if named."""
    found = select(Waiting).order_by(Waiting.received_at, Waiting.id).limit(limit)
    return list(await session.scalars(found.where(Waiting.actor == actor) if actor else found))


async def let_go_all(session: AsyncSession, urls: Collection[str]) -> None:
    """They wait no more, those that did: they were taken in."""
    await session.flush()
    await (await session.connection()).execute(_LET_GO, {"urls": urls})


async def let_go(session: AsyncSession, url: str) -> bool:
    """It waits no more: it was taken in, or somebody does not want it. False when it did not wait."""
    row = await session.get(Waiting, url)
    if row is None:
        return False
    await session.delete(row)
    await session.flush()
    return True


async def waits(session: AsyncSession, url: str) -> Waiting:
    """One that waits. Raises NotFound."""
    row = await session.get(Waiting, url)
    if row is None:
        raise NotFound(f"{url} does not wait")
    return row
