"""What an organisation promises to those who send something urgent, and whether it was kept.

A promise nobody can be held to is none: where one stands, the short form says in clear that an alert is urgent, its hour is kept, and
the first answer of a person ends the waiting. Without a promise nothing of this is kept, whatever a client says. What was written
stays sealed either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Date, ForeignKey, Integer, String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit
from node.database import Row
from node.errors import Invalid, NotFound
from node.intake.alerts import NO_ROW_NUMBER, Mode
from node.outbox import enqueue_tomorrow

THE_PROMISE = 1
MOST_HOURS = 24 * 30
KEPT_FOR = timedelta(days=90)
FORGET = "forget-duties"


class IntakePromise(Row):
    """Within how many hours a person answers what is urgent; no row, and nothing is promised."""

    __tablename__ = "intake_promises"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    hours: Mapped[int] = mapped_column(Integer)
    made_by: Mapped[str] = mapped_column(String(26))
    made_on: Mapped[date] = mapped_column(Date)


class Verdict(StrEnum):
    """What became of a promise."""

    KEPT = "kept"
    BREACHED = "breached"
    OPEN = "open"
    SET_ASIDE = "set-aside"
    """Closed in time without an answer: spam, say."""


class Duty(Row):
    """One urgent alert, the promise it was sent under, and when somebody answered.

    arrived_at  the hour in which it came; the minute is nobody's business.
    Every time here is the hour that had begun, and they are compared as such: who answers within the promised hours never counts as
    late, and who is late by less than an hour may count as in time.
    """

    __tablename__ = "duties"
    __table_args__ = NO_ROW_NUMBER

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    arrived_at: Mapped[datetime]
    hours: Mapped[int] = mapped_column(Integer)
    answered_at: Mapped[datetime | None]
    set_aside_at: Mapped[datetime | None]

    @property
    def due_at(self) -> datetime:
        """Until when an answer is in time, whatever the minute in which the alert came."""
        return self.arrived_at + timedelta(hours=self.hours)

    def verdict(self, now: datetime) -> Verdict:
        """What became of the promise, as of now."""
        if self.answered_at is not None:
            return Verdict.KEPT if _hour(self.answered_at) <= self.due_at else Verdict.BREACHED
        if self.set_aside_at is not None:
            return Verdict.SET_ASIDE if _hour(self.set_aside_at) <= self.due_at else Verdict.BREACHED
        return Verdict.OPEN if _hour(now) <= self.due_at else Verdict.BREACHED


@dataclass(frozen=True, slots=True)
class Report:
    """The duties of a time, newest first, and how many came to what."""

    duties: Sequence[tuple[Duty, Verdict]]

    def count(self, verdict: str) -> int:
        """How many came to this."""
        return sum(one == verdict for _, one in self.duties)


async def promise(session: AsyncSession) -> int | None:
    """Within how many hours somebody answers; None where nothing is promised."""
    row = await session.get(IntakePromise, THE_PROMISE)
    return row.hours if row else None


async def make_promise(session: AsyncSession, hours: int, *, by: str, now: datetime) -> None:
    """Promise this from now on; what came before stays under the promise it came under. Raises Invalid."""
    if not 1 <= hours <= MOST_HOURS:
        raise Invalid(
            "not a number of hours", public=f"A promise is a number of hours from 1 to {MOST_HOURS}."
        )
    await session.merge(IntakePromise(id=THE_PROMISE, hours=hours, made_by=by, made_on=now.date()))
    await audit.record(session, actor=by, action=f"promise.made:{hours}", subject="intake", now=now)


async def take_back_promise(session: AsyncSession, *, by: str, now: datetime) -> None:
    """Promise nothing from now on; what came before has its promise all the same, until its line is forgotten. Raises NotFound."""
    row = await session.get(IntakePromise, THE_PROMISE)
    if row is None:
        raise NotFound("nothing is promised", public="Nothing is promised.")
    await session.delete(row)
    await forget_old(session, now=now)
    await audit.record(session, actor=by, action="promise.taken-back", subject="intake", now=now)


async def begin_duty(session: AsyncSession, alert_id: str, *, mode: Mode, now: datetime) -> None:
    """An alert came that says it is urgent. Nothing is kept where nothing is promised, or where it has no way back."""
    hours = await promise(session)
    if hours is None or mode is Mode.AGE:
        return
    await forget_old(session, now=now)
    session.add(Duty(alert_id=alert_id, arrived_at=_hour(now), hours=hours))
    await enqueue_tomorrow(session, FORGET, now=now)


async def answered(session: AsyncSession, alert_id: str, *, now: datetime) -> None:
    """A person of the desk wrote to the source. The first time counts."""
    duty = await session.get(Duty, alert_id)
    if duty is not None and duty.answered_at is None:
        duty.answered_at = _hour(now)


async def set_aside(session: AsyncSession, alert_id: str, *, now: datetime) -> None:
    """A person of the desk closed the alert without an answer."""
    duty = await session.get(Duty, alert_id)
    if duty is not None and duty.set_aside_at is None:
        duty.set_aside_at = _hour(now)


async def forget_old(session: AsyncSession, *, now: datetime) -> None:
    """Drop lines whose time is over, and look again tomorrow while any is left, promise or none. Safe to repeat."""
    await session.execute(delete(Duty).where(Duty.arrived_at < now - KEPT_FOR))
    if await session.scalar(select(Duty.alert_id).limit(1)) is not None:
        await enqueue_tomorrow(session, FORGET, now=now)


async def forget_duty(session: AsyncSession, alert_id: str) -> None:
    """The source took everything back: that it was urgent goes too."""
    await session.execute(delete(Duty).where(Duty.alert_id == alert_id))


async def report(session: AsyncSession, *, days: int, now: datetime) -> Report:
    """What came in these days and is still kept. Who may ask is asked before."""
    found = await session.scalars(
        select(Duty)
        .where(Duty.arrived_at >= now - timedelta(days=days))
        .order_by(Duty.arrived_at.desc(), Duty.alert_id)
    )
    return Report([(duty, duty.verdict(now)) for duty in found])


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
