"""What became of jobs is recorded, with what they leave behind, in the transaction that ends them; whoever is at fault keeps nothing from the others."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from node import outbox
from node.errors import LeaseLost
from node.outbox import CHORE, LEASE, MADE_AT_ONCE, Dead, Done, Moved, Outcome, Postponed, Settlement, Turn
from node.roles import JobHandler, Work
from node.runtime import Node

log = logging.getLogger(__name__)

# What jobs leave is kept so many at a time, and fewer where each makes thousands of others: on SQLite nobody else writes meanwhile.
SETTLED_AT_ONCE = 64
TRIES = 10
CHORES_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Unprepared:
    """What stands for a job whose needs could not be read."""

    error: Exception


# Any: what `prepare` of a kind found for `run` of the same kind.
Line = list[tuple[Turn, Any]]
Jobs = Mapping[str, JobHandler | Work]


@dataclass(slots=True)
class Running:
    """A lane that is being worked.

    until       the end of our lease.
    line        its jobs, with what was prepared for each.
    may_leave   whether there are such among them as leave something to be kept when they end.
    results     what became of those that ran: jobs and their outcomes, in the same order.
    started_at  in seconds of the monotonic clock.
    """

    name: str
    until: datetime
    line: Line
    may_leave: bool
    results: list[tuple[int, Outcome]] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Parts:
    """How many jobs that leave something are recorded at once: a case makes two others for each server that follows a hub.

    each  how many others each made when that was looked at last. At first nobody knows, and few are recorded at once.
    """

    each: float = MADE_AT_ONCE / 8

    @property
    def size(self) -> int:
        return max(1, min(SETTLED_AT_ONCE, int(MADE_AT_ONCE / self.each)))

    def learn(self, made: int, *, jobs: int) -> None:
        """So many jobs made so many others."""
        self.each = max(made / max(1, jobs), self.each / 2, 1.0)


def failed(node: Node, job: Turn, error: Exception) -> Outcome:
    """What becomes of a job that raised this: it is tried again, later each time, and given up in the end; a chore never is."""
    log.error(
        "job.failed", extra={"kind": job.kind, "job": job.seq, "attempts": job.attempts}, exc_info=error
    )
    now, reason = node.clock.now(), f"{type(error).__name__}"
    if job.attempts < TRIES:
        return Postponed(now + LEASE / 4 * 2**job.attempts, reason)
    if job.lane.startswith(CHORE):
        # Most plan themselves anew when they are done, and nobody else would: a disk that is full for a night would end them for ever.
        # Those behind it do not wait for it.
        return Moved(f"{CHORE}again:{job.seq}", now + CHORES_AGAIN, reason)
    return Dead(reason)


async def finish(node: Node, ended: Sequence[Running], jobs: Jobs, parts: Parts) -> list[Running]:
    """Record what became of the jobs of some lanes, and what they leave behind; returns the lanes that have to run on."""
    is_work_left = False
    again: list[Running] = []
    for lanes in _recorded_together(ended, parts):
        try:
            if (made := await _record(node, lanes, jobs)) is not None:
                parts.learn(made, jobs=sum(len(lane.results) for lane in lanes))
                is_work_left = is_work_left or made > 0
        except Exception as error:  # whoever is at fault keeps nothing from the others
            log.warning("jobs.unsettled", extra={"reason": type(error).__name__, "lanes": len(lanes)})
            again += [lane for lane in lanes if not await _record_alone(node, lane, jobs)]
            is_work_left = True
    if is_work_left:
        await node.bell.ring()
    return again


def _recorded_together(ended: Sequence[Running], parts: Parts) -> Iterator[list[Running]]:
    """Which lanes are recorded in one transaction: those that may leave something not with the others, nor many jobs at once.

    What is left adds to lanes of deliveries, whose names come after those of what comes in. Who held one of them already would
    wait for somebody who waits for them.
    """
    if others := [lane for lane in ended if not lane.may_leave]:
        yield others
    part: list[Running] = []
    for lane in ended:
        if not lane.may_leave:
            continue
        if part and sum(len(one.results) for one in (*part, lane)) > parts.size:
            # How many are recorded next depends on what these made.
            yield part
            part = []
        part.append(lane)
    if part:
        yield part


async def _record(node: Node, lanes: Sequence[Running], jobs: Jobs) -> int | None:
    """Record all of it or nothing; returns how many jobs for others what was left may have made, None where nothing may be left."""
    settlements = await _settlements(node, lanes, jobs)
    async with node.database.begin() as session:
        # Lanes are locked before anything else is, and in the order of their names, here as by whoever adds to them.
        await _give_back(node, session, lanes)
        made = [await settle(session) for settle in settlements]
    return sum(made) if made else None


async def _settlements(node: Node, lanes: Sequence[Running], jobs: Jobs) -> list[Settlement]:
    ended: dict[str, list[Any]] = {}
    for lane in lanes:
        for (job, prepared), (_, outcome) in zip(lane.line, lane.results, strict=False):
            if isinstance(outcome, Done | Dead) and not isinstance(prepared, Unprepared):
                ended.setdefault(job.kind, []).append(prepared)
    works = ((jobs.get(kind), prepared) for kind, prepared in ended.items())
    return [
        await work.settle(node, prepared)
        for work, prepared in works
        if isinstance(work, Work) and work.settle is not None
    ]


async def _give_back(node: Node, session: AsyncSession, lanes: Sequence[Running]) -> None:
    await outbox.finish(
        session,
        {lane.name: lane.results for lane in lanes},
        until={lane.name: lane.until for lane in lanes},
        now=node.clock.now(),
    )


async def _record_alone(node: Node, lane: Running, jobs: Jobs) -> bool:
    """Record one lane by itself. False when that cannot be done before some of it has run again, and left nothing."""
    try:
        await _record(node, [lane], jobs)
    except LeaseLost:
        log.warning("lane.lost", extra={"lane": lane.name})
    except Exception as error:
        if _is_taken_apart(lane, jobs):
            return False
        await _put_off(node, lane, error)
    return True


def _is_taken_apart(lane: Running, jobs: Jobs) -> bool:
    """Whether some of its jobs left something: they are to run again then, each by itself, from the first of them on."""
    apart = [(job, _apart(prepared, jobs.get(job.kind))) for job, prepared in lane.line[: len(lane.results)]]
    changed = (one is not was for (_, one), (_, was) in zip(apart, lane.line, strict=False))
    first = next((n for n, is_changed in enumerate(changed) if is_changed), None)
    if first is None:
        return False
    lane.line, lane.results, lane.started_at = apart, lane.results[:first], time.monotonic()
    return True


def _apart(prepared: Any, work: JobHandler | Work | None) -> Any:
    if not isinstance(work, Work) or work.apart is None or isinstance(prepared, Unprepared):
        return prepared
    return work.apart(prepared)


async def _put_off(node: Node, lane: Running, error: Exception) -> None:
    """What cannot be recorded, though nothing is left, waits as if its first job had failed: all of it runs again."""
    if lane.results:
        job, _ = lane.line[0]
        lane.results = [(job.seq, failed(node, job, error))]
    try:
        async with node.database.begin() as session:
            await _give_back(node, session, [lane])
    except Exception:  # its lease runs out, and it runs again
        log.exception("jobs.unrecorded")
