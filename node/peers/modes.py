"""Which mode this server had (TRACKER_FEDERATION): what a narrower one refused is asked for when it is widened."""

from datetime import datetime

from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.settings import MODES


class Mode(Row):
    """From then on the server had that mode; one row for each change."""

    __tablename__ = "modes"

    since: Mapped[datetime] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(String(20))


async def note_mode(session: AsyncSession, mode: str, *, now: datetime) -> bool:
    """Remember the mode in which the server begins; True when it takes what the one before refused."""
    before = await last_mode(session)
    if before == mode:
        return False
    # Several processes may begin at once.
    await session.merge(Mode(since=now, mode=mode))
    return before is not None and MODES.index(mode) > MODES.index(before)


async def last_mode(session: AsyncSession) -> str | None:
    """In which mode the server last began; None when it never did."""
    return await session.scalar(select(Mode.mode).order_by(Mode.since.desc()).limit(1))
