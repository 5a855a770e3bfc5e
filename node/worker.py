"""The loop that works the outbox: claim lanes, run their jobs in order, give the lanes back with what became of them.

Lanes run side by side; what is finished is recorded together with whatever else is finished by then. A worker that is
killed loses nothing: its lanes' leases run out and another takes them.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from node import outbox
from node.outbox import LEASE, Dead, Outcome, Postponed, Turn
from node.recording import Jobs, Line, Parts, Running, Unprepared, failed, finish
from node.roles import Work, role_of
from node.runtime import Node

log = logging.getLogger(__name__)

# Most of their time they wait for others; what claiming and recording cost is shared by all of them.
LANES = 256
# A lane that has run that long waits for somebody else. It does not count then, as far as there are not too many of them:
# hundreds of hosts that are dead at once must not fill every place.
SLOW_SECONDS = 1.0
MOST_LANES = 1024
# While others run, lanes that end within this time are recorded together.
GATHER_SECONDS = 0.004
# After so few jobs were claimed the next are claimed no sooner than that: what comes one by one shares reading and recording.
FEW_JOBS, PACE_SECONDS = 16, 0.15
JOBS_A_LANE = 50
# What is claimed at once is read at once: that many jobs may stand in memory, however many wait.
JOBS_AT_ONCE = 1024
LOOK_EVERY = 2.0
# A job may take longer than a lease: who reads a long outbox holds its lane meanwhile. One that does not end in this time has failed.
RENEW_BEFORE = LEASE / 2
LONGEST_SECONDS = 3600.0
# Whoever stops us waits; where the database is away, our leases run out.
PUT_BACK_SECONDS = 5.0


async def run(node: Node) -> None:
    """Work until cancelled. A ring wakes it; without one it looks every few seconds."""
    jobs = role_of(node.settings).jobs
    if not node.settings.redis_url:
        # Without a Redis this is the only worker: what is claimed was claimed by one that was killed.
        async with node.database.begin() as session:
            await outbox.release(session)
    woken, some_ended = asyncio.Event(), asyncio.Event()
    next_claim, is_more = 0.0, False
    listener = asyncio.create_task(_listen(node, woken))
    running: dict[asyncio.Task[Running], Running] = {}
    ended: list[asyncio.Task[Running]] = []
    recorded: list[Running] = []
    parts = Parts()

    def end(task: asyncio.Task[Running]) -> None:
        ended.append(task)
        woken.set()
        some_ended.set()

    def start(lanes: Iterable[Running]) -> None:
        for lane in lanes:
            task = asyncio.create_task(_work(node, lane, jobs, most=parts.size))
            running[task] = lane
            task.add_done_callback(end)

    try:
        while True:
            try:
                # Before the look: who rings during it is heard after it.
                woken.clear()
                pause = next_claim - time.monotonic()
                _let_go(running.values())
                await _hold_on(node, running.values())
                room = _room(running.values()) if pause <= 0 else 0
                claimed = await _claim(node, room, jobs, looks_first=not is_more) if room else []
                if room:
                    # What filled all the room is rarely all there was.
                    is_more = len(claimed) == room
                if 0 < sum(len(lane.line) for lane in claimed) < FEW_JOBS:
                    next_claim = time.monotonic() + PACE_SECONDS
                start(claimed)
                if not ended and pause > 0:
                    await _rest(some_ended, pause)
                elif not ended:
                    await _rest(woken, SLOW_SECONDS if running else await _quiet(node))
                if 0 < len(ended) < len(running):
                    await asyncio.sleep(GATHER_SECONDS)
                done, ended[:] = list(ended), []
                some_ended.clear()
                for task in done:
                    del running[task]
                recorded = [task.result() for task in done]
                start(await finish(node, recorded, jobs, parts))
            except Exception:
                # Somebody holds the database for long, or it is away: what is due waits. The server, which is one process with this
                # loop on SQLite, answers meanwhile.
                log.exception("worker.interrupted")
                await asyncio.sleep(LOOK_EVERY)
    finally:
        listener.cancel()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await _put_back(node, [*running.values(), *recorded])


async def _put_back(node: Node, lanes: Collection[Running]) -> None:
    """Leave nothing claimed: what was begun is done again, and by another worker sooner than our leases end."""
    if not lanes:
        return
    try:
        async with asyncio.timeout(PUT_BACK_SECONDS), node.database.hand() as hand:
            for held, ours in _by_lease(lanes).items():
                await outbox.renew(hand, ours, held=held, until=None)
    except Exception as error:
        log.warning("lanes.kept", extra={"lanes": len(lanes), "reason": type(error).__name__})


async def _listen(node: Node, woken: asyncio.Event) -> None:
    while True:
        await node.bell.wait(LOOK_EVERY)
        woken.set()


async def _rest(woken: asyncio.Event, seconds: float) -> None:
    # Not `asyncio.wait_for`: of Python 3.11 it forgets that it was cancelled when it is woken at the same moment, and the worker would
    # go on while its server waits for its end.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()


def _let_go(running: Collection[Running]) -> None:
    """Of many lanes those that hang keep the job that they hang on; those behind it are read again when the lane is given back.

    What a thousand of them hold for their next jobs would fill the memory.
    """
    if len(running) > LANES:
        for lane in running:
            if _is_slow(lane):
                del lane.line[len(lane.results) + 1 :]


async def _hold_on(node: Node, running: Iterable[Running]) -> None:
    """Renew the leases that end soon: else somebody would begin a long job anew while it runs, and nobody ever end it."""
    now = node.clock.now()
    ending = _by_lease(lane for lane in running if lane.until - now < RENEW_BEFORE)
    for held, lanes in ending.items():
        until = now + LEASE
        async with node.database.hand() as hand:
            renewed = await outbox.renew(hand, lanes, held=held, until=until)
        for name in renewed:
            lanes[name].until = until


def _by_lease(lanes: Iterable[Running]) -> dict[datetime, dict[str, Running]]:
    """Lanes by name, by the end of the lease under which they are worked."""
    found: dict[datetime, dict[str, Running]] = {}
    for lane in lanes:
        found.setdefault(lane.until, {})[lane.name] = lane
    return found


def _is_slow(lane: Running) -> bool:
    return lane.started_at <= time.monotonic() - SLOW_SECONDS


def _room(running: Collection[Running]) -> int:
    """How many more lanes may be worked: one that has hung for a while keeps no other waiting, up to a number of those."""
    brisk = sum(not _is_slow(lane) for lane in running)
    return max(0, min(LANES - brisk, MOST_LANES - len(running)))


async def run_due(node: Node) -> int:
    """Run what is due now, once; returns how many jobs ran. For tests and for `tracker worker --once`."""
    jobs, parts = role_of(node.settings).jobs, Parts()
    ran = 0
    lanes = await _claim(node, LANES, jobs, looks_first=True)
    while lanes:
        await asyncio.gather(*(_work(node, lane, jobs) for lane in lanes))
        ran += sum(len(lane.results) for lane in lanes)
        lanes = await finish(node, lanes, jobs, parts)
    return ran


async def _claim(node: Node, limit: int, jobs: Jobs, *, looks_first: bool) -> list[Running]:
    """Some lanes that are due, with their jobs and what these need, read for all of them at once.

    looks_first  whether any is due at all: a look takes no write lock, so an idle node writes nothing.
    """
    now = node.clock.now()
    if looks_first and not await _is_due(node, now):
        return []
    async with node.database.hand() as hand:
        names = await outbox.claim(hand, now=now, limit=limit)
        limit = min(JOBS_A_LANE, max(1, JOBS_AT_ONCE // max(1, len(names))))
        lines = await outbox.line(hand, names, now=now, limit=limit) if names else {}
    try:
        prepared = await _prepare(node, lines, jobs)
    except Exception:  # whichever it was, it keeps nothing from the others
        prepared = {name: await _prepare_lane(node, name, line, jobs) for name, line in lines.items()}
    leaving = {kind for kind, work in jobs.items() if isinstance(work, Work) and work.settle is not None}
    return [
        Running(name, now + LEASE, line, any(job.kind in leaving for job, _ in line))
        for name, line in prepared.items()
    ]


async def _is_due(node: Node, now: datetime) -> bool:
    async with node.database.hand() as hand:
        due = await outbox.next_due(hand, now=now)
    return due is not None and due <= now


async def _prepare(node: Node, lines: Mapping[str, Sequence[Turn]], jobs: Jobs) -> dict[str, Line]:
    claimed = [job for line in lines.values() for job in line]
    found: dict[int, Any] = {}
    for kind in {job.kind for job in claimed}:
        work = jobs.get(kind)
        if isinstance(work, Work):
            found |= await work.prepare(node, [job for job in claimed if job.kind == kind])
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
        return [(job, Unprepared(error)) for job in head]


async def _work(node: Node, lane: Running, jobs: Jobs, *, most: int = JOBS_A_LANE) -> Running:
    """Run the jobs of one lane, in order; the first that has to wait makes those behind it wait.

    most  of those that leave something: a lane is recorded as a whole.
    """
    end = len(lane.results) + (most if lane.may_leave else len(lane.line))
    try:
        # A job that hangs would be begun anew beside itself when its lease is over, again and again, until no lane had room.
        async with asyncio.timeout(LONGEST_SECONDS) as limit:
            await _run_some(node, lane, jobs, end, limit)
    except TimeoutError as error:
        job, _ = lane.line[len(lane.results)]
        lane.results.append((job.seq, failed(node, job, error)))
    return lane


async def _run_some(node: Node, lane: Running, jobs: Jobs, end: int, limit: asyncio.Timeout) -> None:
    started, loop = node.clock.now(), asyncio.get_running_loop()
    renewed_at = loop.time()
    # The line may be cut off while a job of it hangs.
    while len(lane.results) < min(end, len(lane.line)) and node.clock.now() - started <= LEASE / 2:
        # One timer for all of them: a timer each is a tenth of a delivery. Nearly as long for each as for the first.
        if loop.time() - renewed_at > LONGEST_SECONDS / 60:
            renewed_at = loop.time()
            limit.reschedule(renewed_at + LONGEST_SECONDS)
        job, prepared = lane.line[len(lane.results)]
        outcome = await _run(node, job, prepared, jobs)
        if outcome is None:
            break
        lane.results.append((job.seq, outcome))
        if isinstance(outcome, Postponed | outbox.Dropped):
            break


async def _run(node: Node, job: Turn, prepared: Any, jobs: Jobs) -> Outcome | None:
    handler = jobs.get(job.kind)
    if handler is None:
        return Dead(f"nobody here does {job.kind}")
    try:
        if isinstance(prepared, Unprepared):
            raise prepared.error
        if isinstance(handler, Work):
            return await handler.run(node, job, prepared)
        return await handler(node, job)
    except Exception as error:  # a worker that catches everything records everything
        return failed(node, job, error)


async def _quiet(node: Node) -> float:
    """Seconds to sleep when nothing is due: until the next lane's turn, but not long."""
    async with node.database.hand() as hand:
        due = await outbox.next_due(hand, now=node.clock.now())
    if due is None:
        return LOOK_EVERY
    return min(LOOK_EVERY, max(0.01, (due - node.clock.now()).total_seconds()))
