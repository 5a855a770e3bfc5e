"""Jobs in lanes: nothing lost, nothing overtaken, nobody delayed by somebody else's dead host."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from node import outbox, recording, worker
from node.errors import LeaseLost
from node.lanes import lanes_of_dead, try_now
from node.outbox import LEASE, Dead, Done, Dropped, Lane, Moved, Order, Postponed, Settlement
from node.roles import Work
from node.runtime import LocalBell
from tests.rig.clock import FrozenClock

pytestmark = pytest.mark.both_databases


async def fill(database: Any, now: datetime, *orders: tuple[str, str]) -> None:
    async with database.begin() as session:
        await outbox.enqueue_many(
            session, [Order("deliver", {"n": key}, lane, key) for lane, key in orders], now=now
        )


async def take(database: Any, now: datetime, limit: int = 10) -> dict[str, list[outbox.Turn]]:
    async with database.begin() as session:
        lanes = await outbox.claim(session, now=now, limit=limit)
        return await outbox.line(session, lanes, now=now, limit=10)


async def give_back(database: Any, now: datetime, **outcomes: Any) -> None:
    """What became of jobs that were taken at the same time."""
    results = {f"to:{lane}": some for lane, some in outcomes.items()}
    async with database.begin() as session:
        await outbox.finish(session, results, until=dict.fromkeys(results, now + outbox.LEASE), now=now)


async def test_a_job_rolls_back_with_the_fact_that_caused_it(database: Any, now: datetime) -> None:
    async def fail() -> None:
        async with database.begin() as session:
            await outbox.enqueue(session, "deliver", {}, lane="to:a", now=now)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    assert await take(database, now) == {}


async def test_a_key_stands_for_one_job(database: Any, now: datetime) -> None:
    await fill(database, now, ("to:a", "1"), ("to:a", "1"))
    await fill(database, now, ("to:a", "1"))

    taken = await take(database, now)

    assert [job.payload["n"] for job in taken["to:a"]] == ["1"]


async def test_a_job_that_has_begun_stands_for_no_other_with_its_key(database: Any, now: datetime) -> None:
    await fill(database, now, ("to:a", "1"))
    taken = await take(database, now)
    await fill(database, now, ("to:a", "1"))
    for _ in range(2):
        async with database.begin() as session:
            await outbox.let_another_wait(session, taken["to:a"][0])

    for _ in range(2):
        await fill(database, now, ("to:a", "1"))
    await give_back(database, now, a=[(taken["to:a"][0].seq, Done())])

    assert [job.payload["n"] for job in (await take(database, now))["to:a"]] == ["1"]


async def test_a_job_begins_when_whoever_was_told_that_it_waits_has_committed(
    database: Any, now: datetime
) -> None:
    """Or they add another: SQLite adds what they asked for when they commit."""
    await fill(database, now, ("to:a", "1"))
    taken = await take(database, now)

    async def begin() -> None:
        async with database.begin() as session:
            await outbox.let_another_wait(session, taken["to:a"][0])

    async with database.begin() as session:
        await outbox.enqueue(session, "deliver", {}, lane="to:a", key="1", now=now)
        begun = asyncio.create_task(begin())
        is_begun, _ = await asyncio.wait([begun], timeout=0.2)
    await begun

    async with database.read() as session:
        assert await outbox.pending(session) == (2 if is_begun else 1)


async def test_a_lane_is_worked_by_one_worker_at_a_time(database: Any, now: datetime) -> None:
    await fill(database, now, ("to:a", "1"), ("to:b", "2"))

    first = await take(database, now, limit=1)
    second = await take(database, now)

    assert len(first) == 1
    assert len(second) == 1
    assert set(first) | set(second) == {"to:a", "to:b"}
    assert await take(database, now) == {}


async def test_a_lane_that_had_its_turn_waits_for_those_that_had_none(database: Any, now: datetime) -> None:
    """Of ten thousand deliveries for each case that a hub announces all were made before anything was heard that came in later."""
    second = timedelta(seconds=1)
    await fill(database, now, ("to:a", "1"), ("to:a", "2"))
    await fill(database, now + second, ("from:b", "3"))

    (job, _) = (await take(database, now + 2 * second, limit=1))["to:a"]
    async with database.begin() as session:
        await outbox.finish(
            session,
            {"to:a": [(job.seq, Done())]},
            until={"to:a": now + 2 * second + LEASE},
            now=now + 3 * second,
        )

    assert list(await take(database, now + 3 * second, limit=1)) == ["from:b"]
    assert list(await take(database, now + 3 * second, limit=1)) == ["to:a"]


async def test_jobs_of_a_lane_keep_their_order(database: Any, now: datetime) -> None:
    await fill(database, now, ("to:a", "create"), ("to:a", "update"), ("to:a", "delete"))

    taken = await take(database, now)

    assert [job.payload["n"] for job in taken["to:a"]] == ["create", "update", "delete"]


async def test_a_lease_that_ran_out_frees_the_lane(database: Any, now: datetime) -> None:
    await fill(database, now, ("to:a", "1"))
    await take(database, now)

    later = now + outbox.LEASE + timedelta(seconds=1)

    assert list(await take(database, later)) == ["to:a"]


async def test_a_postponed_job_holds_back_those_behind_it_and_nobody_else(
    database: Any, clock: FrozenClock
) -> None:
    now = clock.now()
    await fill(database, now, ("to:dead", "1"), ("to:dead", "2"), ("to:well", "3"))
    taken = await take(database, now)
    await give_back(
        database,
        now,
        dead=[(taken["to:dead"][0].seq, Postponed(now + timedelta(hours=1), "HTTP 503"))],
        well=[(taken["to:well"][0].seq, Done())],
    )
    await fill(database, now, ("to:dead", "4"), ("to:well", "5"))

    soon = await take(database, now + timedelta(minutes=1))
    late = await take(database, now + timedelta(hours=2))

    assert {lane: [job.payload["n"] for job in jobs] for lane, jobs in soon.items()} == {"to:well": ["5"]}
    assert [job.payload["n"] for job in late["to:dead"]] == ["1", "2", "4"]
    assert late["to:dead"][0].attempts == 1


async def test_a_job_that_moved_to_another_lane_waits_there_alone(database: Any, now: datetime) -> None:
    await fill(database, now, ("to:a", "moves"), ("to:a", "stays"), ("to:b", "there"))
    taken = await take(database, now)
    first, second = taken["to:a"]
    until = now + timedelta(hours=1)
    await give_back(
        database,
        now,
        a=[(first.seq, Moved("to:c", until, "no answer")), (second.seq, Moved("to:b", until, "no answer"))],
        b=[(taken["to:b"][0].seq, Done())],
    )
    await fill(database, now, ("to:a", "next"))

    soon = await take(database, now + timedelta(minutes=1))
    late = await take(database, now + timedelta(hours=2))

    assert {lane: [job.payload["n"] for job in jobs] for lane, jobs in soon.items()} == {"to:a": ["next"]}
    told = {lane: [(job.payload["n"], job.attempts) for job in jobs] for lane, jobs in late.items()}
    assert {name: told[name] for name in ("to:b", "to:c")} == {"to:b": [("stays", 1)], "to:c": [("moves", 1)]}


async def test_what_is_enqueued_while_its_lane_is_worked_is_not_forgotten(
    database: Any, now: datetime
) -> None:
    await fill(database, now, ("to:a", "1"))
    taken = await take(database, now)
    await fill(database, now, ("to:a", "2"))
    await give_back(database, now, a=[(taken["to:a"][0].seq, Done())])

    again = await take(database, now)

    assert [job.payload["n"] for job in again["to:a"]] == ["2"]


async def test_a_dead_job_stays_with_its_reason_and_blocks_nobody(database: Any, now: datetime) -> None:
    await fill(database, now, ("to:a", "1"), ("to:a", "2"))
    taken = await take(database, now)
    await give_back(
        database, now, a=[(taken["to:a"][0].seq, Dead("HTTP 403")), (taken["to:a"][1].seq, Done())]
    )

    async with database.read() as session:
        assert await outbox.pending(session) == 0
        dead = await session.get(outbox.Job, taken["to:a"][0].seq)
    assert dead.last_reason == "HTTP 403"
    assert await take(database, now) == {}


async def test_a_host_that_is_gone_drops_its_whole_lane(database: Any, now: datetime) -> None:
    await fill(database, now, ("to:a", "1"), ("to:a", "2"))
    taken = await take(database, now)
    await give_back(database, now, a=[(taken["to:a"][0].seq, Dropped("gone"))])

    async with database.read() as session:
        assert await outbox.pending(session) == 0


async def test_what_waits_or_was_given_up_is_tried_once_when_somebody_asks(
    database: Any, now: datetime
) -> None:
    await fill(database, now, ("to:b", "waits"), ("to:c", "dead"), ("to:d", "done"))
    taken = await take(database, now)
    seqs = {job.payload["n"]: job.seq for jobs in taken.values() for job in jobs}
    await give_back(
        database,
        now,
        b=[(seqs["waits"], Postponed(now + timedelta(days=1), "503"))],
        c=[(seqs["dead"], Dead("403"))],
        d=[(seqs["done"], Done())],
    )
    assert await take(database, now) == {}

    async with database.begin() as session:
        asked = [await try_now(session, key, now=now) for key in ("waits", "waits", "dead", "done", "never")]

    assert asked == [True, True, True, False, False]
    assert {job.payload["n"] for jobs in (await take(database, now)).values() for job in jobs} == {
        "waits",
        "dead",
    }
    assert await take(database, now) == {}


async def test_whoever_took_too_long_gives_back_nothing_that_another_works_by_now(
    database: Any, now: datetime
) -> None:
    await fill(database, now, ("to:a", "1"))
    taken = await take(database, now)
    later = now + outbox.LEASE + timedelta(seconds=1)
    await take(database, later)

    with pytest.raises(LeaseLost):
        await give_back(database, now, a=[(taken["to:a"][0].seq, Done())])

    assert await take(database, later) == {}
    async with database.read() as session:
        assert await outbox.pending(session) == 1


async def test_of_many_lanes_that_hang_none_holds_anything_for_its_next_jobs(
    database: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    goes_on = asyncio.Event()
    ran: list[str] = []

    class Body:
        def __del__(self) -> None:
            held.pop()

    async def prepare(_node: Any, jobs: Sequence[outbox.Turn]) -> dict[int, Body]:
        held.extend(job.seq for job in jobs)
        return {job.seq: Body() for job in jobs}

    async def run(_node: Any, job: outbox.Turn, _body: Body) -> outbox.Outcome:
        if job.payload["n"].startswith("hangs"):
            await goes_on.wait()
        ran.append(job.payload["n"])
        return Done()

    monkeypatch.setattr(worker, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(worker, "LANES", 1)
    monkeypatch.setattr(worker, "role_of", lambda _: SimpleNamespace(jobs={"deliver": Work(prepare, run)}))
    lines = {"to:a": ["1", "hangs", "3", "4"], "to:b": ["hangs too", "6"]}
    await fill(database, now, *((lane, n) for lane, line in lines.items() for n in line))
    settings = SimpleNamespace(redis_url="")
    node = SimpleNamespace(database=database, clock=FrozenClock(now), bell=LocalBell(), settings=settings)
    working = asyncio.create_task(worker.run(cast(Any, node)))
    async with asyncio.timeout(30):
        while len(held) != len(("1", "hangs", "hangs too")):
            await asyncio.sleep(0.01)
        goes_on.set()
        while len(ran) < 6:
            await asyncio.sleep(0.01)
    working.cancel()

    assert [n for n in ran if n in lines["to:a"]] == lines["to:a"]


# ---- what jobs leave when they end ---------------------------------------------------------------------------------


class Leaving:
    """A worker's node, and a kind of job that leaves something."""

    def __init__(self, database: Any, now: datetime) -> None:
        self.node: Any = SimpleNamespace(database=database, clock=FrozenClock(now), bell=LocalBell())
        self.jobs = {"process": Work(cast(Any, None), cast(Any, None), self._settle)}
        self.written: list[list[str]] = []
        self.adds_to: str | None = None
        self.makes = 0
        self.parts = recording.Parts(each=1)

    async def _settle(self, _node: Any, prepared: Sequence[str]) -> Settlement:
        async def write(session: Any) -> int:
            self.written.append(list(prepared))
            if self.adds_to is not None:
                await outbox.enqueue(session, "deliver", {}, lane=self.adds_to, now=self.node.clock.now())
            return self.makes * len(prepared)

        return write

    async def claimed(self, *lanes: str, jobs: int = 1) -> list[recording.Running]:
        """Lanes with jobs of that kind, each done, none recorded."""
        now = self.node.clock.now()
        orders = [Order("process", {}, lane) for lane in lanes for _ in range(jobs)]
        async with self.node.database.begin() as session:
            await outbox.enqueue_many(session, orders, now=now)
        async with self.node.database.begin() as session:
            names = await outbox.claim(session, now=now, limit=100)
            lines = await outbox.line(session, names, now=now, limit=100)
        return [
            recording.Running(
                lane,
                now + LEASE,
                [(job, lane) for job in line],
                any(job.kind in self.jobs for job in line),
                [(job.seq, Done()) for job in line],
            )
            for lane, line in sorted(lines.items())
        ]

    async def finish(self, lanes: Sequence[recording.Running]) -> list[recording.Running]:
        return await recording.finish(self.node, lanes, self.jobs, self.parts)


async def test_what_many_jobs_leave_is_kept_in_parts(database: Any, now: datetime) -> None:
    leaving = Leaving(database, now)

    await leaving.finish(
        await leaving.claimed("from:a", "from:b", "from:c", jobs=recording.SETTLED_AT_ONCE // 2)
    )

    assert [set(part) for part in leaving.written] == [{"from:a", "from:b"}, {"from:c"}]


async def test_where_each_job_makes_thousands_of_others_few_are_recorded_at_once(
    database: Any, now: datetime
) -> None:
    """On a hub that five thousand servers follow each case makes ten thousand deliveries: sixty-four of them held SQLite for longer than an
    inbox waits, and a gigabyte of memory.
    """
    leaving = Leaving(database, now)
    leaving.parts, leaving.makes = recording.Parts(), outbox.MADE_AT_ONCE // 2
    lanes = [f"from:{letter}" for letter in "abcdefghijklmnop"]

    await leaving.finish(await leaving.claimed(*lanes))
    first = [len(part) for part in leaving.written]
    leaving.makes = 0
    for _ in range(4):
        await leaving.finish(await leaving.claimed(*lanes))

    assert first == [8, 2, 2, 2, 2]
    assert len(leaving.written[-1]) == len(lanes)


async def test_of_a_lane_whose_jobs_leave_something_so_many_run_as_are_recorded_at_once(
    database: Any, now: datetime
) -> None:
    leaving = Leaving(database, now)
    (lane,) = await leaving.claimed("from:a", jobs=5)
    lane.results = []

    async def done(_node: Any, _job: outbox.Turn, _prepared: Any) -> Done:
        return Done()

    leaving.jobs["process"] = replace(leaving.jobs["process"], run=done)
    await leaving.finish([await worker._work(leaving.node, lane, leaving.jobs, most=2)])

    assert leaving.written == [["from:a"] * 2]
    assert [len(line) for line in (await take(database, now)).values()] == [3]


async def test_a_lane_that_cannot_be_recorded_is_put_off_and_hurts_no_other(
    database: Any, now: datetime
) -> None:
    leaving = Leaving(database, now)
    bad, good = await leaving.claimed("from:bad", "from:good")
    bad.results = [(bad.results[0][0], Moved("x" * 10_000, cast(Any, "no time at all"), "no answer"))]

    assert await leaving.finish([bad, good]) == []

    async with database.read() as session:
        left = (await session.execute(select(outbox.Job.lane, outbox.Job.attempts))).all()
    assert [tuple(job) for job in left] == [("from:bad", 1)]
    assert await take(database, now) == {}


async def test_what_a_dead_job_was_prepared_with_is_settled_too(database: Any, now: datetime) -> None:
    leaving = Leaving(database, now)
    (lane,) = await leaving.claimed("from:a")
    lane.results = [(lane.results[0][0], Dead("no answer"))]

    await leaving.finish([lane])

    assert leaving.written == [["from:a"]]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.scale
async def test_lanes_are_locked_before_what_their_jobs_leave_is_written(database: Any, now: datetime) -> None:
    """Whoever adds to a lane may hold it while it waits for a row that these jobs change: neither is to wait for the other."""
    leaving = Leaving(database, now)
    lanes = await leaving.claimed("from:x")
    async with database.begin() as held:
        await held.execute(select(Lane.name).where(Lane.name == "from:x").with_for_update())
        ending = asyncio.create_task(leaving.finish(lanes))
        await asyncio.sleep(0.3)
        assert leaving.written == []
    await ending

    assert leaving.written == [["from:x"]]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.scale
async def test_nobody_holds_a_lane_of_deliveries_while_what_was_left_waits_for_another(
    database: Any, now: datetime
) -> None:
    """Two workers that end deliveries and add others waited for one another, until the database ended one of them."""
    leaving = Leaving(database, now)
    await fill(database, now, ("to:z", "1"))
    lanes = await leaving.claimed("from:x")
    leaving.adds_to = "to:a"
    async with database.begin() as held:
        await outbox.enqueue(held, "deliver", {}, lane="to:a", now=now)
        ending = asyncio.create_task(leaving.finish(lanes))
        await asyncio.sleep(0.3)
        assert leaving.written == [["from:x"]]
        await held.execute(select(Lane.name).where(Lane.name == "to:z").with_for_update(nowait=True))
    await ending


async def test_more_lanes_than_there_is_room_for_are_all_worked(
    database: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    async def note(_node: Any, job: outbox.Turn) -> Done:
        done.append(job.lane)
        return Done()

    monkeypatch.setattr(worker, "LANES", 2)
    monkeypatch.setattr(worker, "role_of", lambda _: SimpleNamespace(jobs={"deliver": note}))
    node = SimpleNamespace(
        settings=SimpleNamespace(redis_url=None), database=database, clock=FrozenClock(now), bell=LocalBell()
    )
    lanes = [f"to:{letter}" for letter in "abcde"]
    await fill(database, now, *((lane, lane) for lane in lanes))
    working = asyncio.create_task(worker.run(cast(Any, node)))
    try:
        async with asyncio.timeout(30), database.read() as session:
            while await outbox.pending(session):
                await asyncio.sleep(0.01)
                await session.rollback()
    finally:
        working.cancel()

    assert sorted(done) == lanes


async def test_a_job_that_hangs_is_ended_and_tried_again_and_others_of_its_lane_run(
    database: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It held its lane for an hour, was begun anew beside itself, and so on until there was room for no lane any more."""
    begun: list[str] = []
    ended: list[str] = []

    async def hang(_node: Any, job: outbox.Turn) -> Done:
        begun.append(job.payload["n"])
        try:
            if job.payload["n"] == "1" and len(begun) == 1:
                await asyncio.Event().wait()
        finally:
            ended.append(job.payload["n"])
        return Done()

    monkeypatch.setattr(worker, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(worker, "role_of", lambda _: SimpleNamespace(jobs={"deliver": hang}))
    clock = FrozenClock(now)
    node = cast(Any, SimpleNamespace(settings=None, database=database, clock=clock, bell=LocalBell()))
    await fill(database, now, ("to:a", "1"), ("to:a", "2"))
    async with asyncio.timeout(30):
        await worker.run_due(node)
    async with database.read() as session:
        found = select(outbox.Job.attempts, outbox.Job.last_reason).order_by(outbox.Job.seq)
        waiting = (await session.execute(found)).all()
    clock.forward(minutes=1)
    await worker.run_due(node)

    assert ended == begun == ["1", "1", "2"]
    assert [tuple(one) for one in waiting] == [(1, "TimeoutError"), (0, None)]


async def test_a_job_that_takes_longer_than_a_lease_is_not_begun_anew_meanwhile(
    database: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    goes_on = asyncio.Event()

    async def read_for_long(_node: Any, job: outbox.Turn) -> Done:
        begun.append(job.seq)
        await goes_on.wait()
        return Done()

    monkeypatch.setattr(worker, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(worker, "role_of", lambda _: SimpleNamespace(jobs={"deliver": read_for_long}))
    clock = FrozenClock(now)
    node = SimpleNamespace(
        settings=SimpleNamespace(redis_url=None), database=database, clock=clock, bell=LocalBell()
    )
    await fill(database, now, ("to:a", "1"))
    working = asyncio.create_task(worker.run(cast(Any, node)))

    async def held_until() -> datetime | None:
        async with database.read() as session:
            lane = await session.get(Lane, "to:a")
            return lane.claimed_until if lane is not None else None

    try:
        async with asyncio.timeout(30):
            while not begun:
                await asyncio.sleep(0.01)
            for _ in range(4):
                clock.forward(seconds=LEASE.total_seconds() + 1)
                while await held_until() != clock.now() + LEASE:
                    await asyncio.sleep(0.01)
            goes_on.set()
            async with database.read() as session:
                while await outbox.pending(session):
                    await asyncio.sleep(0.01)
                    await session.rollback()
    finally:
        working.cancel()

    assert len(begun) == 1


async def test_a_worker_that_is_stopped_leaves_what_it_began_to_others_at_once(
    database: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    async def never_ends(_node: Any, job: outbox.Turn) -> Done:
        begun.append(job.lane)
        await asyncio.Event().wait()
        return Done()

    monkeypatch.setattr(worker, "role_of", lambda _: SimpleNamespace(jobs={"deliver": never_ends}))
    clock = FrozenClock(now)
    node = SimpleNamespace(
        settings=SimpleNamespace(redis_url="redis://"), database=database, clock=clock, bell=LocalBell()
    )
    await fill(database, now, ("to:a", "1"), ("to:b", "2"), ("to:lost", "3"))
    working = asyncio.create_task(worker.run(cast(Any, node)))
    async with asyncio.timeout(30):
        while len(begun) < 3:
            await asyncio.sleep(0.01)
    async with database.begin() as session:
        # Somebody else took it over, for this worker was out of reach for longer than its lease.
        (await session.get_one(Lane, "to:lost")).claimed_until = now + 2 * LEASE
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    async with database.hand() as hand:
        assert sorted(await outbox.claim(hand, now=now, limit=9)) == ["to:a", "to:b"]


@pytest.mark.parametrize("asked", ["next_due", "claim", "line", "renew"])
async def test_a_worker_goes_on_after_a_time_in_which_the_database_could_not_be_asked(
    database: Any,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    asked: str,
) -> None:
    """With a transaction of ten seconds in another process SQLite is locked, and the whole server used to end with its worker."""
    done: list[str] = []
    has_failed = False

    async def note(_node: Any, job: outbox.Turn) -> Done:
        done.append(job.lane)
        await asyncio.sleep(0.1)
        return Done()

    ask = getattr(outbox, asked)

    async def fail_at_first(*given: Any, **named: Any) -> Any:
        nonlocal has_failed
        if not has_failed:
            has_failed = True
            raise OperationalError("", None, Exception("database is locked"))
        return await ask(*given, **named)

    monkeypatch.setattr(outbox, asked, fail_at_first)
    monkeypatch.setattr(worker, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(worker, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(worker, "RENEW_BEFORE", LEASE * 2)
    monkeypatch.setattr(worker, "role_of", lambda _: SimpleNamespace(jobs={"deliver": note}))
    clock = FrozenClock(now)
    node = SimpleNamespace(
        settings=SimpleNamespace(redis_url=None), database=database, clock=clock, bell=LocalBell()
    )
    await fill(database, now, ("to:a", "1"), ("to:b", "2"))
    working = asyncio.create_task(worker.run(cast(Any, node)))
    try:
        async with asyncio.timeout(30), database.read() as session:
            while await outbox.pending(session):
                assert not working.done()
                if has_failed:
                    # What was claimed when the database failed is free when its lease is over.
                    clock.forward(seconds=LEASE.total_seconds() + 1)
                await asyncio.sleep(0.05)
                await session.rollback()
    finally:
        working.cancel()
        # With its connections: it may be asking just now.
        await asyncio.gather(working, return_exceptions=True)

    assert {"to:a", "to:b"} == set(done)
    assert "worker.interrupted" in caplog.text


async def test_a_chore_that_fails_for_a_night_is_tried_again_each_day_and_keeps_no_other_waiting(
    database: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most plan themselves anew when they are done. One that was given up was not done again until the server was started anew."""
    clock, done, is_full = FrozenClock(now), list[str](), True

    async def tidy_up(_node: Any, job: outbox.Turn) -> Done:
        if is_full and job.payload["n"] != "2":
            raise RuntimeError
        done.append(job.payload["n"])
        return Done()

    monkeypatch.setattr(worker, "role_of", lambda _: SimpleNamespace(jobs={"deliver": tidy_up}))
    node = cast(Any, SimpleNamespace(settings=None, database=database, clock=clock, bell=LocalBell()))
    await fill(database, now, ("chore:tidy", "1"), ("chore:tidy", "2"), ("to:a", "3"))
    for _ in range(recording.TRIES + 3):
        await worker.run_due(node)
        clock.forward(hours=12)
    before = list(done)
    is_full = False
    for _ in range(3):
        clock.forward(days=1)
        await worker.run_due(node)

    assert (before, done) == (["2"], ["2", "1"])
    async with database.read() as session:
        assert await lanes_of_dead(session, "deliver", "RuntimeError") == ["to:a"]
        assert await outbox.pending(session) == 0


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_worker_that_is_told_to_end_in_the_moment_in_which_it_is_woken_ends(
    database: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting: list[asyncio.Event] = []
    rest = worker._rest

    async def note(woken: asyncio.Event, seconds: float) -> None:
        resting.append(woken)
        await rest(woken, seconds)

    monkeypatch.setattr(worker, "_rest", note)
    monkeypatch.setattr(worker, "LOOK_EVERY", 60.0)
    monkeypatch.setattr(worker, "role_of", lambda _: SimpleNamespace(jobs={}))
    node = SimpleNamespace(
        settings=SimpleNamespace(redis_url=None), database=database, clock=FrozenClock(now), bell=LocalBell()
    )
    working = asyncio.create_task(worker.run(cast(Any, node)))
    async with asyncio.timeout(30):
        while not resting:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        resting[0].set()
        await asyncio.sleep(0)
        working.cancel()
    is_over, _ = await asyncio.wait({working}, timeout=30)
    working.cancel()

    assert is_over == {working}
