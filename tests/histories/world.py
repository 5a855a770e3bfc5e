"""The town of a history: servers whose wires and workers fail as they do in the world, and beside it what its people know.

The model holds what people decided and said (`cases`, `follows`, `reactions`), and of each server what it cannot know: whoever shut
the other out, or was away for so long that it was given up, is owed nothing until it follows anew.
"""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
from sqlalchemy import select

from node import outbox, roles, worker
from node.backup.restoring import _listen_again
from node.entries.entries import SHOWN, Entry
from node.inbox.keeping import FORGET
from node.keyring import Keyring
from node.outbox import Job
from node.peers import network, witness
from node.peers.hosts import Standing, blocked, standings
from node.publishing.publications import Publication
from node.runtime import Node
from tests.rig.clock import NOON, FrozenClock
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
# As long as a Follow may wait for its answer.
AN_ANSWER = timedelta(days=40)


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
    def changed_at(self) -> datetime:
        return self.withdrawn_at or self.times[-1]

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
    asked_at: datetime = NOON
    is_cut: bool = False
    heard_until: datetime | None = None


@dataclass(frozen=True)
class Saved:
    """A backup, and whom the server wanted to follow then."""

    copy: Path
    at: datetime
    wanted: dict[tuple[str, str], bool]


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
    # A server and the address of a case of which it is owed nothing: while one shuts the other out, or until it follows anew.
    excused: set[tuple[str, str]] = field(default_factory=set)
    given_up: set[tuple[str, str]] = field(default_factory=set)
    # A server, and one whose outbox it could not read.
    unread: set[tuple[str, str]] = field(default_factory=set)
    fates: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    down_since: dict[str, datetime] = field(default_factory=dict)
    # A server → those that it has shut out.
    shut: dict[str, frozenset[str]] = field(default_factory=lambda: dict.fromkeys(SITES, frozenset()))
    saved: dict[str, Saved] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    keyrings: dict[str, Keyring] = field(default_factory=dict)
    has_moved: bool = False
    numbers: int = 0
    carried: int = 0

    # ---- what there is ----------------------------------------------------------------------------------------------

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def up(self, name: str) -> Node | None:
        """The node of a server of ours, while it runs."""
        return None if name == SAM else self.town[name].running

    @property
    def sam_is_up(self) -> bool:
        return self.sam.host in self.town.wires.apps

    def actor(self, name: str) -> str:
        return self.sam.id if name == SAM else self.town[name].settings.main_actor

    def host(self, name: str) -> str:
        return self.sam.host if name == SAM else self.town[name].settings.authority

    def is_shut(self, one: str, other: str) -> bool:
        """Whether either has shut the other out."""
        return other in self.shut.get(one, ()) or one in self.shut.get(other, ())

    def is_owed(self, name: str, case: Case) -> bool:
        """Whether that server is to hear of everything about a case that reaches it at all."""
        return (name, case.url) not in self.excused | self.given_up

    def case(self, pick: int, *, live: bool = True, home: str | None = None) -> Case | None:
        found = [one for one in self.cases if one.is_live >= live and home in (None, one.home)]
        return found[pick % len(found)] if found else None

    # ---- servers ----------------------------------------------------------------------------------------------------

    async def start(self, name: str) -> None:
        if name == SAM:
            if not self.sam_is_up:
                self.plug_sam_in()
                self._is_back(SAM)
            return
        if self.up(name) is not None:
            return
        await self.town.start(name, keyring=self.keyrings.get(name))
        self.plug_in(name)
        node = self.town[name].node
        async with node.database.begin() as session:
            # As a worker that starts and is the only one.
            await outbox.release(session)
        await roles.begin(node)
        self._is_back(name)

    def _is_back(self, name: str) -> None:
        since = self.down_since.pop(name, None)
        if since is not None and self.clock.now() - since >= GIVEN_UP:
            self.give_up(name)

    def plug_in(self, name: str) -> None:
        host = self.host(name)
        gate = Gate(self.town.wires.apps[host], self.fates[name])
        self.town.wires.apps[host] = self.gates[name] = gate

    async def stop(self, name: str) -> None:
        if name == SAM and self.sam_is_up:
            del self.town.wires.apps[self.sam.host]
            self.down_since[name] = self.clock.now()
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

    async def save(self, name: str) -> None:
        """Somebody makes a backup."""
        if self.up(name) is not None:
            copy = self.town._directory / f"{name}.{self.number()}"
            with closing(sqlite3.connect(self._file(name))) as of, closing(sqlite3.connect(copy)) as to:
                of.backup(to)
            wanted = {pair: known.is_wanted for pair, known in self.pairs.items() if pair[0] == name}
            self.saved[name] = Saved(copy, self.clock.now(), wanted)

    async def restore(self, name: str) -> None:
        """The server is lost, and comes back from its backup; its keys had been kept apart."""
        saved = self.saved.get(name)
        if saved is None or self.up(name) is None:
            return
        await self.town.stop(name)
        file = self._file(name)
        for end in ("", "-wal", "-shm"):
            file.with_name(file.name + end).unlink(missing_ok=True)
        file.write_bytes(saved.copy.read_bytes())
        await _listen_again(file, self.clock.now())
        await self.start(name)
        for pair, known in self.pairs.items():
            if name in pair and known.asked_at >= saved.at - AN_ANSWER:
                known.is_cut = True
            if name == pair[0]:
                known.is_wanted = saved.wanted.get(pair, False)
        # What it said since is not known there any more, and may be known elsewhere.
        self.cases = [case for case in self.cases if case.home != name or case.changed_at <= saved.at]
        self.reactions |= {what: None for what in self.reactions}
        self.given_up |= {(SAM, case.url) for case in self.cases}

    def _file(self, name: str) -> Path:
        return Path(self.town[name].settings.database_url.removeprefix("sqlite:///"))

    def give_up(self, name: str) -> None:
        """What waited for that server waits no more: it reads back what it can, which Sam's does not."""
        for other in (*SITES, SAM):
            self.cut(name, other)
        if name == SAM:
            self.given_up |= {(SAM, case.url) for case in self.cases}

    def cut(self, one: str, other: str) -> None:
        for pair in ((one, other), (other, one)):
            self.pairs[pair].is_cut = True

    # ---- what was done ----------------------------------------------------------------------------------------------

    def ends(self, follower: str, followed: str) -> None:
        """Somebody takes a Follow back, or ends it."""
        pair = self.pairs[follower, followed]
        pair.is_wanted, pair.asked_at = False, self.clock.now()

    def asked(self, follower: str, followed: str) -> None:
        """A new Follow: what was held up before is made good by it, if it can arrive."""
        pair = self.pairs[follower, followed]
        pair.is_wanted, pair.asked_at = True, self.clock.now()
        if not self.is_shut(follower, followed):
            pair.is_cut = False
            if followed in NODES and self.up(followed) is not None:
                # All that stands there is read anew, and what stands here is asked for.
                self.unread.discard((follower, followed))
                self.given_up -= {(follower, case.url) for case in self.cases if case.home == followed}

    def decided(self, by: str, about: str) -> None:
        """What was on its way when it was decided may count or not."""
        if about == SAM:
            self.reactions |= dict.fromkeys(self.unsettled[by])

    def said(self, kind: str, what: object) -> dict[str, Any]:
        """An activity of Sam's."""
        return self.sam.activity(kind, what, number=self.number())

    async def sam_posts(self, to: str, said: dict[str, Any] | bytes) -> bool:
        """Whether that server took it."""
        if self.up(to) is None or not self.sam_is_up:
            return False
        self.fates[to].clear()
        return (await self.sam.post(to, said)).status_code == 202

    async def is_open(self, name: str) -> bool:
        """Whether Sam may say anything there just now."""
        if (node := self.up(name)) is None:
            return False
        async with node.database.read() as session:
            found = (await standings(session, node.settings, [self.sam.host]))[self.sam.host]
        return found is Standing.OPEN

    def moved(self, new: Stranger, told: Collection[str]) -> None:
        """Sam is somebody else from now on; whoever could not be told goes on with who Sam was."""
        self.sam, self.has_moved = new, True
        self.reactions |= dict.fromkeys(self.reactions)
        self.down_since.pop(SAM, None)
        for name in SITES:
            for pair in ((SAM, name), (name, SAM)):
                self.pairs[pair].is_cut |= name not in told
                self.pairs[pair].asked_at = self.clock.now()

    async def reacted(self, home: str, what: tuple[str, str], on: bool) -> None:
        """Sam said that, or took it back, and it was taken at the home of the case."""
        if not on or await self.is_open(home):
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
        for name in (*SITES, SAM):
            await self.start(name)
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
        self._excuse_no_more()
        for (follower, followed), pair in self.pairs.items():
            if pair.is_wanted and followed not in self.shut.get(follower, ()):
                pair.heard_until = now

    async def _excuse(self, one: str, other: str) -> None:
        """What one of the two has not heard of the other's cases by now it need never hear; nor need Sam, of whom does not hear it."""
        for reader, home in ((one, other), (other, one)):
            for case in self.cases:
                if reader == SAM and not case.is_live and home in (case.home, "hub"):
                    self.excused.add((SAM, case.url))
                elif case.home == home and reader != SAM and not await self.has_newest(reader, case):
                    self.excused.add((reader, case.url))
                    if reader == "hub" and not case.is_live:
                        self.excused.add((SAM, case.url))

    def _excuse_no_more(self) -> None:
        """Where nobody shuts anybody out any more, what was missed is made good: withheld words are sent, others are asked for."""
        self.excused = {
            (reader, url) for reader, url in self.excused if self._is_excused(reader, self.home_of(url))
        }

    def _is_excused(self, reader: str, home: str) -> bool:
        return (
            self.is_shut(reader, home)
            or (reader == SAM and (self.is_shut(SAM, "hub") or self.is_shut("hub", home)))
            or (reader, home) in self.unread
        )

    async def has_newest(self, reader: str, case: Case) -> bool:
        """Whether a server shows a case as it is, or nothing of it where it is withdrawn."""
        if (node := self.up(reader)) is None:
            return False
        async with node.database.read() as session:
            entry = await session.get(Entry, case.url)
        is_shown = entry is not None and entry.state in SHOWN
        return is_shown and case.words[-1] in str(entry and entry.fields) if case.is_live else not is_shown

    def home_of(self, url: str) -> str:
        return next(name for name in SITES if url.startswith(f"{self.town[name].origin}/"))

    async def _excuse_unread(self) -> None:
        """Whoever was to read an outbox, or to ask about cases, of one that cannot be reached tries for two hours."""
        for reader in SITES:
            if (node := self.up(reader)) is None:
                continue
            async with node.database.read() as session:
                jobs = await session.scalars(select(Job).where(Job.kind.in_(("backfill", "ask-again"))))
                asked = {str(job.payload.get("actor") or job.payload.get("host")) for job in jobs}
            for home in NODES:
                if self.up(home) is None and not asked.isdisjoint((self.actor(home), self.host(home))):
                    self.unread.add((reader, home))
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
