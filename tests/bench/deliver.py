"""Fan-out: how many signed deliveries a second leave, queued durably first, beside Fedify, which sends at once.

200 followers on 200 hosts, warm connections, a sink that answers 202 at once. The node's rate is counted at the sink from
the first delivery of a round to the last; the publications were committed with all their deliveries before.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from federation.requests import Dialect
from node.peers.actors import remember_actor
from node.peers.follows import Follow
from node.peers.habits import Habits, remember_habits
from node.peers.sending import Sent
from node.peers.synchronising import remember_told
from tests.bench import limits
from tests.bench.figures import Bench, Figure, measured
from tests.bench.loopback import (
    answer,
    certified,
    deaf,
    listening,
    memory_bytes,
    pin,
    processor_seconds,
)
from tests.rig.fedify import fedify_bench
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.processes import Served
from tests.rig.publications import a_case, behind, publish_case
from vocab.actors import Actor, PublicKey

HOSTS, DEAD = 200, 20
ACTIVITIES = 10
ROUNDS = 3
ROUND_SECONDS = 120
FEW, MANY = 1_000, 100_000
WATCHED_SECONDS = 10


@dataclass
class Sink:
    """Counts what arrives, and when the first and the last did."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0

    def __call__(self, url: bytes, host: bytes) -> bytes:
        self.last = time.perf_counter()
        if self.count == 0:
            self.first = self.last
        self.count += 1
        return ACCEPTED

    def reset(self) -> None:
        self.count = 0

    @property
    def rate(self) -> float:
        return (self.count - 1) / (self.last - self.first)


ACCEPTED = answer(202)


async def run(bench: Bench) -> list[Figure]:
    return [*await _beside_fedify(bench), *await _one_in_ten_dead(bench), await _queued(bench)]


async def _beside_fedify(bench: Bench) -> list[Figure]:
    """Draft-cavage RSA over plain HTTP, as Fedify does it in turns; and Ed25519 over TLS."""
    sink, sealed = Sink(), Sink()
    ours, theirs, fast, seconds_each = [], [], [], []
    addresses = [f"127.0.2.{n + 1}" for n in range(HOSTS)]
    tls, trusted = certified(bench.directory, addresses)
    activities = bench.amount(ACTIVITIES)
    expected = HOSTS * activities
    with fedify_bench(bench.directory / "fedify.log") as peer:
        async with (
            listening(sink) as port,
            listening(sealed, tls=tls) as tls_port,
            _node(bench, "rsa", [f"http://{one}:{port}" for one in addresses]) as plain,
            _node(
                bench,
                "ed25519",
                [f"https://{one}:{tls_port}" for one in addresses],
                dialect=Dialect.RFC9421_ED25519,
                trusted=str(trusted),
            ) as quick,
        ):
            pin(peer.process)
            inboxes = [(f"http://{one}:{port}/f", f"http://{one}:{port}/f/inbox") for one in addresses]
            for number in range(ROUNDS + 1):
                # Round 0 warms: connections are opened, dialects learnt.
                bench.say(f"round {number} of {ROUNDS}: {expected} deliveries from each")
                rate, used = await _round(plain, sink, activities, expected)
                fast_rate, _ = await _round(quick, sealed, activities, expected)
                sink.reset()
                await asyncio.to_thread(peer.fanout, inboxes, activities)
                await _arrived(sink, expected, plain)
                if number:
                    ours.append(rate)
                    seconds_each.append(used / expected)
                    fast.append(fast_rate)
                    theirs.append(sink.rate)
    beside, signing = "Fedify 2.3.6, without a queue", limits.signature(rsa_key("a"))
    return [
        measured(
            "deliver",
            "deliveries/s",
            ours,
            theirs,
            peer=beside,
            limit=1 / signing,
            goal=6.5,
            goal_for="ratio",
            note=f"{HOSTS} hosts, {activities} activities a round, draft-cavage RSA, every delivery a durable row before it is "
            "sent and gone after. Fedify keeps no queue here. The limit is one RSA-2048 signature.",
        ),
        measured(
            "deliver-ed25519-tls",
            "deliveries/s",
            fast,
            theirs,
            peer=f"{beside}, with RSA and no TLS",
            limit=1 / limits.signature(ed25519_key("a")),
            goal=25,
            goal_for="ratio",
            note="The same to hosts that understood RFC 9421 with Ed25519, over TLS. The limit is one Ed25519 signature.",
        ),
        measured(
            "deliver-processor",
            "ms/delivery",
            [1000 * one for one in seconds_each],
            more_is_better=False,
            limit=1000 * signing,
            goal=0.32,
            note="Processor time of the node for a delivery with RSA, from claim to done: 5,000 hosts in 1.6 s. The limit is the signature.",
        ),
    ]


async def _one_in_ten_dead(bench: Bench) -> list[Figure]:
    """The rate to living hosts while one in ten lets connect and never answers, beside the rate when all live."""
    sink, other = Sink(), Sink()
    alive: list[float] = []
    among_dead: list[float] = []
    activities = bench.amount(3 * ACTIVITIES)
    living = [f"127.0.2.{n + 1}" for n in range(HOSTS - DEAD)]
    expected = len(living) * activities
    with deaf() as silent:
        async with listening(sink) as port, listening(other) as other_port:
            dead = [f"http://127.0.3.{n + 1}:{silent}" for n in range(DEAD)]
            async with (
                _node(bench, "alive", [f"http://{one}:{port}" for one in living]) as calm,
                _node(bench, "dead", [f"http://{one}:{other_port}" for one in living] + dead) as troubled,
            ):
                turns = [(calm, sink, alive), (troubled, other, among_dead)]
                for number in range(ROUNDS + 1):
                    bench.say(f"one in ten dead, round {number} of {ROUNDS}")
                    # Each is first in every second round: who comes after the other finds the machine as that one left it.
                    for node, counted, rates in turns[:: 1 if number % 2 else -1]:
                        rate, _ = await _round(node, counted, activities, expected)
                        if number:
                            rates.append(rate)
    return [
        measured(
            "deliver-one-in-ten-dead",
            "deliveries/s",
            among_dead,
            alive,
            peer="this, with all alive",
            goal=0.95,
            goal_for="ratio",
            note=f"To {len(living)} living hosts, while {DEAD} more let connect and never answer.",
        )
    ]


async def _queued(bench: Bench) -> Figure:
    """How much more a node holds in memory while it delivers with many deliveries waiting than with few."""
    sink = Sink()
    most: dict[int, int] = {}
    async with listening(sink) as port:
        for queued in (FEW, bench.amount(MANY)):
            bench.say(f"{queued} deliveries wait")
            inboxes = [f"http://127.0.2.{n + 1}:{port}" for n in range(HOSTS)]
            async with _node(bench, f"queued-{queued}", inboxes) as node:
                assert node.process is not None
                sink.reset()
                found, published = [], 0
                end = time.monotonic() + WATCHED_SECONDS
                while time.monotonic() < end:
                    if sink.count >= published:
                        # Delivered: as many again, so that both nodes work all the time they are watched.
                        await _publish(node, max(1, queued // HOSTS))
                        published += queued
                        end = max(end, time.monotonic() + WATCHED_SECONDS) if published == queued else end
                    await asyncio.sleep(0.05)
                    found.append(memory_bytes(node.process.pid))
                most[queued] = max(found)
    few, many = most.values()
    return Figure(
        "deliver-memory",
        many / few,
        "× the memory with few",
        goal=1.1,
        more_is_better=False,
        note=f"The most it held in {WATCHED_SECONDS} s of delivering: {few / 1e6:.0f} MB with at most {FEW:,} deliveries waiting, "
        f"{many / 1e6:.0f} MB with {bench.amount(MANY):,}.",
    )


@asynccontextmanager
async def _node(
    bench: Bench,
    name: str,
    origins: Sequence[str],
    *,
    dialect: Dialect | None = None,
    trusted: str | None = None,
) -> AsyncIterator[Served]:
    """A node that is followed from these origins. trusted: a file of certificates."""
    node = Served(bench.directory / name)
    if trusted:
        node.environment["SSL_CERT_FILE"] = trusted
    node.init()
    try:
        async with behind(node) as opened, opened.database.begin() as session:
            now = opened.clock.now()
            for origin in origins:
                actor = f"{origin}/f"
                await _add_follower(session, opened.settings.main_actor, actor, f"{actor}/inbox", now)
                if dialect is not None:
                    await remember_habits(session, [Habits(origin.partition("://")[2], dialect, None)])
                    await remember_told(session, [(opened.settings.main_actor, f"{actor}/inbox")], now=now)
        node.start()
        assert node.process is not None
        pin(node.process.pid)
        yield node
    finally:
        node.stop()


async def _round(node: Served, sink: Sink, activities: int, expected: int) -> tuple[float, float]:
    """Deliveries a second, and the seconds of processor time they took."""
    assert node.process is not None
    sink.reset()
    used = processor_seconds(node.process.pid)
    await _publish(node, activities)
    await _arrived(sink, expected, node)
    return sink.rate, processor_seconds(node.process.pid) - used


async def _publish(node: Served, activities: int) -> None:
    """Publish with the process that serves held still, so that every round begins with all its deliveries queued."""
    async with behind(node) as opened:
        for number in range(activities):
            await publish_case(opened, a_case(number))
        async with opened.database.read() as session:
            assert await session.scalar(select(func.count()).select_from(Sent))


async def _arrived(sink: Sink, expected: int, node: Served) -> None:
    end = time.monotonic() + ROUND_SECONDS
    while sink.count < expected:
        if time.monotonic() > end:
            raise RuntimeError(
                f"{sink.count} of {expected} deliveries arrived in {ROUND_SECONDS} s; the node said: {node.said()[-1000:]}"
            )
        await asyncio.sleep(0.05)
    # What would come twice comes soon.
    await asyncio.sleep(0.5)
    if sink.count > expected:
        raise RuntimeError(f"{sink.count} deliveries arrived, {expected} were due")


async def _add_follower(session: AsyncSession, us: str, actor: str, inbox: str, now: datetime) -> None:
    key = PublicKey(id=f"{actor}#main-key", owner=actor, algorithm="rsa", spki_pem=rsa_key("peer").public.pem)
    them = Actor(id=actor, type="Person", preferred_username="f", inbox=inbox, keys=(key,))
    await remember_actor(session, them, now=now)
    session.add(
        Follow(
            activity_id=f"{actor}#follow",
            follower=actor,
            followed=us,
            state="accepted",
            activity={"id": f"{actor}#follow", "type": "Follow", "actor": actor, "object": us},
            changed_at=now,
        )
    )
