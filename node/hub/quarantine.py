"""Cases that a hub was sent and does not show: of organisations that are no members, or with a proof that does not hold.

Only where they are, whose they say they are and why they wait is kept; nothing of what they say. Whoever lets one in lets in
what its own address then shows, on its publisher's proof.
"""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import String, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.sites import site_of
from node.database import Row
from node.errors import NotFound
from node.peers.actors import host_of
from node.peers.follows import Follow
from node.statements import among

log = logging.getLogger(__name__)

NOT_A_MEMBER = "not a member"
# Of one site, and of all: more would say nothing new.
MOST_OF_A_SITE = 100
MOST = 10_000
# Of all, what strangers leave to those whom we follow, or who have followed us for a day: many names are bought in less.
KEPT_FREE = 2_000
KNOWN_AFTER = timedelta(days=1)


class Waiting(Row):
    """A case that is kept out until somebody decides, or until its publisher is a member or has mended it."""

    __tablename__ = "quarantine"

    id: Mapped[str] = mapped_column(String(2000), primary_key=True)
    actor: Mapped[str] = mapped_column(String(2000), index=True)
    site: Mapped[str] = mapped_column(String(300), index=True)
    reason: Mapped[str] = mapped_column(String(200))
    received_at: Mapped[datetime]


# Built once: it is asked for every case that comes in.
_LET_GO = delete(Waiting.__table__).where(among(Waiting.__table__.c.id, "urls"))  # type: ignore[arg-type]  # a table, as mapped


async def keep_out(session: AsyncSession, url: str, *, actor: str, reason: str, now: datetime) -> None:
    """Note a case that is not taken in; again, with another reason, it is the same one."""
    row = await session.get(Waiting, url)
    if row is None:
        site = site_of(host_of(url))
        if not await _has_room(session, site, actor, now):
            log.info("quarantine.full", extra={"host": host_of(url)})
            return
        row = Waiting(id=url, site=site)
        session.add(row)
    row.actor, row.reason, row.received_at = actor, reason[:200], now
    log.warning("quarantine.kept-out", extra={"host": host_of(url), "reason": row.reason})


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


async def taken_back(session: AsyncSession, url: str, *, actor: str) -> bool:
    """Its publisher withdrew it, or is gone, where `url` is the publisher's own: nobody needs to look at it. False when none waited."""
    which = Waiting.actor == actor if url == actor else (Waiting.id == url) & (Waiting.actor == actor)
    dropped = delete(Waiting).where(which).returning(Waiting.id)
    return (await session.scalars(dropped)).first() is not None


async def waits(session: AsyncSession, url: str) -> Waiting:
    """One that waits. Raises NotFound."""
    row = await session.get(Waiting, url)
    if row is None:
        raise NotFound(f"{url} does not wait")
    return row


async def _has_room(session: AsyncSession, site: str, actor: str, now: datetime) -> bool:
    """Whether one more of that site may wait: a soft bound, for two at the same moment do not see each other."""
    everything = select(func.count()).select_from(Waiting)
    if (await session.scalar(everything.where(Waiting.site == site)) or 0) >= MOST_OF_A_SITE:
        return False
    total = await session.scalar(everything) or 0
    return total < MOST - KEPT_FREE or (total < MOST and await _is_known(session, actor, now))


async def _is_known(session: AsyncSession, actor: str, now: datetime) -> bool:
    follows_us = and_(Follow.follower == actor, Follow.changed_at <= now - KNOWN_AFTER)
    standing = select(Follow.id).where(or_(Follow.followed == actor, follows_us), Follow.state == "accepted")
    return await session.scalar(standing.limit(1)) is not None
