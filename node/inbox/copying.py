"""Who fetched a case of ours: looked into when the answer was given, by the signature that the question came with.

What waits for that is bounded, and so is what is looked into at once and in a second; beyond that it is let go. Nothing but the
signature's shape is looked at before its turn has come, and whoever was seen a little while ago is not looked at again. Whose key has to
be asked for, also anew, waits in a line of their own: keys at addresses that do not answer cost nothing to name, and keep nobody out who
is known. Whose key could not be had is asked for it once more, in a third line, which takes nothing from the other two: a small server
may be starting anew, and would else keep what is withdrawn. All three are lost with the process. What waits is a word that nobody has
proven, and to keep it would let strangers write here.
"""

import asyncio
import hashlib
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from federation.requests import Refused, SignedRequest
from federation.sites import site_of
from federation.verification import read_signature
from node.errors import NotYet
from node.inbox.envelopes import host_in
from node.peers.actors import RemoteActor
from node.publishing.copies import MOST, is_copied_to, remember_copy, tell_late
from node.runtime import Node

log = logging.getLogger(__name__)

# A signed GET has some six hundred; a line of those with all that a server takes would hold hundreds of megabytes.
MAX_HEAD_BYTES = 4_096
SEEN_REMEMBERED = 10_000
SEEN_FOR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
# What could not be had just now is not asked for again for a quarter of a minute (`federation.fetch`), and a restart takes about as long.
AGAIN_AFTER = timedelta(seconds=45)


class Caller(Protocol):
    """Says who signed a GET, as `Inbox.caller` does; NotYet where their key would have to be asked for, and nobody asks."""

    def __call__(self, request: SignedRequest, *, asks: bool = True) -> Awaitable[str | None]: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one process takes upon itself to know who fetched what; more is let go.

    line           signatures that wait to be looked into: when a hub announces a case, all whom it serves come within seconds
    strangers      of those, that wait for a key to be asked for
    site_line      that wait in either line, of keys of one site
    at_once        that are being looked into, and again that of which the key is being asked for; site_at_once: of one site
    a_second       that are begun in a second
    again          that wait for a key to be asked for once more; site_again: of one site
    again_at_once  of which the key is being asked for once more; site_again_at_once: of one site
    """

    line: int = MOST
    strangers: int = 1_000
    site_line: int = 250
    at_once: int = 32
    site_at_once: int = 8
    a_second: int = 50
    again: int = 250
    site_again: int = 16
    again_at_once: int = 8
    site_again_at_once: int = 2


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Cases that were served, when, and to whom: who signed the question, or the question itself while that is not known."""

    cases: tuple[str, ...]
    name: str  # of the key, or of the actor who is known to have signed
    site: str
    request: SignedRequest | None
    served_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class _Places:
    """How many may wait in a line, of one site, be looked at, of one site, and begin in a second: None for as many as there are places."""

    most: int
    of_site: int
    at_once: int
    of_site_at_once: int
    a_second: int | None = None


class _Line:
    """Whoever waits for the same, the first first, each until they are due; each site has a part of the places only."""

    def __init__(self, node: Node, look: Callable[[_Fetched], Awaitable[None]], places: _Places) -> None:
        """look  what is done with whose turn it is."""
        self._node = node
        self._look = look
        self._places = places
        self._line: deque[_Fetched] = deque()
        self._waiting: Counter[str] = Counter()
        self._looking: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._second, self._begun = datetime.min.replace(tzinfo=UTC), 0

    def put(self, one: _Fetched) -> None:
        """Let one more wait; where there is no room, they are let go."""
        places = self._places
        if len(self._line) >= places.most or self._waiting[one.site] >= places.of_site:
            return
        self._line.append(one)
        self._waiting[one.site] += 1
        self._changed.set()
        if self._worker is None or self._worker.done():
            self._worker = self._node.beside(self._work())

    async def _work(self) -> None:
        """Let one after the other begin, until nobody waits."""
        while self._line:
            if wait := self._until_due(self._line[0]):
                await self._node.clock.sleep(wait.total_seconds())
            elif not self._has_begun_enough():
                one = self._next()
                if one is None:
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                self._begun += 1
                self._looking[one.site] += 1
                self._node.beside(self._look_into(one))
            else:
                await self._node.clock.sleep(SECOND.total_seconds())

    def _until_due(self, one: _Fetched) -> timedelta:
        """How long it is not their turn yet; not longer than they were to wait, also when the clock was set back."""
        wait = one.due_at - self._node.clock.now()
        return wait if timedelta(0) < wait <= AGAIN_AFTER else timedelta(0)

    def _has_begun_enough(self) -> bool:
        """Whether so many began in this second that the next have to wait for another."""
        now = self._node.clock.now()
        # Also when the clock was set back: else nobody would be looked at until it is where it was.
        if not timedelta(0) <= now - self._second < SECOND:
            self._second, self._begun = now, 0
        return self._places.a_second is not None and self._begun >= self._places.a_second

    def _next(self) -> _Fetched | None:
        """The first in the line whose site has room; None while nobody's has."""
        places = self._places
        if self._looking.total() >= places.at_once:
            return None
        for at, one in enumerate(self._line):
            if self._until_due(one):
                # Nor is it that of those behind them.
                return None
            if self._looking[one.site] < places.of_site_at_once:
                del self._line[at]
                _one_less(self._waiting, one.site)
                return one
        return None

    async def _look_into(self, one: _Fetched) -> None:
        try:
            await self._look(one)
        except NotYet:
            # Its key cannot be had just now. Nothing is remembered of that: whoever asks again is looked at again.
            pass
        except Exception:
            log.exception("copies.failed")
        finally:
            _one_less(self._looking, one.site)
            self._changed.set()


class Copying:
    """The answers of one process that were given, and of which it is not known yet to whom."""

    def __init__(self, node: Node, caller: Caller, limits: Limits | None = None) -> None:
        self._node = node
        self._caller = caller
        some = limits or Limits()
        places = _Places(some.line, some.site_line, some.at_once, some.site_at_once, some.a_second)
        self._line = _Line(node, self._look_into, places)
        self._strangers = _Line(node, self._ask, replace(places, most=some.strangers, a_second=None))
        again = _Places(some.again, some.site_again, some.again_at_once, some.site_again_at_once)
        self._again = _Line(node, self._find, again)
        self._seen: OrderedDict[bytes, datetime] = OrderedDict()

    async def fetched(
        self,
        request: SignedRequest,
        cases: Collection[str],
        *,
        asked_at: datetime | None = None,
        by: str | None = None,
    ) -> None:
        """These cases of ours were served to whoever asked so. Waits for nothing; what does not hold is let go in silence.

        asked_at  before they were read here, in order to be served; None for just now.
        by        the actor who is known to have signed the question.
        """
        name = by or ""
        if by is None:
            if sum(len(field) + len(value) for field, value in request.headers) > MAX_HEAD_BYTES:
                return
            presented = read_signature(request)
            if isinstance(presented, Refused):
                return
            name = presented.key_id
        host = host_in(name)
        if host and (new := self._unseen(name, cases)):
            question = request if by is None else None
            now = self._node.clock.now()
            self._line.put(
                _Fetched(new, name, site_of(host), question, served_at=asked_at or now, due_at=now)
            )

    async def _look_into(self, one: _Fetched) -> None:
        try:
            await self._find(one, asks=False)
        except NotYet:
            self._strangers.put(one)

    async def _ask(self, one: _Fetched) -> None:
        try:
            await self._find(one)
        except NotYet:
            self._again.put(replace(one, due_at=self._node.clock.now() + AGAIN_AFTER))

    async def _find(self, one: _Fetched, *, asks: bool = True) -> None:
        """Remember who it was. Raises NotYet when their key cannot be had just now."""
        # The same may have been seen while it waited.
        if cases := self._unseen(one.name, one.cases):
            owner = one.name if one.request is None else await self._caller(one.request, asks=asks)
            if owner is not None:
                await self._remember(one, owner, cases)

    async def _remember(self, one: _Fetched, owner: str, cases: Collection[str]) -> None:
        """Keep where the owner of that key is told of these cases, unless that is known; nothing is written for what is."""
        node = self._node
        async with node.database.read() as session:
            actor = await session.get(RemoteActor, owner)
            if actor is None or actor.gone_at is not None:
                return
            inbox = actor.delivery_inbox
            new = [
                case for case in self._unseen(inbox, cases) if not await is_copied_to(session, case, inbox)
            ]
        if new:
            await self._keep(new, inbox, served_at=one.served_at)
        # Only what held: else whoever signs wrongly in somebody's name would keep them from being seen.
        for case in cases:
            self._see(one.name, case)
            self._see(inbox, case)

    async def _keep(self, cases: Collection[str], inbox: str, *, served_at: datetime) -> None:
        node, now = self._node, self._node.clock.now()
        async with node.database.begin() as session:
            late = [
                case
                for case in sorted(cases)
                if await remember_copy(session, case, inbox, served_at=served_at, now=now)
            ]
        for case in late:
            async with node.database.begin() as session:
                await tell_late(session, case, inbox, now=now)
        if late:
            await node.bell.ring()

    def _unseen(self, name: str, cases: Collection[str]) -> tuple[str, ...]:
        """Those of these cases of which it is not known that whoever goes by this name has them."""
        now = self._node.clock.now()
        return tuple(
            case
            for case in cases
            if (at := self._seen.get(_mark(name, case))) is None or now - at >= SEEN_FOR
        )

    def _see(self, name: str, case: str) -> None:
        mark = _mark(name, case)
        self._seen[mark] = self._node.clock.now()
        self._seen.move_to_end(mark)
        if len(self._seen) > SEEN_REMEMBERED:
            self._seen.popitem(last=False)


def _mark(name: str, case: str) -> bytes:
    return hashlib.sha256(f"{name}\n{case}".encode()).digest()


def _one_less(counted: Counter[str], name: str) -> None:
    counted[name] -= 1
    if not counted[name]:
        del counted[name]
