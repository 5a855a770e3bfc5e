"""The loop that works the outbox: claim lanes, run their jobs in order, give the lanes back with what became of them.

Lanes run side by side; what is finished is recorded in one transaction with whatever else is finished by then. A worker that is
killed loses nothing: its lanes' leases run out and another takes them.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from node import outbox
from node.outbox import LEASE, Dead, Done, Outcome, Postponed, Turn
from node.roles import JobHandler, Work, role_of
from node.runtime import Node

log = logging.getLogger(__name__)

LANES = 64
# A lane that has run that long waits for somebody else. It does not count then, as far as there are not too many of them:
# hundreds of hosts that are dead at once must not fill every place.
SLOW_SECONDS = 1.0
MOST_LANES = 1024
# While others run, lanes that end within this time are recorded together.
GATHER_SECONDS = 0.004
# After so few jobs were claimed the next are claimed no sooner than that: what comes one by one shares reading and recording.
FEW_JOBS, PACE_SECONDS = 16, 0.05
JOBS_A_LANE = 50
# What is claimed at once is read at once: that many jobs may stand in memory, however many wait.
JOBS_AT_ONCE = 512
LOOK_EVERY = 2.0
TRIES = 10


@dataclass(frozen=True, slots=True)
class _Running:
    """A lane that is being worked; since when, in seconds of the monotonic clock."""

    lane: str
    line: "Line"
    started_at: float


@dataclass(frozen=True, slots=True)
class _Unprepared:
    """What stands for a job whose needs could not be read."""

    error: Exception


# Any: what `prepare` of a kind found for `run` of the same kind.
Line = list[tuple[Turn, Any]]
Results = list[tuple[int, Outcome]]
Jobs = Mapping[str, JobHandler | Work]


async def run(node: Node) -> None:
    """Work until cancelled. A ring wakes it; without one it looks every few seconds."""
    jobs = role_of(node.settings).jobs
    if not node.settings.redis_url:
        # Without a Redis this is the only worker: what is claimed was claimed by one that was killed.
        async with node.database.begin() as session:
            await outbox.release(session)
    woken, some_ended = asyncio.Event(), asyncio.Event()
    next_claim = 0.0
    listener = asyncio.create_task(_listen(node, woken))
    running: dict[asyncio.Task[Results], _Running] = {}
    ended: list[asyncio.Task[Results]] = []

    def end(task: asyncio.Task[Results]) -> None:
        ended.append(task)
        woken.set()
        some_ended.set()

    try:
        while True:
            # Before the look: who rings during it is heard after it.
            woken.clear()
            pause = next_claim - time.monotonic()
            room = _room(running.values()) if pause <= 0 else 0
            claimed = await _claim(node, room, jobs) if room else {}
            if 0 < sum(map(len, claimed.values())) < FEW_JOBS:
                next_claim = time.monotonic() + PACE_SECONDS
            for lane, line in claimed.items():
                task = asyncio.create_task(_work(node, line, jobs))
                running[task] = _Running(lane, line, time.monotonic())
                task.add_done_callback(end)
            if not ended and pause > 0:
                await _rest(some_ended, pause)
            elif not ended:
                await _rest(woken, SLOW_SECONDS if running else await _quiet(node))
            if 0 < len(ended) < len(running):
                await asyncio.sleep(GATHER_SECONDS)
            done, ended[:] = list(ended), []
            some_ended.clear()
            if done:
                finished = [(running.pop(task), task.result()) for task in done]
                try:
                    await _finish(node, [(one.lane, one.line, results) for one, results in finished], jobs)
                except Exception:  # their leases run out, and they run again: every job may run twice
                    log.exception("jobs.unrecorded")
    finally:
        listener.cancel()
        for task in running:
            task.cancel()


async def _listen(node: Node, woken: asyncio.Event) -> None:
    while True:
        await node.bell.wait(LOOK_EVERY)
        woken.set()


async def _rest(woken: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)


def _room(running: Collection[_Running]) -> int:
    """How many more lanes may be worked: one that has hung for a while keeps no other waiting, up to a number of those."""
    since = time.monotonic() - SLOW_SECONDS
    brisk = sum(one.started_at > since for one in running)
    return max(0, min(LANES - brisk, MOST_LANES - len(running)))


async def run_due(node: Node) -> int:
    """Run what is due now, once; returns how many jobs ran. For tests and for `tracker worker --once`."""
    jobs = role_of(node.settings).jobs
    claimed = await _claim(node, LANES, jobs)
    results = await asyncio.gather(*(_work(node, line, jobs) for line in claimed.values()))
    if claimed:
        await _finish(node, list(zip(claimed, claimed.values(), results, strict=True)), jobs)
    return sum(len(found) for found in results)


async def _claim(node: Node, limit: int, jobs: Jobs) -> dict[str, Line]:
    """Some lanes that are due, with their jobs and what these need, read for all of them at once."""
    now = node.clock.now()
    async with node.database.read() as session:
        # A look takes no write lock: an idle node writes nothing.
        due = await outbox.next_due(session, now=now)
    if due is None or due > now:
        return {}
    async with node.database.begin() as session:
        lanes = await outbox.claim(session, now=now, limit=limit)
        limit = min(JOBS_A_LANE, max(1, JOBS_AT_ONCE // max(1, len(lanes))))
        lines = await outbox.line(session, lanes, now=now, limit=limit) if lanes else {}
    try:
        return await _prepare(node, lines, jobs)
    except Exception:  # whichever it was, it keeps nothing from the others
        return {lane: await _prepare_lane(node, lane, line, jobs) for lane, line in lines.items()}


async def _prepare(node: Node, lines: Mapping[str, Sequence[Turn]], jobs: Jobs) -> dict[str, Line]:
    claimed = [job for line in lines.values() for job in line]
    found: dict[int, Any] = {}
    for kind in {job.kind for job in claimed}:
        work = jobs.get(kind)
        if isinstance(work, Work):
            async with node.database.read() as session:
                found |= await work.prepare(node, session, [job for job in claimed if job.kind == kind])
    return {lane: [(job, found.get(job.seq)) for job in line] for lane, line in lines.items()}


async def _prepare_lane(node: Node, lane: str, line: Sequence[Turn], jobs: Jobs) -> Line:
    """One lane by itself, for its jobs know of one another. If that fails too its first job runs alone, and is perhaps the one at fault."""
    try:
        return (await _prepare(node, {lane: line}, jobs))[lane]
    except Exception:
        head = line[:1]
    try:
        return (await _prepare(node, {lane: head}, jobs))[lane]
    except Exception as error:
        return [(job, _Unprepared(error)) for job in head]


async def _work(node: Node, line: Line, jobs: Jobs) -> Results:
    """The jobs of one lane, in order; the first that has to wait makes those behind it wait."""
    started = node.clock.now()
    results: Results = []
    for job, prepared in line:
        if node.clock.now() - started > LEASE / 2:
            break
        outcome = await _run(node, job, prepared, jobs)
        if outcome is None:
            break
        results.append((job.seq, outcome))
        if isinstance(outcome, Postponed | outbox.Dropped):
            break
    return results


async def _run(node: Node, job: Turn, prepared: Any, jobs: Jobs) -> Outcome | None:
    handler = jobs.get(job.kind)
    if handler is None:
        return Dead(f"nobody here does {job.kind}")
    try:
        if isinstance(prepared, _Unprepared):
            raise prepared.error
        if isinstance(handler, Work):
            return await handler.run(node, job, prepared)
        return await handler(node, job)
    except Exception as error:  # a worker that catches everything records everything
        log.exception("job.failed", extra={"kind": job.kind, "job": job.seq, "attempts": job.attempts})
        if job.attempts >= TRIES:
            return Dead(f"{type(error).__name__}")
        return Postponed(node.clock.now() + LEASE / 4 * 2**job.attempts, f"{type(error).__name__}")


async def _finish(node: Node, finished: Sequence[tuple[str, Line, Results]], jobs: Jobs) -> None:
    """Record together what became of the jobs of some lanes, and what those that are done leave behind.

    When that cannot be recorded, one of them may be at fault: each runs again by itself then, and leaves nothing.
    """
    try:
        has_left = await _record(node, finished, jobs)
    except Exception as error:  # whatever it was, who left something meets it again when it runs by itself
        log.warning("jobs.unsettled", extra={"reason": type(error).__name__})
        finished = await asyncio.gather(*(_again(node, *one, jobs) for one in finished))
        has_left = await _record(node, finished, jobs)
    if has_left:
        await node.bell.ring()


async def _again(
    node: Node, lane: str, line: Line, results: Results, jobs: Jobs
) -> tuple[str, Line, Results]:
    """What comes of the jobs of a lane when each runs by itself; of those that leave nothing anyway, what came of them."""
    line = line[: len(results)]
    apart = [(job, _apart(prepared, jobs.get(job.kind))) for job, prepared in line]
    if all(one is prepared for (_, one), (_, prepared) in zip(apart, line, strict=True)):
        return lane, line, results
    return lane, apart, await _work(node, apart, jobs)


def _apart(prepared: Any, work: JobHandler | Work | None) -> Any:
    if not isinstance(work, Work) or work.apart is None or isinstance(prepared, _Unprepared):
        return prepared
    return work.apart(prepared)


async def _record(node: Node, finished: Sequence[tuple[str, Line, Results]], jobs: Jobs) -> bool:
    async with node.database.begin() as session:
        outcomes = {lane: results for lane, _, results in finished}
        # Lanes are locked before anything else is, here as by whoever adds to them: nobody waits for who waits for them.
        await outbox.finish(session, outcomes, now=node.clock.now())
        return await _settle(node, session, finished, jobs)


async def _settle(
    node: Node, session: AsyncSession, finished: Sequence[tuple[str, Line, Results]], jobs: Jobs
) -> bool:
    """Whether what was left may have made work for others."""
    left: dict[str, list[Any]] = {}
    for _, line, results in finished:
        for (job, prepared), (_, outcome) in zip(line, results, strict=False):
            if isinstance(outcome, Done):
                left.setdefault(job.kind, []).append(prepared)
    has_left = False
    for kind, prepared in left.items():
        work = jobs.get(kind)
        if isinstance(work, Work) and work.settle is not None:
            has_left = await work.settle(node, session, prepared) or has_left
    return has_left


async def _quiet(node: Node) -> float:
    """Seconds to sleep when nothing is due: until the next lane's turn, but not long."""
    async with node.database.read() as session:
        due = await outbox.next_due(session, now=node.clock.now())
    if due is None:
        return LOOK_EVERY
    return min(LOOK_EVERY, max(0.01, (due - node.clock.now()).total_seconds()))
