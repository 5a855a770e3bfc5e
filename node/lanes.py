"""What is done to lanes beside the loop that works them: they are woken, tried now, done after all, and forgotten."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from node.outbox import LOCK, Job, Lane, Turn
from node.statements import Question, Source, among, in_order

# Failures in a row after which a lane waits so long that a sign of life is worth a try; fewer are soon over by themselves.
LONG_FAILED = 8
_HAS_JOBS = exists().where(Job.lane == Lane.name)
_ASLEEP = select(Lane.name).where(
    among(Lane.name, "lanes"), Lane.failures >= LONG_FAILED, Lane.due_at > bindparam("now")
)
_WHO_SLEEPS = Question(_ASLEEP)


async def who_sleeps(source: Source, lanes: Collection[str], *, now: datetime) -> list[str]:
    """Those of the lanes that failed for long, and are not due for a while."""
    return [name for (name,) in await _WHO_SLEEPS.ask(source, lanes=lanes, now=now)]


async def wake(session: AsyncSession, lanes: Collection[str], *, now: datetime) -> None:
    """Make lanes that failed for long due now: their host has been heard from."""
    asleep = _ASLEEP.order_by(in_order(Lane.name)).with_for_update()
    names = list(await session.scalars(asleep, {"lanes": lanes, "now": now}))
    if names:
        await _call_now(session, names, now=now)


async def try_now(session: AsyncSession, key: str, *, now: datetime) -> bool:
    """Make a job due now, with all that waits in its lane, also when it was given up; False when it is done.

    Somebody asks for it: however often, one try follows.
    """
    lane = await session.scalar(select(Job.lane).where(Job.key == key))
    if lane is None:
        return False
    await session.execute(select(Lane.name).where(Lane.name == lane).with_for_update())
    await session.execute(
        update(Job)
        .where(Job.key == key, Job.dead_at.is_not(None))
        .values(dead_at=None, not_before=now)
        .execution_options(synchronize_session=False)
    )
    await _call_now(session, [lane], now=now)
    return True


async def forget_lanes(session: AsyncSession, *, limit: int) -> int:
    """Forget lanes in which no job stands, not even one that was given up; returns how many. Each host that ever wrote had one."""
    # Locked first, and looked at again in a second statement: whoever adds a job holds the row of its lane, and would lose it.
    empty = select(Lane.name).where(Lane.due_at.is_(None), Lane.claimed_until.is_(None), ~_HAS_JOBS)
    names = list(await session.scalars(empty.limit(limit).with_for_update(skip_locked=True)))
    forgotten = delete(Lane).where(among(Lane.name, names), ~_HAS_JOBS).returning(Lane.name)
    return len((await session.scalars(forgotten.execution_options(synchronize_session=False))).all())


async def lanes_of_dead(session: AsyncSession, kind: str, reason: str) -> Sequence[str]:
    """The lanes in which jobs of that kind were given up for that reason."""
    found = select(Job.lane).where(Job.dead_at.is_not(None), Job.kind == kind, Job.last_reason == reason)
    return (await session.scalars(found.distinct())).all()


async def dead_in(session: AsyncSession, lanes: Collection[str], reason: str) -> list[Turn]:
    """The jobs of these lanes that were given up for that reason."""
    found = select(Job.seq, Job.lane, Job.kind, Job.payload, Job.attempts).where(
        among(Job.lane, lanes), Job.dead_at.is_not(None), Job.last_reason == reason
    )
    return [Turn(*row) for row in await session.execute(found.order_by(Job.seq))]


async def revive(session: AsyncSession, jobs: Collection[Turn], *, now: datetime) -> None:
    """Have these jobs done after all, before those that came after them in their lanes."""
    if not jobs:
        return
    lanes = sorted({job.lane for job in jobs})
    await LOCK.ask(session, lanes=lanes)
    await session.execute(
        update(Job)
        .where(among(Job.seq, [job.seq for job in jobs]))
        .values(dead_at=None, not_before=now, attempts=0)
        .execution_options(synchronize_session=False)
    )
    await _call_now(session, lanes, now=now)


async def _call_now(session: AsyncSession, names: Sequence[str], *, now: datetime) -> None:
    await session.execute(
        update(Job)
        .where(among(Job.lane, names), Job.dead_at.is_(None), Job.not_before > now)
        .values(not_before=now)
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        update(Lane)
        .where(among(Lane.name, names))
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )
