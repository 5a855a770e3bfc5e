"""Signed deliveries: how many a second are verified and stored before they are acknowledged, beside Fedify.

Both servers run on one processor, the generator on another; 50 senders whose keys both know; draft-cavage RSA; in turns.
The node runs as it is served, with its worker inside, and commits each delivery before its 202. Fedify verifies and
parses, and stores nothing durable.
"""

import hashlib
import json
import sqlite3
import time
from pathlib import Path

from federation.keys import read_pem
from tests.bench.figures import Bench, Figure, measured, percentile
from tests.bench.loopback import Load, listening, pace, pin, replay
from tests.bench.senders import Documents, deliveries, senders
from tests.rig.fedify import fedify_bench
from tests.rig.keys import rsa_key
from tests.rig.processes import served
from tests.rig.publications import behind

ROUNDS = 3
OURS, PEERS = 6000, 1000
REFUSED = 3000
DRAIN_SECONDS = 120


async def run(bench: Bench) -> list[Figure]:
    documents = Documents()
    ours, theirs, drained, refused, repeated = [], [], [], [], []
    with served(bench.directory / "inbox") as node, fedify_bench(bench.directory / "fedify.log") as peer:
        async with listening(documents) as port:
            found = senders(port)
            documents.add(found)
            assert node.process is not None
            node_inbox, peer_inbox = f"{node.origin}/inbox", f"{peer.origin}/inbox"
            peer_port = int(peer.origin.rpartition(":")[2])

            bench.say("each sender is met once, so that both know every key")
            for target, inbox in ((node.port, node_inbox), (peer_port, peer_inbox)):
                await _accepted(target, deliveries(found, inbox, len(found), batch="first"), connections=4)
            pin(node.process.pid)
            pin(peer.process)

            for number in range(ROUNDS):
                bench.say(f"round {number + 1} of {ROUNDS}: signing what will be sent")
                batch = f"round-{number}"
                to_node = deliveries(found, node_inbox, bench.amount(OURS), batch=batch)
                to_peer = deliveries(found, peer_inbox, bench.amount(PEERS), batch=batch)
                bench.say(
                    f"round {number + 1} of {ROUNDS}: {len(to_node)} to the node, {len(to_peer)} to Fedify"
                )
                started = time.perf_counter()
                ours.append((await _accepted(node.port, to_node)).rate)
                await _drained(node)
                drained.append(len(to_node) / (time.perf_counter() - started))
                theirs.append((await _accepted(peer_port, to_peer)).rate)
                repeated.append((await _accepted(node.port, to_node[: bench.amount(REFUSED)])).rate)
                spoilt = deliveries(found, node_inbox, bench.amount(REFUSED), batch=batch, spoilt=True)
                refused.append((await _answered(node.port, spoilt, 401)).rate)

            half = sorted(ours)[len(ours) // 2] / 2
            bench.say(f"half load: {half:.0f} a second")
            steady = deliveries(found, node_inbox, min(bench.amount(OURS), int(half * 5)), batch="half")
            calm = await pace(node.port, steady, per_second=half)

    limit = 1 / _least_seconds(to_node[0], bench.directory)
    return [
        measured(
            "inbox",
            "deliveries/s",
            ours,
            theirs,
            peer="Fedify 2.3.6, inline, in-memory store",
            limit=limit,
            goal=12,
            goal_for="ratio",
            note="Acknowledged after the commit on SQLite with synchronous=FULL, with the worker of the node processing what "
            "came on the same processor. Fedify parses JSON-LD into objects and keeps nothing durable. The limit is one RSA "
            "verification, one SHA-256, one JSON parse and one committed row in batches of 50.",
        ),
        measured(
            "inbox-processed", "deliveries/s", drained, note="Until the last job that followed was done."
        ),
        measured("inbox-duplicates", "deliveries/s", repeated, goal=8000),
        measured(
            "inbox-spoilt",
            "deliveries/s",
            refused,
            goal=10000,
            note="Body changed after signing: refused by its digest.",
        ),
        Figure(
            "inbox-p99",
            percentile(calm.latencies, 0.99) * 1000,
            "ms",
            goal=50,
            more_is_better=False,
            note=f"At half load, {half:.0f} deliveries a second.",
        ),
    ]


async def _accepted(port: int, requests: list[bytes], *, connections: int = 32) -> Load:
    return await _answered(port, requests, 202, connections=connections)


async def _answered(port: int, requests: list[bytes], status: int, *, connections: int = 32) -> Load:
    load = await replay(port, requests, connections=connections)
    if set(load.statuses) != {status}:
        raise RuntimeError(f"expected {status} for every request, got {dict(load.statuses)}")
    return load


async def _drained(node: object) -> None:
    from node.outbox import pending
    from tests.rig.processes import Served

    assert isinstance(node, Served)
    async with behind(node) as opened:
        end = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end:
            async with opened.database.read() as session:
                if await pending(session) == 0:
                    return
            time.sleep(0.05)
    raise RuntimeError("the jobs of the inbox did not come to an end")


def _least_seconds(request: bytes, directory: Path) -> float:
    """What one delivery costs at the very least on this machine: cryptography, parsing, a row; no HTTP, no checks."""
    body = request.partition(b"\r\n\r\n")[2]
    key = rsa_key("a")
    signature = key.signer("limit").sign(body)
    public = read_pem(key.public.pem)
    database = sqlite3.connect(directory / "limit.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE kept (digest BLOB PRIMARY KEY, body BLOB) WITHOUT ROWID")
    count = 2000
    started = time.perf_counter()
    for number in range(count):
        if number % 50 == 0:
            database.execute("BEGIN IMMEDIATE")
        public.verify(signature, body)
        hashlib.sha256(body).digest()
        json.loads(body)
        database.execute("INSERT INTO kept VALUES (?, ?)", (hashlib.sha256(b"%d" % number).digest(), body))
        if number % 50 == 49:
            database.execute("COMMIT")
    seconds = (time.perf_counter() - started) / count
    database.close()
    return seconds
