"""What a host is like: how it is spoken to, and since when it takes nothing. Nobody decides that; its answers tell it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Insert, case, delete, exists, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from node.peers.actors import RemoteActor
from node.peers.hosts import DECIDED, Host
from node.statements import Bulk, Question, Source, among


def _add(insert: Any) -> Insert:
    # Any: the two dialects' inserts share on_conflict_* but no base class that says so.
    added: Insert = insert(Host).on_conflict_do_nothing(index_elements=[Host.name])
    return added


def _learn(insert: Any) -> Insert:
    host = insert(Host)
    said = host.excluded
    learnt: Insert = host.on_conflict_do_update(
        index_elements=[Host.name],
        set_={
            "dialect": func.coalesce(said.dialect, Host.dialect),
            "failing_since": case(
                (said.dialect.is_not(None), null()),
                else_=func.coalesce(Host.failing_since, said.failing_since),
            ),
        },
    )
    return learnt


_ADD = Bulk(_add, ("name", "no_media", "no_reports"))
_LEARN = Bulk(_learn, ("name", "no_media", "no_reports", "dialect", "failing_since"))
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


async def remember_habits(session: AsyncSession, learnt: Iterable[Habits]) -> None:
    """How deliveries went: with a dialect it takes what we send, knocked like that; without one it takes nothing, since then at the latest."""
    # In one order: two workers that learn of the same hosts wait for one another, and never both.
    by_name = sorted({one.name: one for one in learnt}.values(), key=lambda one: one.name)
    await _LEARN.run(
        session,
        [
            {
                "name": one.name,
                "no_media": False,
                "no_reports": False,
                "dialect": one.dialect,
                "failing_since": one.failing_since,
            }
            for one in by_name
        ],
    )


async def _add_host(session: AsyncSession, host: str) -> None:
    await _ADD.run(session, [{"name": host, "no_media": False, "no_reports": False}])
