"""The town of a history: servers whose wires and workers fail as they do in the world, and beside it what its people know.

The model holds what people decided and said (`cases`, `follows`, `reactions`), and of each server what it cannot know: whoever shut
the other out, or was away for so long that it was given up, is owed nothing until it follows anew.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
from sqlalchemy import select

from node import outbox, roles, worker
from node.inbox.keeping import FORGET
from node.keyring import Keyring
from node.outbox import Job
from node.peers import network, witness
from node.peers.hosts import Standing, blocked, standings
from node.publishing.publications import Publication
from node.runtime import Node
from tests.rig.clock import FrozenClock
from tests.rig.databases import SQLITE, ready_database
from tests.rig.servers import Servers
from tests.rig.stranger import Stranger
from tests.rig.town import Town

NODES = ("a", "b")
SITES = ("hub", "a", "b")
SAM = "sam"
# What is due one day after the other, for ever.
DAILY = frozenset(
    {
        "look-again",
        "forget-strangers",
        "forget-answers",
        "reread-replies",
        "forget-duties",
        "refresh-blocklist",
    }
    | {FORGET, witness.KIND, network.KIND}
)
# A server that was away for longer was given up by others.
GIVEN_UP = timedelta(days=34)
MOST_ROUNDS = 80


class Gate(httpx.AsyncBaseTransport):
    """The way into one server: each POST that comes meets what fate has in store, in its order, and goes through afterwards."""

    def __init__(self, app: httpx.AsyncBaseTransport, fates: list[str]) -> None:
        self._app, self._fates = app, fates

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fate = self._fates.pop(0) if request.method == "POST" and self._fates else ""
        if fate == "refused":
            return httpx.Response(503)
        if fate == "cut":
            raise httpx.ConnectError("cut", request=request)
        if fate == "twice":
            await self.let_in(request)
        answer = await self.let_in(request)
        if fate == "unanswered":
            raise httpx.ReadTimeout("the answer is lost", request=request)
        return answer

    async def let_in(self, request: httpx.Request) -> httpx.Response:
        """Whatever fate has in store."""
        answer = await self._app.handle_async_request(request)
        await answer.aread()
        return answer


@dataclass
class Case:
    """What its publisher knows of a case. Each version has a word that stands nowhere else."""

    home: str
    publication: Publication
    words: list[str]
    times: list[datetime]
    withdrawn_at: datetime | None = None

    @property
    def url(self) -> str:
        return self.publication.url

    @property
    def is_live(self) -> bool:
        return self.withdrawn_at is None


@dataclass
class Pair:
    """One who follows, or not, and who is followed: what was asked last, and whether both ends can know of it.

    is_cut      something between the two was refused by decision, or given up: the two ends may differ until it is asked anew.
    heard_until when the follower last listened; what came to be later is not for it.
    """

    is_wanted: bool = False
    is_cut: bool = False
    heard_until: datetime | None = None


@dataclass
class World:
    """The town and the model of it."""

    town: Town
    clock: FrozenClock
    sam: Stranger
    cases: list[Case] = field(default_factory=list)
    pairs: defaultdict[tuple[str, str], Pair] = field(default_factory=lambda: defaultdict(Pair))
    # (kind, url) → whether Sam's stands at the case's home; None when a decision came in between.
    reactions: dict[tuple[str, str], bool | None] = field(default_factory=dict)
    unsettled: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    # A reply of Sam's → the case.
    notes: dict[str, str] = field(default_factory=dict)
    # A case that Sam's server fetched, and how much it had received before.
    fetched: list[tuple[str, int]] = field(default_factory=list)
    # A server and the address of a case of which it is owed nothing more.
    excused: set[tuple[str, str]] = field(default_factory=set)
    fates: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    down_since: dict[str, datetime] = field(default_factory=dict)
    # A server → those that it has shut out.
    shut: dict[str, frozenset[str]] = field(default_factory=lambda: dict.fromkeys(SITES, frozenset()))
    gates: dict[str, Gate] = field(default_factory=dict)
    keyrings: dict[str, Keyring] = field(default_factory=dict)
    numbers: int = 0
    carried: int = 0

    # ---- what there is ----------------------------------------------------------------------------------------------

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def up(self, name: str) -> Node | None:
        """The node of a server, while it runs."""
        return self.town[name].running

    def actor(self, name: str) -> str:
        return self.sam.id if name == SAM else self.town[name].settings.main_actor

    def host(self, name: str) -> str:
        return self.sam.host if name == SAM else self.town[name].settings.authority

    def is_shut(self, one: str, other: str) -> bool:
        """Whether either has shut the other out."""
        return other in self.shut.get(one, ()) or one in self.shut.get(other, ())

    def case(self, pick: int, *, live: bool = True, home: str | None = None) -> Case | None:
        found = [one for one in self.cases if one.is_live >= live and home in (None, one.home)]
        return found[pick % len(found)] if found else None

    # ---- servers ----------------------------------------------------------------------------------------------------

    async def start(self, name: str) -> None:
        if self.up(name) is not None:
            return
        await self.town.start(name, keyring=self.keyrings.get(name))
        self.plug_in(name)
        node = self.town[name].node
        async with node.database.begin() as session:
            # As a worker that starts and is the only one.
            await outbox.release(session)
        await roles.begin(node)
        since = self.down_since.pop(name, None)
        if since is not None and self.clock.now() - since >= GIVEN_UP:
            await self.give_up(name)

    def plug_in(self, name: str) -> None:
        host = self.host(name)
        gate = Gate(self.town.wires.apps[host], self.fates[name])
        self.town.wires.apps[host] = self.gates[name] = gate

    async def stop(self, name: str) -> None:
        if self.up(name) is not None:
            await self.town.stop(name)
            self.down_since[name] = self.clock.now()

    async def killed(self, name: str) -> None:
        """The worker does what is due, and is killed before anything of that is recorded; the server starts again."""
        node = self.up(name)
        if node is None:
            return
        jobs = roles.role_of(node.settings).jobs
        lanes = await worker._claim(node, worker.LANES, jobs, looks_first=True)
        await asyncio.gather(*(worker._work(node, lane, jobs) for lane in lanes))
        await self.town.stop(name)
        await self.start(name)

    async def give_up(self, name: str) -> None:
        """What waited for that server may wait no more."""
        for other in (*SITES, SAM):
            self.cut(name, other)
        for case in self.cases:
            if case.home != name:
                self.excused.add((name, case.url))

    def cut(self, one: str, other: str) -> None:
        for pair in ((one, other), (other, one)):
            self.pairs[pair].is_cut = True

    # ---- what was done ----------------------------------------------------------------------------------------------

    def asked(self, follower: str, followed: str) -> None:
        """A new Follow: what was held up before is made good by it, if it can arrive."""
        pair = self.pairs[follower, followed]
        pair.is_wanted = True
        if not self.is_shut(follower, followed):
            pair.is_cut = False
            if followed != SAM and self.up(followed) is not None:
                self.excused -= {(follower, case.url) for case in self.cases if case.home == followed}

    def decided(self, by: str, about: str) -> None:
        """What was on its way when it was decided may count or not."""
        if about == SAM:
            self.reactions |= dict.fromkeys(self.unsettled[by])

    def said(self, kind: str, what: object) -> dict[str, Any]:
        """An activity of Sam's."""
        return self.sam.activity(kind, what, number=self.number())

    async def sam_posts(self, to: str, said: dict[str, Any] | bytes) -> bool:
        """Whether that server took it."""
        if self.up(to) is None:
            return False
        self.fates[to].clear()
        return (await self.sam.post(to, said)).status_code == 202

    async def reacted(self, home: str, what: tuple[str, str], on: bool) -> None:
        """Sam said that, or took it back, and it was taken at the home of the case."""
        node = self.town[home].node
        async with node.database.read() as session:
            found = (await standings(session, node.settings, [self.sam.host]))[self.sam.host]
        if found is Standing.OPEN or not on:
            self.reactions[what] = on
            self.unsettled[home].append(what)

    # ---- time -------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        await self.town.settle()
        self.unsettled.clear()

    async def run_errands(self) -> None:
        """Whatever runs beside the answers ends, but for who waits for time to pass."""
        for name in SITES:
            node = self.up(name)
            while node is not None and len(node.errands) > self.clock.sleeping:
                await asyncio.wait(set(node.errands), timeout=0.01)

    async def passes(self, seconds: int) -> None:
        """Time passes, a day at a time at most; what is due is done."""
        left = timedelta(seconds=seconds)
        while True:
            step = min(left, timedelta(days=1))
            self.clock.forward(seconds=step.total_seconds())
            await self.settle()
            left -= step
            if left <= timedelta(0):
                return

    async def waiting(self) -> list[str]:
        """What has still to be done, besides what is done every day."""
        found = []
        for name in SITES:
            node = self.up(name)
            if node is not None:
                async with node.database.read() as session:
                    jobs = await session.scalars(
                        select(Job).where(Job.dead_at.is_(None), Job.kind.not_in(DAILY))
                    )
                    found += [f"{name}: {job.kind} {job.lane} {job.last_reason}" for job in jobs]
        return found

    async def mend(self) -> None:
        """All that was cut is mended, and time passes until nothing waits."""
        for fates in self.fates.values():
            fates.clear()
        for name in SITES:
            await self.start(name)
        self.plug_sam_in()
        await self.note()
        for rounds in range(MOST_ROUNDS):
            await self.passes(3600 if rounds < 6 else 86_400)
            if rounds >= 2 and not await self.waiting():
                return
        raise AssertionError(f"(6) still waiting: {await self.waiting()}")

    def plug_sam_in(self) -> None:
        self.town.wires.apps[self.sam.host] = httpx.MockTransport(self.sam._serve)

    # ---- what a step leaves ------------------------------------------------------------------------------------------

    async def note(self) -> None:
        """Look who shuts whom out now, hold what was sent against it, and excuse whoever could not be told."""
        await self.run_errands()
        now = self.clock.now()
        before, self.shut = self.shut, dict(self.shut)
        for name in SITES:
            node = self.up(name)
            if node is None:
                continue
            hosts = {self.host(other): other for other in (*SITES, SAM) if other != name}
            async with node.database.read() as session:
                self.shut[name] = frozenset(hosts[host] for host in await blocked(session, list(hosts)))
        self._nothing_was_sent(before)
        for one in SITES:
            for other in (*SITES, SAM):
                if one != other and self.is_shut(one, other):
                    self.cut(one, other)
                    await self._excuse(one, other)
        await self._excuse_unread()
        for (follower, followed), pair in self.pairs.items():
            if pair.is_wanted and followed not in self.shut.get(follower, ()):
                pair.heard_until = now

    async def _excuse(self, one: str, other: str) -> None:
        """What one of the two has not heard of the other's cases by now it need never hear."""
        for reader, home in ((one, other), (other, one)):
            if reader == SAM or home == SAM:
                continue
            for case in self.cases:
                if case.home == home:
                    self.excused.add((reader, case.url))

    async def _excuse_unread(self) -> None:
        """Whoever was to read the outbox of one that cannot be reached tries for two hours."""
        for reader in SITES:
            if (node := self.up(reader)) is None:
                continue
            async with node.database.read() as session:
                jobs = list(await session.scalars(select(Job).where(Job.kind == "backfill")))
            for home in SITES:
                if self.up(home) is None and any(job.payload["actor"] == self.actor(home) for job in jobs):
                    self.excused |= {(reader, case.url) for case in self.cases if case.home == home}

    def _nothing_was_sent(self, before: dict[str, frozenset[str]]) -> None:
        """(4) Nobody asked or told a server anything whom it had shut out before and has since."""
        carried = self.town.wires.carried[self.carried :]
        self.carried = len(self.town.wires.carried)
        names = {self.host(name): name for name in (*SITES, SAM)}
        for request in carried:
            by, to = names.get(_signer(request)), names.get(request.url.netloc.decode())
            if by in SITES and to is not None and to in before[by] & self.shut[by]:
                raise AssertionError(f"(4) {by} had shut {to} out, and sent {request.method} {request.url}")


def _signer(request: httpx.Request) -> str:
    """The host of the key that signed a request; none where nobody did."""
    said = request.headers.get("signature", "") + request.headers.get("signature-input", "")
    for mark in ('keyId="https://', 'keyid="https://'):
        _, found, rest = said.partition(mark)
        if found:
            return str(rest.partition("/")[0])
    return ""


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[World]:
    """A hub, two nodes and a server of somebody else, who do not know each other yet."""
    clock = FrozenClock()

    def fresh(place: Path) -> Any:
        return ready_database(SQLITE, place, cast(Servers, None))

    async with Town(directory, clock, fresh) as town:
        world = World(town, clock, Stranger(town, "sam.example", SAM))
        for name in SITES:
            await town.open(name)
            world.plug_in(name)
            await roles.begin(town[name].node)
        yield world
