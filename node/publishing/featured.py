"""Featured: the few cases of ours that stand first, chosen by the desk and told to followers (ActivityPub `featured`)."""

from datetime import datetime

from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.entries.entries import WITHDRAWN, Entry
from node.errors import NotFound, WrongState
from node.keyring import Keyring
from node.peers.follows import follower_inboxes
from node.peers.sending import new_activity_id, send
from node.settings import Settings
from vocab import activities
from vocab.terms import PUBLIC

MOST = 10


class Featured(Row):
    """One case that is featured."""

    __tablename__ = "featured"

    case_url: Mapped[str] = mapped_column(String(600), primary_key=True)
    featured_at: Mapped[datetime] = mapped_column(index=True)


async def featured_cases(session: AsyncSession) -> list[str]:
    """Addresses of the featured cases that are public, the latest first."""
    found = await session.scalars(
        select(Featured.case_url)
        .join(Entry, Entry.id == Featured.case_url)
        .where(Entry.own.is_(True), Entry.state != WITHDRAWN)
        .order_by(Featured.featured_at.desc(), Featured.case_url)
    )
    return list(found)


async def feature(
    session: AsyncSession, settings: Settings, keyring: Keyring, url: str, *, now: datetime
) -> None:
    """Put a case of ours first, and tell followers. Again is harmless. Raises NotFound, WrongState when there are too many."""
    entry = await session.get(Entry, url)
    if entry is None or not entry.own or entry.state == WITHDRAWN:
        raise NotFound("no such public case of ours")
    if await session.get(Featured, url) is not None:
        return
    if len(await featured_cases(session)) >= MOST:
        raise WrongState("too many", public=f"At most {MOST} cases can be featured. Take one out first.")
    session.add(Featured(case_url=url, featured_at=now))
    await session.flush()
    await _tell(session, settings, keyring, "add", url, now=now)


async def unfeature(
    session: AsyncSession, settings: Settings, keyring: Keyring, url: str, *, now: datetime
) -> None:
    """Take a case out of those that stand first, and tell followers. Raises NotFound."""
    row = await session.get(Featured, url)
    if row is None:
        raise NotFound("this case is not featured")
    await session.delete(row)
    await session.flush()
    await _tell(session, settings, keyring, "remove", url, now=now)


async def _tell(
    session: AsyncSession, settings: Settings, keyring: Keyring, change: str, url: str, *, now: datetime
) -> None:
    actor = settings.main_actor
    build = activities.add if change == "add" else activities.remove
    activity = build(
        new_activity_id(settings),
        actor,
        url,
        target=f"{actor}/featured",
        to=[PUBLIC],
        cc=[f"{actor}/followers"],
        published=now,
    )
    inboxes = await follower_inboxes(session, actor)
    await send(session, keyring, activity, inboxes=inboxes, now=now, is_public=True)
