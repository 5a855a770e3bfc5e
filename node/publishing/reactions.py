"""What others say about our cases: replies, likes and boosts. Kept for the desk, never shown on a case unasked."""

from datetime import datetime

from sqlalchemy import String, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row

KINDS = ("reply", "like", "boost")


class Reaction(Row):
    """A reply, like or boost. A reply's text stays at its author's server until the desk shows it.

    content     what the desk has agreed to show: sanitised HTML as it was then. A later change by its author is not shown unasked.
    decided_at  when somebody of the desk showed or hid it; None while it waits for that.
    """

    __tablename__ = "reactions"

    id: Mapped[str] = mapped_column(String(2000), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str] = mapped_column(String(2000), index=True)
    case_url: Mapped[str] = mapped_column(String(2000), index=True)
    received_at: Mapped[datetime]
    shown: Mapped[bool] = mapped_column(default=False)
    author: Mapped[str | None] = mapped_column(String(2048))
    content: Mapped[str | None]
    published_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(40))
    decided_at: Mapped[datetime | None]


async def keep_reaction(
    session: AsyncSession, *, id: str, kind: str, actor: str, case_url: str, now: datetime
) -> None:
    """Keep one reaction; the same one twice is one."""
    if await session.get(Reaction, id) is None:
        session.add(Reaction(id=id, kind=kind, actor=actor, case_url=case_url, received_at=now, shown=False))


async def drop_reaction(session: AsyncSession, *, id: str, actor: str) -> None:
    """Its author took it back."""
    await session.execute(delete(Reaction).where(Reaction.id == id, Reaction.actor == actor))


async def count_reactions(session: AsyncSession, case_url: str) -> dict[str, int]:
    """How many of each kind."""
    rows = await session.execute(
        select(Reaction.kind, func.count()).where(Reaction.case_url == case_url).group_by(Reaction.kind)
    )
    return {kind: n for kind, n in rows}
