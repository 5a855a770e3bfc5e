"""The switch of the door for alerts: an organisation under pressure closes it at once. Public pages, the desk and mailboxes stay.

What is told to whoever comes meanwhile is kept beside it: that the door is closed, and where else to go.
"""

from datetime import date, datetime

from sqlalchemy import Date, Integer, String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit
from node.database import Row
from node.errors import Invalid, NotFound

THE_DOOR = 1
MAX_ELSEWHERE = 1_000


class IntakeClosure(Row):
    """The door is closed since a day; no row, and it is open.

    elsewhere  where else to go, in the organisation's own words; may be empty.
    """

    __tablename__ = "intake_closures"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    closed_by: Mapped[str] = mapped_column(String(26))
    closed_on: Mapped[date] = mapped_column(Date)
    elsewhere: Mapped[str] = mapped_column(String(MAX_ELSEWHERE))


async def closure(session: AsyncSession) -> IntakeClosure | None:
    """Since when the door is closed by hand, and what is told; None while it is not."""
    return await session.get(IntakeClosure, THE_DOOR)


async def close_intake(session: AsyncSession, elsewhere: str, *, by: str, now: datetime) -> IntakeClosure:
    """Take no alerts from now on; closing again changes what is told. Raises Invalid.

    by  id of a member of staff, or `node` for the terminal. Who may is asked before.
    """
    told = elsewhere.replace("\r\n", "\n").strip()
    if len(told) > MAX_ELSEWHERE:
        raise Invalid("too long", public=f"At most {MAX_ELSEWHERE} characters.")
    row = await session.merge(IntakeClosure(id=THE_DOOR, closed_by=by, closed_on=now.date(), elsewhere=told))
    await audit.record(session, actor=by, action="intake.closed", subject="intake", now=now)
    return row


async def open_intake(session: AsyncSession, *, by: str, now: datetime) -> None:
    """Take alerts again. Raises NotFound when the door is not closed by hand."""
    row = await closure(session)
    if row is None:
        raise NotFound("the door is not closed", public="The door is open.")
    await session.delete(row)
    await audit.record(session, actor=by, action="intake.opened", subject="intake", now=now)
