"""Hosts: what we hold against them, and which signature dialect they understood last."""

from datetime import datetime

from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row

POLICIES = ("allow", "limit", "block")


class Host(Row):
    """A remote host. `policy` is a decision of people; `dialect` is what its inbox answered to."""

    __tablename__ = "hosts"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    policy: Mapped[str | None] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(1000))
    decided_at: Mapped[datetime | None]
    dialect: Mapped[str | None] = mapped_column(String(20))


async def is_blocked(session: AsyncSession, host: str) -> bool:
    """True when this host, or a domain above it, is blocked."""
    name = host.lower().rstrip(".").rsplit(":", 1)[0]
    parts = name.split(".")
    names = [host.lower(), *(".".join(parts[i:]) for i in range(len(parts)))]
    found = await session.scalar(
        select(Host.name).where(Host.name.in_(names), Host.policy == "block").limit(1)
    )
    return found is not None


async def decide(session: AsyncSession, host: str, policy: str | None, *, reason: str, now: datetime) -> Host:
    """Set what we hold against a host; None lifts it."""
    row = await _host(session, host)
    row.policy, row.reason, row.decided_at = policy, reason, now
    return row


async def dialect_of(session: AsyncSession, host: str) -> str | None:
    """The signature dialect this host accepted last."""
    return await session.scalar(select(Host.dialect).where(Host.name == host))


async def remember_dialect(session: AsyncSession, host: str, dialect: str) -> None:
    """Next time, knock like this first."""
    (await _host(session, host)).dialect = dialect


async def _host(session: AsyncSession, host: str) -> Host:
    row = await session.get(Host, host)
    if row is None:
        row = Host(name=host)
        session.add(row)
    return row
