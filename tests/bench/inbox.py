"""Signed deliveries: how many a second are verified and stored before they are acknowledged, beside Fedify.

Every server runs on one processor, the generator on another; 50 senders whose keys all know; draft-cavage RSA; in turns.
The node is measured three times: accepting only, with the worker a process of its own as in the scale profile, on SQLite and on
PostgreSQL (whose own processes run on the other processor); and as one process with its worker inside, on SQLite. It commits
each delivery before its 202. Fedify verifies and parses, and stores nothing durable.
"""

import asyncio
import statistics
import time
from contextlib import ExitStack
from functools import partial

from sqlalchemy import select

from node.outbox import Job
from tests.bench import limits
from tests.bench.figures import Bench, Figure, measured, percentile
from tests.bench.loopback import Load, listening, pace, pin, replay
from tests.bench.senders import UNKNOWN, Documents, Sender, deliveries, senders
from tests.rig.fedify import fedify_bench
from tests.rig.keys import rsa_key
from tests.rig.processes import Served, served
from tests.rig.publications import behind
from tests.rig.servers import Servers

ROUNDS = 3
# More than there are senders: each of them would have one of its own.
CONNECTIONS = 64
OURS, PEERS = 6000, 1000
EMBEDDED, REFUSED = 2000, 3000
# In five seconds: what nobody knows, as much as the goal wants, and what comes beside it.
STRANGE, OTHERS = 4000, 500
DRAIN_SECONDS = 120


async def run(bench: Bench) -> list[Figure]:
    documents = Documents()
    with ExitStack() as stack:
        servers = Servers.prepare()
        stack.callback(servers.stop)
        door = stack.enter_context(served(bench.directory / "door", redis_url=servers.redis()))
        large = stack.enter_context(
            served(bench.directory / "large", redis_url=servers.redis(1), database_url=servers.postgresql())
        )
        whole = stack.enter_context(served(bench.directory / "whole"))
        peer = stack.enter_context(fedify_bench(bench.directory / "fedify.log"))
        async with listening(documents) as port:
            found = senders(port)
            documents.add(found)
            peer_port = int(peer.origin.rpartition(":")[2])
            ports = {one.origin: one.port for one in (door, large, whole)} | {peer.origin: peer_port}
            bench.say("each sender is met once, so that all know every key")
            for origin, at in ports.items():
                first = deliveries(found, f"{origin}/inbox", len(found), batch="first")
                await _answered(at, first, 202, connections=4)
            for process in (door.process, large.process, whole.process):
                assert process is not None
                pin(process.pid)
            pin(peer.process)

            rates: dict[str, list[float]] = {origin: [] for origin in ports}
            processed: list[float] = []
            duplicates: list[float] = []
            spoilt: list[float] = []
            amounts = {door.origin: OURS, large.origin: OURS, whole.origin: EMBEDDED, peer.origin: PEERS}
            for number in range(ROUNDS):
                bench.say(f"round {number + 1} of {ROUNDS}")
                for origin, at in ports.items():
                    requests = deliveries(
                        found, f"{origin}/inbox", bench.amount(amounts[origin]), batch=f"round-{number}"
                    )
                    started = time.perf_counter()
                    rates[origin].append((await _answered(at, requests, 202)).rate)
                    if origin == whole.origin:
                        await _drained(whole)
                        processed.append(len(requests) / (time.perf_counter() - started))
                    if origin == door.origin:
                        again = requests[: bench.amount(REFUSED)]
                        duplicates.append((await _answered(at, again, 202)).rate)
                        spoilt.append((await _spoilt(bench, found, door, number)).rate)

            half = statistics.median(rates[door.origin]) / 2
            bench.say(f"half load: {half:.0f} a second")
            steady = deliveries(
                found, f"{door.origin}/inbox", min(bench.amount(OURS), int(half * 5)), batch="half"
            )
            calm = await pace(door.port, steady, per_second=half)
            bench.say("in contexts that nobody here knows, alone and beside others")
            strange = partial(deliveries, found, f"{door.origin}/inbox", context=UNKNOWN)
            unknown = await _answered(door.port, strange(bench.amount(EMBEDDED), batch="unknown"), 202)
            others = deliveries(found, f"{door.origin}/inbox", bench.amount(OTHERS), batch="others")
            _, beside_them = await asyncio.gather(
                pace(door.port, strange(bench.amount(STRANGE), batch="strange"), per_second=STRANGE / 5),
                pace(door.port, others, per_second=OTHERS / 5),
            )

    beside = "Fedify 2.3.6, inline, in-memory store"
    body = requests[0].partition(b"\r\n\r\n")[2]
    hashed = limits.digest(body)
    known = hashed + limits.verification(rsa_key("a"), body)
    read = known + limits.parsing(body)
    kept = read + limits.row(body, bench.directory)
    return [
        measured(
            "inbox",
            "deliveries/s",
            rates[door.origin],
            rates[peer.origin],
            peer=beside,
            limit=1 / kept,
            goal=12,
            goal_for="ratio",
            note="The accepting process: acknowledged after the commit of the delivery and its job, on SQLite with "
            "synchronous=FULL. Fedify parses JSON-LD into objects and keeps nothing durable. The limit is one RSA "
            "verification, one SHA-256, one JSON parse and one row committed in batches of 50.",
        ),
        measured(
            "inbox-postgresql",
            "deliveries/s",
            rates[large.origin],
            rates[peer.origin],
            peer=beside,
            limit=1 / read,
            goal=18,
            goal_for="ratio",
            note="The accepting process on PostgreSQL, which here does not wait for the disk and runs on the other processor: the limit "
            "is without a row.",
        ),
        measured(
            "inbox-embedded",
            "deliveries/s",
            rates[whole.origin],
            rates[peer.origin],
            peer=beside,
            limit=1 / kept,
            note="The same with the worker inside the process, busy meanwhile with what has come.",
        ),
        measured(
            "inbox-processed",
            "deliveries/s",
            processed,
            rates[peer.origin],
            peer=beside,
            limit=1 / (kept + limits.parsing(body)),
            note="With the worker inside, until the last job was done. The limit is that of the inbox and one parse more.",
        ),
        measured(
            "inbox-duplicates",
            "deliveries/s",
            duplicates,
            limit=1 / known,
            goal=8000,
            note="What was kept before. The limit is one RSA verification and one SHA-256.",
        ),
        measured(
            "inbox-spoilt",
            "deliveries/s",
            spoilt,
            limit=1 / hashed,
            goal=10000,
            note="Body changed after signing. The limit is one SHA-256.",
        ),
        Figure(
            "inbox-p99",
            percentile(calm.latencies, 0.99) * 1000,
            "ms",
            goal=50,
            more_is_better=False,
            note=f"At half load, {half:.0f} deliveries a second.",
        ),
        Figure(
            "inbox-unknown-context",
            unknown.rate,
            "deliveries/s",
            limit=1 / kept,
            goal=800,
            note="In a context that nobody here knows: kept at the door like any other, and read as plain JSON behind it.",
        ),
        Figure(
            "inbox-beside-unknown-contexts",
            percentile(beside_them.latencies, 0.99) * 1000,
            "ms",
            goal=20,
            more_is_better=False,
            note=f"p99 of {OTHERS / 5:.0f} others a second beside {STRANGE / 5:.0f} such a second.",
        ),
    ]


async def _spoilt(bench: Bench, found: list[Sender], door: Served, number: int) -> Load:
    requests = deliveries(
        found, f"{door.origin}/inbox", bench.amount(REFUSED), batch=f"spoilt-{number}", spoilt=True
    )
    return await _answered(door.port, requests, 401)


async def _answered(port: int, requests: list[bytes], status: int, *, connections: int = CONNECTIONS) -> Load:
    load = await replay(port, requests, connections=connections)
    if set(load.statuses) != {status}:
        raise RuntimeError(f"expected {status} for every request, got {dict(load.statuses)}")
    return load


async def _drained(node: Served) -> None:
    async with behind(node) as opened:
        end = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end:
            async with opened.database.read() as session:
                if await session.scalar(select(Job.seq).where(Job.kind == "process").limit(1)) is None:
                    return
            await asyncio.sleep(0.05)
    raise RuntimeError("the jobs of the inbox did not come to an end")
