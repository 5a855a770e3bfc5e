"""The history of a case: append-only, each step also in the audit."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from node import audit
from node.casework.cases import Case, CaseEvent
from node.staff.accounts import Staff

MAX_REASON = 1000


async def note_step(
    session: AsyncSession, case: Case, action: str, *, by: Staff, now: datetime, reason: str | None = None
) -> None:
    """Write one step into the history of its case and into the audit."""
    last = await session.scalar(select(func.max(CaseEvent.seq)).where(CaseEvent.case_id == case.id))
    session.add(
        CaseEvent(
            case_id=case.id,
            seq=(last or 0) + 1,
            action=action,
            by=by.id,
            on=now.date(),
            reason=None if reason is None else reason[:MAX_REASON],
        )
    )
    await audit.record(session, actor=by.id, action=f"case.{action}", subject=case.id, now=now)


async def history_of(session: AsyncSession, case_id: str) -> list[CaseEvent]:
    """Every step of a case, oldest first."""
    found = await session.scalars(
        select(CaseEvent).where(CaseEvent.case_id == case_id).order_by(CaseEvent.seq)
    )
    return list(found)
