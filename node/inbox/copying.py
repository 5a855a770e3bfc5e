"""Who fetched a case of ours: looked into when the answer was given, by the signature that the question came with.

What waits for that is bounded, and so is what is looked into at once and in a second; beyond that it is let go. Nothing but the
signature's shape is looked at before its turn has come, and whoever was seen a little while ago is not looked at again.
"""

import asyncio
import hashlib
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from federation.requests import Refused, SignedRequest
from federation.sites import site_of
from federation.verification import read_signature
from node.errors import NotYet
from node.inbox.receive import host_in
from node.peers.actors import RemoteActor
from node.publishing.copies import is_copied_to, remember_copy
from node.runtime import Node

log = logging.getLogger(__name__)

# A signed GET has some six hundred; a line of those with all that a server takes would hold tens of megabytes.
MAX_HEAD_BYTES = 8_192
SEEN_REMEMBERED = 10_000
SEEN_FOR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one process takes upon itself to know who fetched what; more is let go.

    line            signatures that wait to be looked into; site_line: of keys of one site
    at_once         that are being looked into, keys being asked for among them; site_at_once: of one site
    a_second        that are begun in a second
    """

    line: int = 1_000
    site_line: int = 250
    at_once: int = 64
    site_at_once: int = 16
    a_second: int = 50


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Cases that were served, and to whom: who signed the question, or the question itself while that is not known."""

    cases: tuple[str, ...]
    name: str  # of the key, or of the actor who is known to have signed
    site: str
    request: SignedRequest | None


class Copying:
    """The answers of one process that were given, and of which it is not known yet to whom."""

    def __init__(
        self,
        node: Node,
        caller: Callable[[SignedRequest], Awaitable[str | None]],
        limits: Limits | None = None,
    ) -> None:
        """caller  says who signed a GET, as `Inbox.caller` does."""
        self._node = node
        self._caller = caller
        self._limits = limits or Limits()
        self._line: deque[_Fetched] = deque()
        self._waiting: Counter[str] = Counter()
        self._looking: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._second, self._begun = datetime.min.replace(tzinfo=UTC), 0
        self._seen: OrderedDict[bytes, datetime] = OrderedDict()

    async def fetched(self, request: SignedRequest, cases: Collection[str], *, by: str | None = None) -> None:
        """These cases of ours were served to whoever asked so. Waits for nothing; what does not hold is let go in silence.

        by  the actor who is known to have signed the question.
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
        if not host:
            return
        site = site_of(host)
        new = self._unseen(name, cases)
        if not new or len(self._line) >= self._limits.line or self._waiting[site] >= self._limits.site_line:
            return
        self._line.append(_Fetched(new, name, site, request if by is None else None))
        self._waiting[site] += 1
        self._changed.set()
        if self._worker is None or self._worker.done():
            self._worker = self._node.beside(self._work())

    async def _work(self) -> None:
        """Let one after the other begin, until nobody waits."""
        while self._line:
            now = self._node.clock.now()
            # Also when the clock was set back: else nobody would be looked at until it is where it was.
            if not timedelta(0) <= now - self._second < SECOND:
                self._second, self._begun = now, 0
            if self._begun >= self._limits.a_second:
                await self._node.clock.sleep(SECOND.total_seconds())
                continue
            one = self._next()
            if one is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            self._begun += 1
            self._looking[one.site] += 1
            self._node.beside(self._look_into(one))

    def _next(self) -> _Fetched | None:
        """The first in the line whose site has room; None while nobody's has."""
        limits = self._limits
        if self._looking.total() >= limits.at_once:
            return None
        for at, one in enumerate(self._line):
            if self._looking[one.site] < limits.site_at_once:
                del self._line[at]
                _one_less(self._waiting, one.site)
                return one
        return None

    async def _look_into(self, one: _Fetched) -> None:
        try:
            # The same may have been seen while it waited.
            if cases := self._unseen(one.name, one.cases):
                owner = one.name if one.request is None else await self._caller(one.request)
                if owner is not None:
                    await self._remember(one.name, owner, cases)
        except NotYet:
            # Its key cannot be had just now. Nothing is remembered of that: whoever asks again is looked at again.
            pass
        except Exception:
            log.exception("copies.failed")
        finally:
            _one_less(self._looking, one.site)
            self._changed.set()

    async def _remember(self, name: str, owner: str, cases: Collection[str]) -> None:
        """Keep where the owner of that key is told of these cases, unless that is known; nothing is written for what is."""
        node = self._node
        async with node.database.read() as session:
            actor = await session.get(RemoteActor, owner)
            if actor is None or actor.gone_at is not None:
                return
            inbox = actor.delivery_inbox
            new = [one for one in self._unseen(inbox, cases) if not await is_copied_to(session, one, inbox)]
        if new:
            async with node.database.begin() as session:
                for case in sorted(new):
                    await remember_copy(session, case, inbox, now=node.clock.now())
            await node.bell.ring()
        # Only what held: else whoever signs wrongly in somebody's name would keep them from being seen.
        for case in cases:
            self._see(name, case)
            self._see(inbox, case)

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
