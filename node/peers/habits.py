"""What a host is like: how it is spoken to, and since when it takes nothing. Nobody decides that; its answers tell it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Insert, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from node.peers.actors import RemoteActor
from node.peers.hosts import DECIDED, Host
from node.statements import Bulk, Question, Source, among


def _add(insert: Any) -> Insert:
    # Any: the two dialects' inserts share on_conflict_* but no base class that says so.
    added: Insert = insert(Host).on_conflict_do_nothing(index_elements=[Host.name])
    return added


_ADD = Bulk(_add, ("name", "no_media", "no_reports"))
_HOSTS = Host.__table__.c
# Built once, as what is asked for every batch that comes in or goes out.
_HABITS = Question(
    select(_HOSTS.name, _HOSTS.dialect, _HOSTS.failing_since).where(among(_HOSTS.name, "names"))
)


@dataclass(frozen=True, slots=True)
class Habits:
    """How deliveries to a host went."""

    name: str
    dialect: str | None
    failing_since: datetime | None


async def hosts_at(source: Source, hosts: Collection[str]) -> dict[str, Habits]:
    """What we know of hosts by exactly these names."""
    return {row[0]: Habits(*row) for row in await _HABITS.ask(source, names=hosts)}


async def forget_hosts(session: AsyncSession, *, limit: int) -> int:
    """Forget how hosts are spoken to of which nobody is known here and nothing was decided; returns how many."""
    unknown = select(Host.name).where(
        ~DECIDED, Host.failing_since.is_(None), ~exists().where(RemoteActor.host == Host.name)
    )
    names = list(await session.scalars(unknown.order_by(Host.name).limit(limit)))
    forgotten = delete(Host).where(among(Host.name, names), ~DECIDED, Host.failing_since.is_(None))
    gone = await session.scalars(forgotten.returning(Host.name).execution_options(synchronize_session=False))
    return len(gone.all())


async def expect_dialect(session: AsyncSession, host: str, dialect: str) -> None:
    """This host says or shows that it knows this one: begin with it, unless its inbox answered to one already.

    Several may say so at once, in several processes: whoever comes second changes nothing.
    """
    await _add_host(session, host)
    await session.execute(
        update(Host).where(Host.name == host, Host.dialect.is_(None)).values(dialect=dialect)
    )


async def remember_answer(session: AsyncSession, host: str, dialect: str) -> None:
    """It takes what we send, knocked like this."""
    row = await _host(session, host)
    row.dialect, row.failing_since = dialect, None


async def remember_failure(session: AsyncSession, host: str, *, now: datetime) -> datetime:
    """It did not take what we sent, for whatever passing reason; returns since when that is so."""
    row = await _host(session, host)
    row.failing_since = row.failing_since or now
    return row.failing_since


async def _host(session: AsyncSession, host: str) -> Host:
    row = await session.get(Host, host)
    if row is None:
        # It may be met at the same moment by another process, which hears from it.
        await _add_host(session, host)
        row = await session.get_one(Host, host)
    return row


async def _add_host(session: AsyncSession, host: str) -> None:
    await _ADD.run(session, [{"name": host, "no_media": False, "no_reports": False}])
