"""Reports: what others flag to us, kept for people; and what we flag to others, in the name of the server, never of a person."""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import String, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.sites import site_of
from node import audit
from node.database import Row
from node.errors import Invalid, NotFound, WrongState
from node.ids import random_id
from node.keyring import Keyring
from node.peers.actors import RemoteActor, host_of
from node.peers.sending import Sent, new_activity_id, send
from node.settings import Settings
from vocab import activities
from vocab.markup import plain_text

MAX_TEXT = 2_000
MAX_NOTE = 1_000
MAX_OBJECTS = 20
# Open reports of one site; more say nothing new, and would bury those of others.
MAX_OPEN = 100
EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


class Report(Row):
    """Somebody says that something of ours is wrong. It names addresses that are public anyway, and holds nothing of what is there."""

    __tablename__ = "reports"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    activity_id: Mapped[str] = mapped_column(String(2000), unique=True)
    reporter: Mapped[str] = mapped_column(String(2000))
    site: Mapped[str] = mapped_column(String(300), index=True)
    objects: Mapped[list[str]]
    text: Mapped[str] = mapped_column(String(MAX_TEXT))
    received_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(26))
    note: Mapped[str | None] = mapped_column(String(MAX_NOTE))

    @property
    def may_name_more(self) -> bool:
        """Whether as many addresses are kept of it as of any: whoever looks at it is to know that these may not be all."""
        return len(self.objects) >= MAX_OBJECTS

    def close(self, note: str, *, by: str, now: datetime) -> None:
        """Somebody has looked at it, and says what came of it. Raises WrongState."""
        if self.closed_at is not None:
            raise WrongState("this report is closed already", public="This report is settled already.")
        self.closed_at, self.closed_by, self.note = now, by, note.strip()[:MAX_NOTE]


async def keep_report(
    session: AsyncSession,
    *,
    activity_id: str,
    reporter: str,
    objects: Sequence[str],
    text: str,
    now: datetime,
) -> Report | None:
    """Keep what somebody flags; the same Flag twice is one, and of one site only so many wait at a time.

    objects  addresses that the caller found to be public here; the first MAX_OBJECTS are kept.
    text     whatever the sender wrote: kept as plain words.
    """
    known = await session.scalar(select(Report).where(Report.activity_id == activity_id))
    if known is not None:
        return known
    site = site_of(host_of(reporter))
    waiting = select(func.count()).select_from(Report).where(Report.site == site, Report.closed_at.is_(None))
    if (await session.scalar(waiting) or 0) >= MAX_OPEN:
        return None
    report = Report(
        id=random_id(),
        activity_id=activity_id,
        reporter=reporter,
        site=site,
        objects=list(objects)[:MAX_OBJECTS],
        text=words_of(text),
        received_at=now,
    )
    session.add(report)
    await session.flush()
    return report


async def open_reports(session: AsyncSession, *, limit: int = 200) -> list[Report]:
    """Reports that nobody has closed, oldest first."""
    waiting = select(Report).where(Report.closed_at.is_(None)).order_by(Report.received_at, Report.id)
    return list(await session.scalars(waiting.limit(limit)))


async def closed_reports(session: AsyncSession, *, limit: int = 50) -> list[Report]:
    """Reports that were settled, latest first."""
    settled = select(Report).where(Report.closed_at.is_not(None)).order_by(Report.closed_at.desc(), Report.id)
    return list(await session.scalars(settled.limit(limit)))


async def close_report(session: AsyncSession, id: str, note: str, *, by: str, now: datetime) -> Report:
    """Somebody has looked at it. Raises NotFound, WrongState.

    by  id of a member of staff, or `node` for the terminal.
    """
    report = await session.get(Report, id)
    if report is None:
        raise NotFound("no such report")
    report.close(note, by=by, now=now)
    await audit.record(session, actor=by, action="report.settled", subject=report.id, now=now)
    return report


async def send_report(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    them: RemoteActor,
    objects: Sequence[str],
    text: str,
    now: datetime,
) -> Sent:
    """Flag an actor, and objects of theirs, to their own server. The instance actor says it, so nobody here is shown.

    Raises Invalid for objects that are not on that actor's server.
    """
    if len(objects) > MAX_OBJECTS or any(host_of(url) != them.host for url in objects):
        raise Invalid(
            "objects of another server",
            public="Only what is on that actor's own server can be reported there.",
        )
    activity = activities.flag(
        new_activity_id(settings), settings.instance_actor, [them.id, *objects], text=words_of(text)
    )
    return await send(session, keyring, activity, inboxes=[them.delivery_inbox], now=now)


def words_of(text: str) -> str:
    """What a report says, as plain words: no markup, no mail addresses, not too long."""
    return EMAIL.sub("[…]", plain_text(text[: 4 * MAX_TEXT]))[:MAX_TEXT]
