"""Fan-out: how many signed deliveries a second leave, queued durably first, beside Fedify, which sends at once.

200 followers on 200 hosts, warm connections, a sink that answers 202 at once. The node's rate is counted at the sink from
the first delivery of a round to the last; the publications were committed with all their deliveries before.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from node.peers.actors import remember_actor
from node.peers.follows import Follow
from node.peers.sending import Sent
from tests.bench.figures import Bench, Figure, measured
from tests.bench.loopback import answer, listening, pin, processor_seconds
from tests.rig.fedify import fedify_bench
from tests.rig.keys import rsa_key
from tests.rig.processes import Served, served
from tests.rig.publications import a_case, behind, publish_case
from vocab.actors import Actor, PublicKey

HOSTS = 200
ACTIVITIES = 10
ROUNDS = 3
ROUND_SECONDS = 120


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
    sink = Sink()
    ours, theirs, seconds_each = [], [], []
    with served(bench.directory / "deliver") as node, fedify_bench(bench.directory / "fedify.log") as peer:
        async with listening(sink) as port:
            inboxes = [
                (f"http://127.0.2.{n + 1}:{port}/f", f"http://127.0.2.{n + 1}:{port}/f/inbox")
                for n in range(HOSTS)
            ]
            await _add_followers(node, inboxes)
            assert node.process is not None
            pin(node.process.pid)
            pin(peer.process)
            activities = bench.amount(ACTIVITIES)
            expected = HOSTS * activities
            for number in range(ROUNDS + 1):
                # Round 0 warms: connections are opened, dialects learnt.
                bench.say(f"round {number} of {ROUNDS}: {expected} deliveries from each")
                sink.reset()
                used = processor_seconds(node.process.pid)
                await _publish(node, activities)
                await _arrived(sink, expected, node)
                rate, used = sink.rate, processor_seconds(node.process.pid) - used
                sink.reset()
                await asyncio.to_thread(peer.fanout, inboxes, activities)
                await _arrived(sink, expected, node)
                if number:
                    ours.append(rate)
                    seconds_each.append(used / expected)
                    theirs.append(sink.rate)

    return [
        measured(
            "deliver",
            "deliveries/s",
            ours,
            theirs,
            peer="Fedify 2.3.6, without a queue",
            limit=1 / _least_seconds(),
            goal=6.5,
            goal_for="ratio",
            note=f"{HOSTS} hosts, {activities} activities a round, draft-cavage RSA, every delivery a durable row before it is "
            "sent and gone after. Fedify keeps no queue here. The limit is one RSA-2048 signature.",
        ),
        measured(
            "deliver-processor",
            "ms/delivery",
            [1000 * one for one in seconds_each],
            more_is_better=False,
            goal=0.32,
            note="Processor time of the node for a delivery, from claim to done: 5,000 hosts in 1.6 s.",
        ),
    ]


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


async def _add_followers(node: Served, inboxes: list[tuple[str, str]]) -> None:
    async with behind(node) as opened, opened.database.begin() as session:
        now = opened.clock.now()
        for actor, inbox in inboxes:
            await _add_follower(session, opened.settings.main_actor, actor, inbox, now)


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


def _least_seconds() -> float:
    signer = rsa_key("a").signer("limit")
    count = 500
    started = time.perf_counter()
    for number in range(count):
        signer.sign(b"%d" % number)
    return (time.perf_counter() - started) / count
