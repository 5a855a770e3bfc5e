"""Which servers fetched a case of ours: they hold a copy, and hear what becomes of it, whomever their people follow.

Kept is where to tell them, by case, and a day; all of it goes when the case is withdrawn, once they are told. Who asks without a
signature is not known. How it is found out who asked is the inbox's.
"""

import logging
from collections import Counter
from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Insert, String, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.sites import site_of
from node.database import Row
from node.entries.entries import Entry
from node.peers.actors import host_of
from node.peers.deliveries import still_told
from node.peers.follows import MOST_INBOXES
from node.peers.sending import Sent, send_also
from node.statements import Bulk

log = logging.getLogger(__name__)

# Of one case, in all and of one site. Each costs a delivery whenever the case changes, and anybody may fetch under many names.
MOST = 5_000
MOST_OF_A_SITE = MOST_INBOXES


class Copy(Row):
    """A server has the words of a case.

    inbox    where one POST reaches it: shared where whoever signed names such a one.
    site     of its host: what counts only so often is counted by it.
    seen_on  the day on which it was first known. No moment: when somebody read is nobody's business.
    """

    __tablename__ = "copies"

    case_url: Mapped[str] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True)
    inbox: Mapped[str] = mapped_column(String(2000), primary_key=True)
    site: Mapped[str] = mapped_column(String(300))
    seen_on: Mapped[date]

    __table_args__ = (Index(None, "case_url", "site"),)


def _add(insert: Any) -> Insert:
    # Any: the two dialects' inserts share on_conflict_* but no base class that says so.
    added: Insert = insert(Copy).on_conflict_do_nothing(index_elements=[Copy.case_url, Copy.inbox])
    return added


_ADD = Bulk(_add, ("case_url", "inbox", "site", "seen_on"))


async def is_copied_to(session: AsyncSession, case_url: str, inbox: str) -> bool:
    """Whether it is known already that this server has the case."""
    return await session.get(Copy, (case_url, inbox)) is not None


async def remember_copy(
    session: AsyncSession, case_url: str, inbox: str, *, served_at: datetime, now: datetime
) -> bool:
    """Remember that a server was given a case of ours; of one that was withdrawn since, nothing is kept. Twice is once.

    Whether something was said of the case since, which did not go there: then they are told by `tell_late`. In another transaction, for
    here a case is held that somebody may be withdrawing who has the lane that their withdrawal goes into.
    Trusted: that it was served to whoever has this inbox, and that their host may be spoken to.
    """
    # Shared with others who remember; whoever withdraws or corrects the case waits for this, or this for them.
    found = select(Entry.withdrawn_at, Entry.updated_at).where(Entry.id == case_url, Entry.own.is_(True))
    entry = (await session.execute(found.with_for_update(read=True))).first()
    if entry is None:
        return False
    if entry.withdrawn_at is not None:
        return True
    if await is_copied_to(session, case_url, inbox):
        return False
    if not await _make_place(session, case_url, host_of(inbox)):
        return False
    site = site_of(host_of(inbox))
    await _ADD.run(session, [{"case_url": case_url, "inbox": inbox, "site": site, "seen_on": now.date()}])
    # What is corrected is dated with whole seconds: perhaps they have that already, and are told it again.
    return entry.updated_at is not None and bool(entry.updated_at >= served_at.replace(microsecond=0))


async def tell_late(session: AsyncSession, case_url: str, inbox: str, *, now: datetime) -> None:
    """It was given the case in the moment in which that was corrected or withdrawn: what was said last goes there too."""
    said = select(Sent).where(
        Sent.object_id == case_url, Sent.type.in_(("Update", "Delete")), Sent.is_public.is_(True)
    )
    last = await session.scalar(said.order_by(Sent.sent_at.desc()).limit(1))
    if last is not None:
        await send_also(session, last, inbox, now=now)


async def inboxes_of_copies(session: AsyncSession, case_url: str) -> list[str]:
    """Where one POST each reaches the servers that fetched a case; none of a blocked host, of one site MOST_INBOXES."""
    found = list(await session.scalars(select(Copy.inbox).where(Copy.case_url == case_url)))
    if len(found) >= MOST:
        # Perhaps others have it, too, for whom there was no place.
        log.warning("copies.full", extra={"case": case_url})
    return await still_told(session, found)


async def forget_copies(session: AsyncSession, case_url: str) -> None:
    """Whoever had it has been told that it is withdrawn: who that was need not be known any more."""
    forgotten = delete(Copy).where(Copy.case_url == case_url)
    await session.execute(forgotten.execution_options(synchronize_session=False))


async def _make_place(session: AsyncSession, case_url: str, host: str) -> bool:
    """Whether one more may be kept, of its site and in all. A soft bound: those that come at the same moment do not see each other.

    Where all is full, a host that has fewer takes the place of one that has most, and so does a site: who fetches under many names
    pushes out nobody but themselves.
    """
    of_case, site = Copy.case_url == case_url, site_of(host)
    own = list(await session.scalars(select(Copy.inbox).where(of_case, Copy.site == site)))
    if len(own) >= MOST_OF_A_SITE:
        hosts = Counter(map(host_of, own))
        fullest, many = hosts.most_common(1)[0]
        if hosts[host] + 1 >= many:
            return False
        given_up = max(one for one in own if host_of(one) == fullest)
        await session.execute(delete(Copy).where(of_case, Copy.inbox == given_up))
        return True
    if (await session.scalar(select(func.count()).select_from(Copy).where(of_case)) or 0) < MOST:
        return True
    sites = select(Copy.site, func.count(), func.max(Copy.inbox)).where(of_case).group_by(Copy.site)
    found = (await session.execute(sites.order_by(func.count().desc()).limit(1))).first()
    if found is None or len(own) + 1 >= found[1]:
        return False
    await session.execute(delete(Copy).where(of_case, Copy.inbox == found[2]))
    return True
