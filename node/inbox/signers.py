"""Whose key signed a request: from memory, from the database, or from its owner, who is asked anew when it does not fit, once in a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, bindparam, or_, select

from federation.errors import FederationError, NotThere, Unreachable
from federation.keys import VerifyingKey
from federation.requests import OWN_WINDOW, STRANGER_WINDOW, Reason, Refused, SignedRequest, Verified
from federation.verification import Presented, verify
from node.inbox.shedding import Shedder
from node.peers.actors import RemoteActor, RemoteKey, host_of, known_key
from node.peers.directory import find_key, require_open, verifying_key
from node.peers.follows import admits, is_followed
from node.runtime import Node
from node.statements import Question

CACHED_KEYS = 10_000
REFETCH_AFTER = timedelta(minutes=5)
# Then a key in memory is looked up again: its owner may have said since, to another process, that it is lost.
HELD_FOR = timedelta(seconds=30)
_AT_ONCE = timedelta(0)
# A key that does not fit may have been renewed since it was read here: looked at again this often.
READ_AGAIN = timedelta(seconds=1)
# Whoever signs with a key that is being asked for anew waits for that so long, and so many at most; then they come back.
RENEWAL_SECONDS = 10.0
RENEWAL_WAITERS = 64


class Known(NamedTuple):
    """A key as the database holds it; is_admitted: whether its host is one of this network whom we follow, who agreed to it."""

    id: str
    owner: str
    algorithm: str
    material: str
    fetched_at: datetime
    expires_at: datetime | None
    is_admitted: bool


_KEYS, _OWNERS = RemoteKey.__table__.c, RemoteActor.__table__.c
# Whoever is heard from twice a minute, or less, has their key asked for each time.
_KNOWN = Question(
    select(
        _KEYS.id,
        _KEYS.owner,
        _KEYS.algorithm,
        _KEYS.material,
        _KEYS.fetched_at,
        _KEYS.expires_at,
        admits(_OWNERS.host).label("is_admitted"),
    )
    .select_from(RemoteKey.__table__.join(RemoteActor.__table__, _OWNERS.id == _KEYS.owner))
    .where(
        or_(
            _KEYS.id == bindparam("key_id"),
            and_(_KEYS.owner == bindparam("key_id"), _KEYS.algorithm == "rsa"),
        )
    )
)


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key, parsed, with its owner, and what is known of it; is_admitted: as `Known` has it."""

    owner: str
    host: str
    key: VerifyingKey
    fetched_at: datetime
    expires_at: datetime | None
    is_admitted: bool
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Tried:
    """A key in memory by which a signature did not hold, and why not."""

    key: HeldKey
    outcome: Refused


class Busy(Exception):
    """Too many keys of this host are being fetched already, or too much waits for keys."""


class NotAsked(Exception):
    """The key would have to be asked for, and whoever wants it does not ask."""


@dataclass(slots=True, eq=False)
class _Renewal:
    """A key that is being asked for anew, and how many requests wait for it."""

    task: asyncio.Task[HeldKey]
    waiting: int = 0


class Signers:
    """The keys of one process, parsed, and those that are being asked for."""

    def __init__(self, node: Node, shedder: Shedder) -> None:
        """shedder  says how many may be asked for at once."""
        self._node = node
        self._shedder = shedder
        self._keys: OrderedDict[str, HeldKey] = OrderedDict()
        self._failed: OrderedDict[str, datetime] = OrderedDict()
        self._renewals: dict[str, _Renewal] = {}
        # By key: told when the last of those that wait for it in their turn goes on.
        self._turns: dict[str, asyncio.Future[None]] = {}

    def has(self, key_id: str) -> bool:
        """Whether the key is in memory."""
        return key_id in self._keys

    def try_held(self, presented: Presented, request: SignedRequest) -> HeldKey | Tried | None:
        """The key that signed, where it is in memory; else that it is not, or that it does not hold, which is to be asked about."""
        held = self._held(presented.key_id)
        if held is None or presented.key_id in self._turns:
            # What came before waited for the key, and goes on in a moment.
            return None
        outcome = self._check(presented, request, held)
        return Tried(held, outcome) if isinstance(outcome, Refused) else held

    async def verify(
        self,
        presented: Presented,
        request: SignedRequest,
        *,
        asks: bool = True,
        in_turn: bool = False,
        tried: Tried | None = None,
    ) -> HeldKey | Refused:
        """The key that signed, or why not. A key that fails is asked for anew, once in a while.

        asks     False: nobody else is asked or waited for; NotAsked is raised where that would have to be.
        in_turn  of those for which one key is looked up, who came first goes on first; never behind one whose signature does not hold.
        tried    what `try_held` told a moment ago.
        """
        node = self._node
        before = node.clock.now()
        lookup = self._key(presented.key_id, asks=asks, size=len(request.body))
        known = await (self._in_turn(presented.key_id, lookup) if in_turn else lookup)
        if tried is not None and tried.key is known:
            outcome: Verified | Refused = tried.outcome
        else:
            outcome = self._check(presented, request, known)
        if isinstance(outcome, Refused) and known.fetched_at >= before:
            # Whoever signs with no key at all can name the keys of a thousand people of one server, which are all there.
            node.fetcher.count(presented.key_id, now=before)
        now = node.clock.now()
        if isinstance(outcome, Refused) and now - known.read_at >= READ_AGAIN:
            known = await self._key(presented.key_id, reread=True)
            outcome = self._check(presented, request, known)
        if isinstance(outcome, Verified):
            return known
        renewal = self._renewals.get(presented.key_id)
        was_asked = now - known.fetched_at < REFETCH_AFTER or self._has_failed(presented.key_id, now)
        if renewal is None and was_asked:
            return outcome
        if not asks:
            raise NotAsked
        if renewal is None:
            renewal = self._renewal(presented.key_id)
        with self._shedder.holding(len(request.body), is_followed=known.is_admitted) as is_possible:
            if not is_possible:
                raise Busy
            renewed = await self._wait(renewal, presented.key_id)
        outcome = self._check(presented, request, renewed)
        return renewed if isinstance(outcome, Verified) else outcome

    async def _in_turn(self, key_id: str, lookup: Awaitable[HeldKey]) -> HeldKey:
        """The key, and not before whoever came earlier has it: all of them wait for the same, so nobody waits for longer."""
        before = self._turns.get(key_id)
        passed = self._turns[key_id] = asyncio.get_running_loop().create_future()
        try:
            known = await lookup
            if before is not None:
                # Not cancelled with whoever waits for it.
                await asyncio.shield(before)
            return known
        finally:
            if before is None or before.done():
                self._pass(key_id, passed)
            else:
                # It has no key, or was given up: whoever comes behind it waits for those before it still.
                before.add_done_callback(lambda _: self._pass(key_id, passed))

    def _pass(self, key_id: str, passed: asyncio.Future[None]) -> None:
        passed.set_result(None)
        if self._turns[key_id] is passed:
            del self._turns[key_id]

    def _renewal(self, key_id: str) -> _Renewal:
        """Begin to ask for a key anew; a task of its own, for whoever came first may be gone before the answer is there."""
        renewal = self._renewals[key_id] = _Renewal(self._node.beside(self._renewed(key_id)))

        def end(task: asyncio.Task[HeldKey]) -> None:
            self._renewals.pop(key_id, None)
            if not task.cancelled():
                # Looked at, also when nobody waits any more.
                task.exception()

        renewal.task.add_done_callback(end)
        return renewal

    async def _renewed(self, key_id: str) -> HeldKey:
        try:
            return await self._key(key_id, refresh=True)
        except FederationError as error:
            if not isinstance(error, Unreachable):
                self._remember_failure(key_id, self._node.clock.now())
            raise

    async def _wait(self, renewal: _Renewal, key_id: str) -> HeldKey:
        """The key as its owner lists it now. Perhaps it is the one that signed: nobody is refused before that is known.

        Raises FederationError, Busy; Unreachable also when it takes too long, or too many wait for it.
        """
        if renewal.waiting >= RENEWAL_WAITERS:
            raise Unreachable("too many wait for that key", url=key_id)
        renewal.waiting += 1
        try:
            async with asyncio.timeout(RENEWAL_SECONDS):
                return await asyncio.shield(renewal.task)
        except TimeoutError as error:
            raise Unreachable("the key is still being asked for", url=key_id) from error
        finally:
            renewal.waiting -= 1

    def _check(self, presented: Presented, request: SignedRequest, known: HeldKey) -> Verified | Refused:
        settings, now = self._node.settings, self._node.clock.now()
        if known.expires_at is not None and known.expires_at <= now:
            # What a retired key proved stands; it signs no request any more.
            return Refused(Reason.EXPIRED)
        window = OWN_WINDOW if known.is_admitted else STRANGER_WINDOW
        return verify(presented, request, known.key, now=now, origin=settings.origin, window=window)

    async def _known(self, key_id: str) -> Known | None:
        """A key that the database holds; named by its actor's own id, the only RSA key of that actor."""
        async with self._node.database.hand() as hand:
            found = [Known(*row) for row in await _KNOWN.ask(hand, key_id=key_id)]
        exact = next((known for known in found if known.id == key_id), None)
        return exact or (found[0] if len(found) == 1 else None)

    def _held(self, key_id: str) -> HeldKey | None:
        held = self._keys.get(key_id)
        # A clock that is set back makes no key held for longer.
        if held is None or not _AT_ONCE <= self._node.clock.now() - held.read_at < HELD_FOR:
            return None
        self._keys.move_to_end(key_id)
        return held

    async def _key(
        self,
        key_id: str,
        *,
        reread: bool = False,
        refresh: bool = False,
        asks: bool = True,
        size: int = 0,
    ) -> HeldKey:
        """The key from memory, from the database, or from its owner. reread, refresh: not from memory, only from its owner.

        size  bytes of what waits for it.
        Raises NotAsked where its owner would have to be asked, and nobody asks.
        """
        now = self._node.clock.now()
        before = self._keys.get(key_id)
        held = None if reread or refresh else self._held(key_id)
        if held is not None:
            return held
        known = None if refresh else await self._known(key_id)
        if known is None and not asks:
            raise NotAsked
        if known is None and await self._fetch_key(key_id, size=size) is not None:
            known = await self._known(key_id)
        if known is None:
            raise NotThere("the owner lists no such key", url=key_id, status=404)
        newer = self._keys.get(key_id)
        if newer is not None and newer is not before and newer.fetched_at > known.fetched_at:
            # It was asked for anew while this was read. What was in memory before counts no more, whatever its date: that is perhaps
            # by another process's clock, and a key that is lost would count for as long as that one is ahead, or for ever.
            return newer
        held = HeldKey(
            known.owner,
            host_of(known.owner),
            verifying_key(known.algorithm, known.material),
            known.fetched_at,
            known.expires_at,
            known.is_admitted,
            now,
        )
        self._keys[key_id] = held
        self._keys.move_to_end(key_id)
        while len(self._keys) > CACHED_KEYS:
            self._keys.popitem(last=False)
        return held

    async def _fetch_key(self, key_id: str, *, size: int) -> RemoteKey | None:
        """The key as its owner lists it now; the host's policy is asked before the host is. Raises Busy, FederationError."""
        await require_open(self._node, key_id)
        async with self._node.database.read() as session:
            known = await known_key(session, key_id)
            # Some keys have documents of their own (GoToSocial).
            owner = key_id.partition("#")[0] if known is None else known.owner
            followed = await is_followed(session, owner)
        # Whom we follow has a line of their own: nobody fills it by naming keys elsewhere, on their host or on others.
        line = owner if followed else host_of(key_id)
        with (
            self._shedder.fetching(key_id, line, is_followed=followed) as is_possible,
            self._shedder.holding(size, is_followed=followed) as has_room,
        ):
            if not (is_possible and has_room):
                # Many key ids on one host would make us its client (as in Fedify CVE-2026-34148, with other ids).
                raise Busy
            return await find_key(self._node, key_id, refresh=True, is_followed=followed)

    def _has_failed(self, key_id: str, now: datetime) -> bool:
        """Whether its owner was asked not long ago, and what they said did not help."""
        failed_at = self._failed.get(key_id)
        return failed_at is not None and now - failed_at < REFETCH_AFTER

    def _remember_failure(self, key_id: str, now: datetime) -> None:
        self._failed[key_id] = now
        while len(self._failed) > CACHED_KEYS:
            self._failed.popitem(last=False)
