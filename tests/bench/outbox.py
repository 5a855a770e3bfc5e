"""The durable outbox alone: jobs enqueued, and claimed and finished, in batches, on SQLite as it is served and on PostgreSQL."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from node import outbox
from node.database import Database
from node.outbox import LEASE, Done, Order
from tests.bench.figures import Bench, Figure, measured
from tests.rig.clock import NOON
from tests.rig.databases import fresh_database, make_tables
from tests.rig.servers import Servers

JOBS, LANES, BATCH = 20_000, 200, 500
CLAIMED_LANES, CLAIMED_JOBS = 64, 50
ROUNDS = 3


async def run(bench: Bench) -> list[Figure]:
    figures: list[Figure] = []
    with _servers() as servers:
        for kind in ("sqlite", "postgresql"):
            enqueued, claimed = [], []
            for number in range(ROUNDS):
                bench.say(f"{kind}, round {number + 1} of {ROUNDS}")
                async with fresh_database(kind, bench.directory, servers) as url:
                    database = Database(url)
                    await make_tables(database)
                    jobs = bench.amount(JOBS)
                    started = time.perf_counter()
                    await _enqueue(database, jobs)
                    middle = time.perf_counter()
                    await _work(database, jobs)
                    enqueued.append(jobs / (middle - started))
                    claimed.append(jobs / (time.perf_counter() - middle))
                    await database.close()
            careless = "" if kind == "sqlite" else " This PostgreSQL does not wait for the disk."
            figures += [
                measured(
                    f"outbox-enqueue-{kind}",
                    "jobs/s",
                    enqueued,
                    goal=20_000,
                    note=f"In batches of {BATCH}.{careless}",
                ),
                measured(
                    f"outbox-work-{kind}",
                    "jobs/s",
                    claimed,
                    goal=15_000,
                    note=f"Claimed and finished.{careless}",
                ),
            ]
    return figures


async def _enqueue(database: Database, jobs: int) -> None:
    for start in range(0, jobs, BATCH):
        orders = [
            Order(
                "deliver",
                {"activity": f"https://a.example/{n}"},
                f"to:{n % LANES}.example",
                key=f"deliver:{n}",
            )
            for n in range(start, min(start + BATCH, jobs))
        ]
        async with database.begin() as session:
            await outbox.enqueue_many(session, orders, now=NOON)


async def _work(database: Database, jobs: int) -> None:
    done, now = 0, NOON
    while done < jobs:
        now = _later(now)
        async with database.begin() as session:
            lanes = await outbox.claim(session, now=now, limit=CLAIMED_LANES)
            lines = await outbox.line(session, lanes, now=now, limit=CLAIMED_JOBS)
        results = {lane: [(job.seq, Done()) for job in line] for lane, line in lines.items()}
        until = dict.fromkeys(results, now + LEASE)
        async with database.begin() as session:
            await outbox.finish(session, results, until=until, now=now)
        done += sum(len(line) for line in lines.values())


def _later(now: datetime) -> datetime:
    return now + timedelta(milliseconds=1)


@contextmanager
def _servers() -> Iterator[Servers]:
    servers = Servers.prepare()
    try:
        yield servers
    finally:
        servers.stop()
