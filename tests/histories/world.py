"""The town of a history: servers whose wires and workers fail as they do in the world, and beside it what its people know.

The model holds what people decided and said (`cases`, `follows`, `reactions`), and of each server what it cannot know: whoever shut
the other out, or was away for so long that it was given up, is owed nothing until it follows anew.
"""

import asyncio
import json
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
from sqlalchemy import select

from node import outbox, roles, worker
from node.backup.archive import QUIET
from node.backup.restoring import BESIDES, _listen_again
from node.backup.snapshot import copy_database, fill_postgresql, sqlite_path
from node.entries.entries import SHOWN, Entry
from node.inbox.keeping import FORGET
from node.keyring import Keyring
from node.outbox import Job
from node.peers import network, witness
from node.peers.follows import between
from node.peers.hosts import REST, Standing, blocked, standings
from node.publishing.publications import Publication
from node.runtime import Node
from tests.rig.clock import NOON, FrozenClock
from tests.rig.databases import POSTGRESQL, SQLITE, fresh_database, make_shape, ready_database
from tests.rig.servers import Servers
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from web.fediverse import actors

NODES = ("a", "b")
SITES = ("hub", "a", "b")
# Servers that come to be in the middle of a history: where a node moves to, and a hub more.
NEW, HUB2 = "c", "hub2"
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
    | {FORGET, REST, witness.KIND, network.KIND}
)
# A server that was away for longer was given up by others.
GIVEN_UP = timedelta(days=34)
MOST_ROUNDS = 80
# As long as a Follow may wait for its answer.
AN_ANSWER = timedelta(days=40)


@dataclass(frozen=True)
class Meeting:
    """What a request for a page of an outbox meets: the answer is refused or cut, or something happens before or after it is written."""

    fate: str = ""
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None


class Gate(httpx.AsyncBaseTransport):
    """The way into one server: each POST that comes meets what fate has in store, in its order, and goes through afterwards.

    So does each question for a page of an outbox.
    """

    def __init__(self, app: httpx.AsyncBaseTransport, fates: list[str], meetings: list[Meeting]) -> None:
        self._app, self._fates, self._meetings = app, fates, meetings

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fate = self._fates.pop(0) if request.method == "POST" and self._fates else ""
        if (
            request.method == "GET"
            and request.url.path.endswith("/outbox")
            and request.url.query
            and self._meetings
        ):
            return await self._meet(request, self._meetings.pop(0))
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

    async def _meet(self, request: httpx.Request, meeting: Meeting) -> httpx.Response:
        if meeting.fate == "refused":
            return httpx.Response(503)
        if meeting.fate == "cut":
            raise httpx.ConnectError("cut", request=request)
        if meeting.before is not None:
            await meeting.before()
        answer = await self.let_in(request)
        if meeting.after is not None:
            await meeting.after()
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
    is_leaving  one of the two moved away: the follower listens for as long as it has not heard of that.
    """

    is_wanted: bool = False
    asked_at: datetime = NOON
    is_cut: bool = False
    heard_until: datetime | None = None
    is_leaving: bool = False


@dataclass(frozen=True)
class Saved:
    """A backup, with the keys that the server had then, whom it wanted to follow, and who followed it."""

    copy: Path
    at: datetime
    wanted: dict[tuple[str, str], bool]
    keyring: Keyring
    followers: frozenset[str]


@dataclass
class World:
    """The town and the model of it."""

    town: Town
    clock: FrozenClock
    sam: Stranger
    # Those that have been opened.
    sites: tuple[str, ...] = SITES
    cases: list[Case] = field(default_factory=list)
    pairs: defaultdict[tuple[str, str], Pair] = field(default_factory=lambda: defaultdict(Pair))
    # (kind, url) → whether Sam's stands at the case's home; None when a decision came in between.
    reactions: dict[tuple[str, str], bool | None] = field(default_factory=dict)
    unsettled: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    # A reply of Sam's → the case.
    notes: dict[str, str] = field(default_factory=dict)
    # What Sam said that was not taken.
    refused: set[bytes] = field(default_factory=set)
    # A case that Sam's server fetched, and how much it had received before.
    fetched: list[tuple[str, int]] = field(default_factory=list)
    # A server and the address of a case of which it is owed nothing: while one shuts the other out, or until it follows anew.
    excused: set[tuple[str, str]] = field(default_factory=set)
    given_up: set[tuple[str, str]] = field(default_factory=set)
    # A server, and one whose outbox it could not read.
    unread: set[tuple[str, str]] = field(default_factory=set)
    fates: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    meetings: dict[str, list[Meeting]] = field(default_factory=lambda: defaultdict(list))
    # A hub and a case that its people let in.
    let_in: dict[tuple[str, str], datetime] = field(default_factory=dict)
    down_since: dict[str, datetime] = field(default_factory=dict)
    # Who could not be reached for a while, or lost what it knew, ever.
    was_away: set[str] = field(default_factory=set)
    # A server → those that it has shut out by decision, and by its mode too.
    shut: dict[str, frozenset[str]] = field(default_factory=lambda: dict.fromkeys(SITES, frozenset()))
    deaf: defaultdict[str, frozenset[str]] = field(default_factory=lambda: defaultdict(frozenset))
    # A server and another from whom it took something new at that time at the latest.
    open_until: dict[tuple[str, str], datetime] = field(default_factory=dict)
    saved: dict[str, Saved] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    keyrings: dict[str, Keyring] = field(default_factory=dict)
    has_moved: bool = False
    # A node that moved, and where to; who followed it and is to follow it there; of whom somebody let go, ever; and what such a
    # follower had of the cases that stay where they are.
    moves: dict[str, str] = field(default_factory=dict)
    movers: set[tuple[str, str, str]] = field(default_factory=set)
    ended: set[tuple[str, str]] = field(default_factory=set)
    had: set[tuple[str, str]] = field(default_factory=set)
    numbers: int = 0
    carried: int = 0

    # ---- what there is ----------------------------------------------------------------------------------------------

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(name for name in self.sites if not name.startswith("hub"))

    @property
    def hubs(self) -> tuple[str, ...]:
        return tuple(name for name in self.sites if name.startswith("hub"))

    def is_there(self, name: str) -> bool:
        """Whether that server has come to be."""
        return name == SAM or name in self.sites

    def up(self, name: str) -> Node | None:
        """The node of a server of ours, while it runs."""
        return self.town[name].running if name in self.sites else None

    @property
    def sam_is_up(self) -> bool:
        return self.sam.host in self.town.wires.apps

    def actor(self, name: str) -> str:
        return self.sam.id if name == SAM else self.town[name].settings.main_actor

    def host(self, name: str) -> str:
        return self.sam.host if name == SAM else self.town[name].settings.authority

    def is_shut(self, one: str, other: str) -> bool:
        """Whether either has shut the other out."""
        return other in self.deaf[one] or one in self.deaf[other]

    def was_let_go(self, follower: str, followed: str) -> bool:
        """Whether it followed that one once and perhaps did not since, by whomever that was ended."""
        pair = self.pairs[follower, followed]
        return (
            not pair.is_wanted or pair.is_cut or (follower, followed) in self.ended or followed in self.moves
        )

    def were_apart(self, one: str, other: str) -> bool:
        """Whether either could not be reached for a while, or lost what it knew, ever."""
        return bool({one, other} & self.was_away)

    def is_owed(self, name: str, case: Case) -> bool:
        """Whether that server is to hear of everything about a case that reaches it at all."""
        return (name, case.url) not in self.excused | self.given_up

    def case(self, pick: int, *, live: bool = True, home: str | None = None) -> Case | None:
        found = [one for one in self.cases if one.is_live >= live and home in (None, one.home)]
        return found[pick % len(found)] if found else None

    # ---- servers ----------------------------------------------------------------------------------------------------

    async def open(self, name: str) -> Node:
        """A server comes to be, whom nobody knows yet."""
        await self.town.open(name)
        self.sites = (*self.sites, name)
        self.shut[name] = frozenset()
        self.plug_in(name)
        await roles.begin(self.town[name].node)
        return self.town[name].node

    async def start(self, name: str) -> None:
        if name == SAM:
            if not self.sam_is_up:
                self.plug_sam_in()
                self._is_back(SAM)
            return
        if self.up(name) is not None or not self.is_there(name):
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
        gate = Gate(self.town.wires.apps[host], self.fates[name], self.meetings[name])
        self.town.wires.apps[host] = self.gates[name] = gate

    async def stop(self, name: str) -> None:
        if name == SAM and self.sam_is_up:
            del self.town.wires.apps[self.sam.host]
            self.down_since[name] = self.clock.now()
        if self.up(name) is not None:
            await self.town.stop(name)
            self.down_since[name] = self.clock.now()
            self.was_away.add(name)

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
        if (node := self.up(name)) is not None:
            copy = self.town._directory / f"{name}.{self.number()}"
            await copy_database(node.settings, copy, QUIET)
            wanted = {pair: known.is_wanted for pair, known in self.pairs.items() if pair[0] == name}
            async with node.database.read() as session:
                rows = {one: await between(session, self.actor(one), self.actor(name)) for one in self.sites}
            followers = frozenset(one for one, row in rows.items() if row and row.state == "accepted")
            self.saved[name] = Saved(copy, self.clock.now(), wanted, _as_it_is(node.keyring), followers)

    async def restore(self, name: str, *, with_keys: bool) -> None:
        """The server is lost, and comes back from its backup; its keys had been kept apart, or come back with it as they were then."""
        saved = self.saved.get(name)
        if saved is None or self.up(name) is None:
            return
        self.was_away.add(name)
        await self.town.stop(name)
        copy = saved.copy.with_suffix(".again")
        copy.write_bytes(saved.copy.read_bytes())
        if with_keys:
            self.keyrings[name] = _as_it_is(saved.keyring)
            # Nobody is asked for a key that is known more than once in five minutes; and that is quick for who finds a backup.
            self.clock.forward(seconds=600)
        await _listen_again(copy, self.clock.now())
        await _put_in_place(copy, self.town[name].settings.database_url)
        await self.start(name)
        for pair, known in self.pairs.items():
            if name in pair and known.asked_at >= saved.at - AN_ANSWER:
                known.is_cut = True
            if name == pair[0]:
                known.is_wanted = saved.wanted.get(pair, False)
        # Of a move it may know nothing any more, nor who followed it there.
        self.movers = {one for one in self.movers if name not in one}
        self.had = {one for one in self.had if one[0] != name}
        # What it said since is not known there any more, and may be known elsewhere.
        self.cases = [case for case in self.cases if case.home != name or case.changed_at <= saved.at]
        self.reactions |= {what: None for what in self.reactions}
        self.given_up |= {(SAM, case.url) for case in self.cases}
        # Nor who follows it since, nor who read its cases then.
        strangers = set(self.sites) - saved.followers - {name}
        self.given_up |= {(one, case.url) for one in strangers for case in self.cases if case.home == name}

    def give_up(self, name: str) -> None:
        """What waited for that server waits no more: it reads back what it can, which Sam's does not."""
        for other in (*self.sites, SAM):
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
        self.ended.add((follower, followed))
        self._decided_themselves(follower, followed)

    def asked(self, follower: str, followed: str) -> None:
        """A new Follow: what was held up before is made good by it, if it can arrive."""
        pair = self.pairs[follower, followed]
        pair.is_wanted, pair.asked_at = True, self.clock.now()
        self._decided_themselves(follower, followed)
        if not self.is_shut(follower, followed):
            # Who moved away is found elsewhere, sooner or later.
            pair.is_cut = followed in self.moves
            if followed in self.nodes and self.up(followed) is not None:
                # All that stands there is read anew, and what stands here is asked for.
                self.unread.discard((follower, followed))
                self.given_up -= {(follower, case.url) for case in self.cases if case.home == followed}

    def _decided_themselves(self, follower: str, about: str) -> None:
        """Whom they follow of one who moved is for themselves to say now."""
        self.movers = {one for one in self.movers if one[0] != follower or about not in one[1:]}
        for old, new in self.moves.items():
            if about in (old, new):
                self.cut(follower, old)
                self.cut(follower, new)

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
        is_taken = (await self.sam.post(to, said)).status_code == 202
        if not is_taken:
            self.refused.add(said if isinstance(said, bytes) else json.dumps(said).encode())
        return is_taken

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
        for name in self.sites:
            for pair in ((SAM, name), (name, SAM)):
                self.pairs[pair].is_cut |= name not in told
                self.pairs[pair].asked_at = self.clock.now()

    async def node_moved(self, old: str, new: str) -> None:
        """A node says that it is another from now on: who follows it is to follow that one, each as soon as they hear of it."""
        self.moves = {old: new}
        self.movers = {one for one in self.movers if one[2] != old}
        for name in self.sites:
            if name in (old, new):
                continue
            theirs, its = self.pairs[name, old], self.pairs[old, name]
            if theirs.is_wanted:
                if not theirs.is_cut and (name, new) not in self.ended:
                    self.movers.add((name, old, new))
                self.pairs[name, new].is_wanted = True
                for case in self.cases:
                    if case.home == old and await self.has_newest(name, case):
                        self.had.add((name, case.url))
            for pair in (theirs, its):
                pair.is_wanted, pair.is_leaving, pair.asked_at = False, True, self.clock.now()
            for a, b in ((name, old), (name, new)):
                self.cut(a, b)
                self.pairs[a, b].asked_at = self.pairs[b, a].asked_at = self.clock.now()

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
        for name in self.sites:
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
        for name in self.sites:
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
        for meetings in self.meetings.values():
            meetings.clear()
        for name in (*self.sites, SAM):
            await self.start(name)
        await self.note()
        for rounds in range(MOST_ROUNDS):
            await self.passes(3600 if rounds < 6 else 86_400)
            if rounds >= 2 and not await self.waiting():
                return
        raise AssertionError(f"(6) still waiting: {await self.waiting()}")

    async def change_mode(self, name: str, mode: str) -> None:
        """A server that runs is started anew in that mode (TRACKER_FEDERATION)."""
        await self.town.stop(name)
        site = self.town[name]
        site.settings = replace(site.settings, federation=mode)
        await self.start(name)
        self.decided(name, SAM)

    async def widen(self) -> bool:
        """Every server speaks with everybody; False where all did. What the narrower modes refused is owed from then on."""
        narrow = [name for name in self.sites if self.town[name].settings.federation != "open"]
        for name in narrow:
            # No two changes of a mode are at the same time.
            self.clock.forward(seconds=1)
            await self.change_mode(name, "open")
        await self.note()
        return bool(narrow)

    def plug_sam_in(self) -> None:
        self.town.wires.apps[self.sam.host] = httpx.MockTransport(self.sam._serve)

    # ---- what a step leaves ------------------------------------------------------------------------------------------

    async def note(self) -> None:
        """Look who shuts whom out now, hold what was sent against it, and excuse whoever could not be told."""
        await self.run_errands()
        now = self.clock.now()
        before, self.shut = self.shut, dict(self.shut)
        unheard = dict(self.deaf)
        for name in self.sites:
            node = self.up(name)
            if node is None:
                continue
            hosts = {self.host(other): other for other in (*self.sites, SAM) if other != name}
            async with node.database.read() as session:
                self.shut[name] = frozenset(hosts[host] for host in await blocked(session, list(hosts)))
                found = await standings(session, node.settings, list(hosts))
            self.deaf[name] = frozenset(hosts[host] for host, one in found.items() if one is Standing.SHUT)
            is_open = {hosts[host] for host, one in found.items() if one is Standing.OPEN}
            self.open_until |= dict.fromkeys(((name, other) for other in is_open), now)
        self._nothing_was_sent(before, unheard)
        for one in self.sites:
            for other in (*self.sites, SAM):
                if one != other and self.is_shut(one, other):
                    self.cut(one, other)
                    await self._excuse(one, other)
        await self._excuse_unread()
        self._excuse_no_more()
        for (follower, followed), pair in self.pairs.items():
            is_shut = followed in self.deaf[follower]
            if is_shut:
                self.had = {
                    (by, url) for by, url in self.had if by != follower or self.home_of(url) != followed
                }
            elif pair.is_wanted or (
                # Who was let go in silence, or could not be told, listens on.
                (pair.is_leaving or pair.is_cut) and await self._follows_yet(follower, followed)
            ):
                pair.heard_until = now

    async def _excuse(self, one: str, other: str) -> None:
        """What one of the two has not heard of the other's cases by now it need never hear; nor need Sam, of whom does not hear it."""
        for reader, home in ((one, other), (other, one)):
            for case in self.cases:
                if reader == SAM and not case.is_live and home in (case.home, *self.hubs):
                    self.excused.add((SAM, case.url))
                elif case.home == home and reader != SAM and not await self.has_newest(reader, case):
                    self.excused.add((reader, case.url))
                    if reader in self.hubs and not case.is_live:
                        self.excused.add((SAM, case.url))

    def _excuse_no_more(self) -> None:
        """Where nobody shuts anybody out any more, what was missed is made good: withheld words are sent, others are asked for."""
        self.excused = {
            (reader, url) for reader, url in self.excused if self._is_excused(reader, self.home_of(url))
        }

    def _is_excused(self, reader: str, home: str) -> bool:
        return (
            self.is_shut(reader, home)
            or (reader == SAM and any(self.is_shut(SAM, hub) or self.is_shut(hub, home) for hub in self.hubs))
            or (reader, home) in self.unread
        )

    async def _follows_yet(self, follower: str, followed: str) -> bool:
        """Whether it still listens to one who moved, or that it followed before it moved itself."""
        if (node := self.up(follower)) is None:
            return follower != SAM
        async with node.database.read() as session:
            row = await between(session, self.actor(follower), self.actor(followed))
        return row is not None and row.state in ("requested", "accepted")

    async def has_newest(self, reader: str, case: Case) -> bool:
        """Whether a server shows a case as it is, or nothing of it where it is withdrawn."""
        if (node := self.up(reader)) is None:
            return False
        async with node.database.read() as session:
            entry = await session.get(Entry, case.url)
        is_shown = entry is not None and entry.state in SHOWN
        return is_shown and case.words[-1] in str(entry and entry.fields) if case.is_live else not is_shown

    def home_of(self, url: str) -> str:
        return next(name for name in self.sites if url.startswith(f"{self.town[name].origin}/"))

    async def _excuse_unread(self) -> None:
        """Whoever was to read an outbox, or to ask about cases, of one that cannot be reached tries for two hours."""
        for reader in self.sites:
            if (node := self.up(reader)) is None:
                continue
            async with node.database.read() as session:
                jobs = await session.scalars(select(Job).where(Job.kind.in_(("backfill", "ask-again"))))
                asked = {str(job.payload.get("actor") or job.payload.get("host")) for job in jobs}
            for home in self.nodes:
                if self.up(home) is None and not asked.isdisjoint((self.actor(home), self.host(home))):
                    self.unread.add((reader, home))
                    self.excused |= {(reader, case.url) for case in self.cases if case.home == home}

    def _nothing_was_sent(
        self, before: dict[str, frozenset[str]], unheard: dict[str, frozenset[str]]
    ) -> None:
        """(4) Nobody asked or told a server anything whom it had shut out before and has since; who is closed asks nobody.

        before, unheard  who was shut out by decision, and who by the mode too.
        """
        carried = self.town.wires.carried[self.carried :]
        self.carried = len(self.town.wires.carried)
        names = {self.host(name): name for name in (*self.sites, SAM)}
        for request in carried:
            by, to = names.get(_signer(request)), names.get(request.url.netloc.decode())
            if by in self.sites and to is not None and to in before[by] & self.shut[by]:
                raise AssertionError(f"(4) {by} had shut {to} out, and sent {request.method} {request.url}")
            if by in self.sites and self.town[by].settings.federation == "closed" and request.method == "GET":
                was_closed = to is not None and to in unheard.get(by, frozenset())
                assert not was_closed, f"(4) {by} is closed, and asked for {request.url}"


def _signer(request: httpx.Request) -> str:
    """The host of the key that signed a request; none where nobody did."""
    said = request.headers.get("signature", "") + request.headers.get("signature-input", "")
    for mark in ('keyId="https://', 'keyid="https://'):
        _, found, rest = said.partition(mark)
        if found:
            return str(rest.partition("/")[0])
    return ""


@asynccontextmanager
async def opened(directory: Path, servers: Servers | None = None) -> AsyncIterator[World]:
    """A hub, two nodes and a server of somebody else, who do not know each other yet.

    servers  whose PostgreSQL they all use; without them, SQLite.
    """
    clock = FrozenClock()

    @asynccontextmanager
    async def fresh(place: Path) -> AsyncIterator[str]:
        if servers is None:
            async with ready_database(SQLITE, place, cast(Servers, None)) as url:
                yield url
            return
        # As migrations make it: a copy of it says which shape it has.
        async with fresh_database(POSTGRESQL, place, servers) as url:
            await make_shape(url)
            yield url

    async with Town(directory, clock, fresh) as town, _small_pages():
        world = World(town, clock, Stranger(town, "sam.example", SAM))
        for name in SITES:
            await town.open(name)
            world.plug_in(name)
            await roles.begin(town[name].node)
        yield world


@asynccontextmanager
async def _small_pages() -> AsyncIterator[None]:
    """An outbox of a few cases has several pages."""
    before, actors.PAGE = actors.PAGE, 2
    try:
        yield
    finally:
        actors.PAGE = before


def _as_it_is(keyring: Keyring) -> Keyring:
    """The same keys, whatever that one takes over."""
    copy = Keyring(keyring._keys["rsa"], keyring._keys["ed25519"], None, born=keyring.born)
    copy.take_over(keyring)
    return copy


async def _put_in_place(copy: Path, url: str) -> None:
    """What the database of a server that was lost held is what its copy holds."""
    file = sqlite_path(url)
    if file is None:
        await fill_postgresql(copy, url, QUIET)
        return
    for end in ("", *BESIDES):
        file.with_name(file.name + end).unlink(missing_ok=True)
    with closing(sqlite3.connect(copy)) as said:
        said.execute("PRAGMA journal_mode=DELETE")
    file.write_bytes(copy.read_bytes())
