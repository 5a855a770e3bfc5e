"""Jobs that outlive a crash: rows, enqueued in the transaction of the fact that causes them.

A job stands in a **lane** (one per host we deliver to, one per host we hear from, one per kind of chore). A lane is worked
by one worker at a time and in order, so a case's Create never overtakes its Update, and a dead host delays nobody but itself.
Every job runs at least once, so every handler may run twice. Redis, where there is one, carries wake-ups only; the truth is here.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    Insert,
    Integer,
    String,
    Table,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row, UtcDateTime
from node.errors import LeaseLost
from node.statements import Bulk, Change, Question, Rows, Source, among, dialect_of, in_order

LEASE = timedelta(seconds=60)
# So many jobs are added in one transaction at most, where what makes them can be kept in parts: on SQLite nobody else writes meanwhile.
MADE_AT_ONCE = 20_000
# How the lanes of what this server does of itself begin.
CHORE = "chore:"
# SQLite gives out row ids for INTEGER only; PostgreSQL needs BIGINT not to run out.
SERIAL = BigInteger().with_variant(Integer(), "sqlite")


class Lane(Row):
    """Where jobs stand in line. `due_at` is when its first job may run; empty lanes have none."""

    __tablename__ = "lanes"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)

    __table_args__ = (Index("ix_lanes_claim", "due_at", "claimed_until"),)


class Job(Row):
    """One thing to do. `payload` names rows by id and bytes by hash, never holds live objects or a secret."""

    __tablename__ = "jobs"

    seq: Mapped[int] = mapped_column(SERIAL, primary_key=True, autoincrement=True)
    lane: Mapped[str] = mapped_column(ForeignKey("lanes.name", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(40))
    payload: Mapped[dict[str, Any]]
    key: Mapped[str | None] = mapped_column(String(300), unique=True)
    not_before: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    last_reason: Mapped[str | None] = mapped_column(String(200))
    dead_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_jobs_line", "lane", "dead_at", "seq"),)


def _open_lanes(insert: Any) -> Insert:
    # Any: the two dialects' inserts share on_conflict_* but no base class that says so.
    opened = insert(Lane)
    sooner = Lane.due_at.is_(None) | (Lane.due_at > opened.excluded.due_at)
    # A lane that failed waits for its own turn: fresh work does not call a dead host sooner.
    changed: Insert = opened.on_conflict_do_update(
        index_elements=[Lane.name],
        set_={"due_at": opened.excluded.due_at},
        where=(Lane.failures == literal_column("0")) & sooner,
    )
    return changed


def _add_jobs(insert: Any) -> Insert:
    added: Insert = insert(Job).on_conflict_do_nothing(index_elements=[Job.key])
    return added


_OPEN = Bulk(_open_lanes, ("name", "due_at", "failures"))
_ADD = Bulk(_add_jobs, ("lane", "kind", "payload", "key", "not_before", "attempts"))


# ---- the statements of the loop that works it, made once ------------------------------------------------------------

_LANES, _JOBS = cast(Table, Lane.__table__), cast(Table, Job.__table__)
_L, _J = _LANES.c, _JOBS.c
_NOW = bindparam("now", type_=UtcDateTime())
_IS_FREE = _L.claimed_until.is_(None) | (_L.claimed_until < _NOW)
_CLAIM = Question(
    update(_LANES)
    .where(
        _L.name.in_(
            select(_L.name)
            .where(_L.due_at <= _NOW, _IS_FREE)
            .order_by(_L.due_at)
            .limit(bindparam("limit", type_=Integer()))
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
    )
    .values(claimed_until=bindparam("until", type_=UtcDateTime()))
    .returning(_L.name)
)
_NEXT_DUE = Question(select(func.min(_L.due_at)).where(_IS_FREE))
LOCK = Question(
    select(_L.name, _L.claimed_until)
    .where(among(_L.name, "lanes"))
    .order_by(in_order(_L.name))
    .with_for_update()
)
_RENEW = Question(
    update(_LANES)
    .where(among(_L.name, "lanes"), _L.claimed_until == bindparam("held", type_=UtcDateTime()))
    .values(claimed_until=bindparam("until", type_=UtcDateTime()))
    .returning(_L.name)
)
_FORGET = Change(delete(_JOBS).where(among(_J.seq, "done")))


def _heads() -> dict[str, Question]:
    """Both read the head of each lane from the index; neither database understands the other's spelling of it."""
    named = select(_L.name).where(among(_L.name, "lanes")).subquery()
    head = _JOBS.alias()
    heads = (
        select(head.c.seq)
        .where(head.c.lane == named.c.name, head.c.dead_at.is_(None), head.c.not_before <= _NOW)
        .order_by(head.c.seq)
        .limit(bindparam("limit", type_=Integer()))
    )
    told = select(_J.seq, _J.lane, _J.kind, _J.payload, _J.attempts)
    first = heads.lateral()
    lateral = told.select_from(named).join(first, true()).join(_JOBS, _J.seq == first.c.seq)
    correlated = told.join(named, _J.seq.in_(heads.correlate(named)))
    return {
        "sqlite": Question(correlated.order_by(_J.seq)),
        "postgresql": Question(lateral.order_by(_J.seq)),
    }


_HEADS = _heads()


def _next_due() -> ColumnElement[Any]:
    """When a lane comes due: now when the job at its head is due, which the index tells; else with its earliest job.

    Not since when its head is due: a lane with many jobs would have its next turn before all that came later, such as what comes in.
    """
    waiting = (_J.lane == _L.name, _J.dead_at.is_(None))
    head = select(_J.not_before).where(*waiting).order_by(_J.seq).limit(1).scalar_subquery()
    earliest = select(func.min(_J.not_before)).where(*waiting).scalar_subquery()
    return case((head <= _NOW, _NOW), else_=earliest)


_GIVE_BACK = Change(
    update(_LANES).where(among(_L.name, "lanes")).values(claimed_until=None, failures=0, due_at=_next_due())
)


@dataclass(frozen=True, slots=True)
class Order:
    """A job to be: what `enqueue_many` takes."""

    kind: str
    payload: dict[str, Any]
    lane: str
    key: str | None = None
    not_before: datetime | None = None


async def enqueue(
    session: AsyncSession,
    kind: str,
    payload: dict[str, Any],
    *,
    lane: str,
    now: datetime,
    key: str | None = None,
    not_before: datetime | None = None,
) -> None:
    """Add one job in the caller's transaction; a job with a key that is already there is not added again."""
    await enqueue_many(session, [Order(kind, payload, lane, key, not_before)], now=now)


async def enqueue_tomorrow(session: AsyncSession, kind: str, *, now: datetime, at: time = time()) -> None:
    """Add a chore of this server's own for the day after this one, in a lane of its own; twice on one day is once.

    at  when on that day, in UTC. What asks others is not done by all servers at the same moment.
    """
    due = datetime.combine(now.date() + timedelta(days=1), at, UTC)
    await enqueue(
        session, kind, {}, lane=f"chore:{kind}", key=f"{kind}/{due.date()}", not_before=due, now=now
    )


async def enqueue_many(session: AsyncSession, orders: Iterable[Order], *, now: datetime) -> None:
    """Add many jobs in the caller's transaction: two statements, whatever their number."""
    for bulk, rows in inserts(orders, now=now):
        await bulk.run(session, rows)


def inserts(orders: Iterable[Order], *, now: datetime) -> list[tuple[Bulk, Rows]]:
    """What adding these jobs comes to: their lanes, then they themselves."""
    rows: list[dict[str, Any]] = []
    first: dict[str, datetime] = {}
    for order in orders:
        due = order.not_before or now
        first[order.lane] = min(first.get(order.lane, due), due)
        rows.append(
            {
                "lane": order.lane,
                "kind": order.kind,
                "payload": order.payload,
                "key": order.key,
                "not_before": due,
                "attempts": 0,
            }
        )
    # Sorted: two transactions that touch the same lanes lock them in the same order.
    lanes = [{"name": name, "due_at": due, "failures": 0} for name, due in sorted(first.items())]
    return [(_OPEN, lanes), (_ADD, rows)]


class Turn(NamedTuple):
    """A job whose turn it is: what a handler is given. A value, because a worker reads them by the thousand."""

    seq: int
    lane: str
    kind: str
    payload: dict[str, Any]
    attempts: int


async def claim(source: Source, *, now: datetime, limit: int, lease: timedelta = LEASE) -> list[str]:
    """Take up to `limit` lanes that have something due and that nobody works until the lease ends; returns their names.

    One statement for both databases; SQLite's compiler drops the lock clause. An expired lease is free again.
    """
    return [row[0] for row in await _CLAIM.ask(source, now=now, until=now + lease, limit=limit)]


async def renew(
    source: Source, lanes: Collection[str], *, held: datetime, until: datetime | None
) -> set[str]:
    """Hold lanes on for as long as that; returns those that were still ours.

    held   the end of the lease under which we work them.
    until  None gives them back, for somebody else to take at once.
    """
    return {row[0] for row in await _RENEW.ask(source, lanes=lanes, held=held, until=until)}


async def release(session: AsyncSession) -> None:
    """Give every lane back: for a worker that starts and knows that it is the only one."""
    await session.execute(update(Lane).where(Lane.claimed_until.is_not(None)).values(claimed_until=None))


async def line(source: Source, lanes: Sequence[str], *, now: datetime, limit: int) -> dict[str, list[Turn]]:
    """The due jobs at the head of each lane, in order, at most `limit` a lane: as quick for a long line as for a short one."""
    found: dict[str, list[Turn]] = {name: [] for name in lanes}
    for row in await _HEADS[dialect_of(source)].ask(source, lanes=lanes, now=now, limit=limit):
        turn = Turn(*row)
        found[turn.lane].append(turn)
    return found


async def let_another_wait(session: AsyncSession, job: Turn) -> None:
    """Give up the key of a job that begins: what somebody asks for from now on it may have passed already, and is done after it.

    Its lane is locked first, as by whoever adds to it: they were told that it waits, and what made them ask is committed before anything
    is read here. Twice is once.
    """
    await LOCK.ask(session, lanes=[job.lane])
    await session.execute(
        update(Job).where(Job.seq == job.seq).values(key=None).execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True)
class Done:
    """The job's work is in place."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """The job, and those behind it in its lane, wait until then."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The job waits until then in another lane, behind those that stand there; its own lane goes on."""

    lane: str
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The job will not be tried again; it stays, with the reason, for people to see."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The whole lane is pointless now: its host said it is gone."""

    reason: str


Outcome = Done | Postponed | Moved | Dead | Dropped
# Records what jobs left in the transaction that ends them; tells how many jobs for others that may have made.
Settlement = Callable[[AsyncSession], Awaitable[int]]


async def finish(
    session: AsyncSession,
    outcomes: Mapping[str, Sequence[tuple[int, Outcome]]],
    *,
    until: Mapping[str, datetime],
    now: datetime,
) -> None:
    """Record what became of the jobs of some claimed lanes, and give the lanes back. Raises LeaseLost, and then nothing may be kept.

    outcomes  lane → (job, outcome) in the order they ran.
    until     lane → the end of the lease under which they ran.
    """
    names = sorted(outcomes)
    moved = [outcome for results in outcomes.values() for _, outcome in results if isinstance(outcome, Moved)]
    locked = sorted({*names, *(outcome.lane for outcome in moved)})
    # The lane's row first: an enqueuer that is adding to it right now is waited for, and its job is seen below.
    held = {name: claimed_until for name, claimed_until in await LOCK.ask(session, lanes=locked)}
    if lost := [name for name in names if held.get(name) != until[name]]:
        raise LeaseLost(f"{len(lost)} lanes are worked by somebody else by now")
    opened = {
        outcome.lane: outcome.until for outcome in sorted(moved, key=lambda one: one.until, reverse=True)
    }
    if opened:
        rows = ({"name": name, "due_at": due, "failures": 0} for name, due in sorted(opened.items()))
        await _OPEN.run(session, rows)
    done = [seq for results in outcomes.values() for seq, outcome in results if isinstance(outcome, Done)]
    if done:
        await _FORGET.run(session, done=done)
    late: dict[str, datetime] = {}
    for name, results in outcomes.items():
        for seq, outcome in results:
            if isinstance(outcome, Postponed):
                late[name] = outcome.until
            await _record(session, name, seq, outcome, now=now)
    quiet = [name for name in names if name not in late]
    if quiet:
        await _GIVE_BACK.run(session, lanes=quiet, now=now)
    for name, due_at in late.items():
        await session.execute(
            update(Lane)
            .where(Lane.name == name)
            .values(claimed_until=None, failures=Lane.failures + 1, due_at=due_at)
            .execution_options(synchronize_session=False)
        )


async def _record(session: AsyncSession, lane: str, seq: int, outcome: Outcome, *, now: datetime) -> None:
    """What became of a job that is not done."""
    match outcome:
        case Postponed(until, reason):
            which, changed = Job.seq == seq, {"attempts": Job.attempts + 1, "not_before": until}
        case Moved(other, until, reason):
            changed = {"lane": other, "attempts": Job.attempts + 1, "not_before": until}
            which = Job.seq == seq
        case Dead(reason):
            which, changed = Job.seq == seq, {"attempts": Job.attempts + 1, "dead_at": now}
        case Dropped(reason):
            which, changed = (Job.lane == lane) & Job.dead_at.is_(None), {"dead_at": now}
        case Done():
            return
    await session.execute(
        update(Job)
        .where(which)
        .values(last_reason=reason[:200], **changed)
        .execution_options(synchronize_session=False)
    )


async def next_due(source: Source, *, now: datetime) -> datetime | None:
    """When the next lane that nobody works comes due."""
    due: datetime | None = (await _NEXT_DUE.ask(source, now=now))[0][0]
    return due


async def pending(session: AsyncSession) -> int:
    """How many jobs are waiting."""
    return await session.scalar(select(func.count()).select_from(Job).where(Job.dead_at.is_(None))) or 0
