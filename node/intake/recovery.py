"""The organisation's recovery key: one more recipient that every source seals to, whose other half is on paper only.

The server keeps the recipient, never more. The identity is made and printed in shares by `tracker keys recovery make`, and put
together again on a machine without a network when all who could open something are gone.
What it protects, and what it does not: SECURITY.md.
"""

from datetime import date, datetime

from sqlalchemy import Date, String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import audit
from node.database import Row
from node.errors import Conflict
from node.ids import random_id
from node.intake.seals import require_hybrid


class RecoveryKey(Row):
    """A recovery recipient. The last one that was not retired stands in the manifest; earlier ones opened what came before."""

    __tablename__ = "recovery_keys"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    recipient: Mapped[str] = mapped_column(String(2100), unique=True)
    shares: Mapped[str] = mapped_column(String(8))
    made_on: Mapped[date] = mapped_column(Date)
    retired_on: Mapped[date | None] = mapped_column(Date)


async def recovery_recipient(session: AsyncSession) -> str | None:
    """The recipient alerts are sealed to besides the people, or None where the organisation keeps no recovery key."""
    return await session.scalar(select(RecoveryKey.recipient).where(RecoveryKey.retired_on.is_(None)))


async def add_recovery(
    session: AsyncSession, recipient: str, *, shares: str, replace: bool = False, now: datetime
) -> RecoveryKey:
    """Take a recipient into the manifest. Raises Conflict (there is one, and it is not to be replaced), Invalid."""
    require_hybrid(recipient)
    present = (
        await session.scalars(select(RecoveryKey).where(RecoveryKey.retired_on.is_(None)).with_for_update())
    ).all()
    if present and not replace:
        raise Conflict(
            "there is a recovery key",
            public="There is a recovery key already. Replace it only when its shares are lost or known to others.",
        )
    for one in present:
        one.retired_on = now.date()
        await audit.record(session, actor="node", action="recovery.retired", subject=one.id, now=now)
    row = RecoveryKey(id=random_id(), recipient=recipient, shares=shares, made_on=now.date())
    session.add(row)
    await session.flush()
    await audit.record(session, actor="node", action="recovery.made", subject=row.id, now=now)
    return row


async def retire_recovery(session: AsyncSession, *, now: datetime) -> bool:
    """Seal nothing more to the recovery key; what was sealed to it stays so. Returns whether there was one."""
    present = (await session.scalars(select(RecoveryKey).where(RecoveryKey.retired_on.is_(None)))).all()
    for one in present:
        one.retired_on = now.date()
        await audit.record(session, actor="node", action="recovery.retired", subject=one.id, now=now)
    return bool(present)
