"""What comes in is kept for good: the row, what it is told by, and one commit for everything that arrived meanwhile."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Insert, LargeBinary, String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node import outbox
from node.database import Row
from node.inbox.shedding import BESIDE, LANE, WEIGHT, Shedder, weight_of
from node.lanes import wake, who_sleeps
from node.peers.actors import host_of
from node.peers.hosts import Standing, standings
from node.peers.sending import lane_to
from node.runtime import Node
from node.statements import Bulk

log = logging.getLogger(__name__)

MAX_LANE = 300
BATCH = 200
# Where the database is another program, it works on commits while the next is made ready: whatever comes in one burst makes several then,
# none smaller than this. SQLite has one writer, on whose thread a commit costs most: there all of them share one.
WRITERS, ENOUGH = 3, 32
REPEATS_REMEMBERED = 20_000
# A host that we could not reach for a while and that writes to us is there again; asked at most this often.
AWAKE_AGAIN = timedelta(minutes=10)
HOSTS_REMEMBERED = 10_000
FORGET = "forget-received"
KEPT_FOR = timedelta(days=365)
FORGOTTEN_AT_ONCE = 1_000


class Received(Row):
    """An activity that came in with a good signature. Once it was processed only its digest stays, so that a repeat has no effect.

    After a year that goes too: no signature of a request is younger by then, and what others bring is not taken at that age.
    """

    __tablename__ = "received"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    activity_id: Mapped[str] = mapped_column(String(2000))
    actor: Mapped[str] = mapped_column(String(2000))
    signer: Mapped[str] = mapped_column(String(2000))
    body: Mapped[bytes | None]
    received_at: Mapped[datetime]


def _keep(insert: Any) -> Insert:
    # Any: the two dialects' inserts share on_conflict_* but no base class that says so.
    kept: Insert = insert(Received).on_conflict_do_nothing(index_elements=[Received.digest])
    return kept


# What is left of one that was processed.
EMPTIED: Mapping[str, Any] = {"activity_id": "", "actor": "", "signer": "", "body": None}
KEEP = Bulk(_keep, ("digest", "activity_id", "actor", "signer", "body", "received_at"))


@dataclass(slots=True, eq=False)
class _Waiting:
    """What the next commit is to keep: a row of `Received` but for its moment, who speaks in it, who signed it, and whom to tell."""

    row: dict[str, Any]
    hosts: frozenset[str]
    signed_by: str  # the host
    weight: int
    tell: Callable[[bool | Exception], None]


class Keeper:
    """The activities of one process that wait for the next commit, and those that it has committed."""

    def __init__(self, node: Node, shedder: Shedder) -> None:
        self._node = node
        self._shedder = shedder
        self._heard: OrderedDict[str, datetime] = OrderedDict()
        self._kept: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: list[_Waiting] = []
        # By host: what came while a commit keeps what its host sent before. In another commit beside that it could come before it, and
        # what was taken back would stand.
        self._behind: dict[str, list[_Waiting]] = {}
        self._weight = 0
        self._committers: set[asyncio.Task[Any] | None] = set()
        self._most_committers, self._enough = (1, BATCH) if node.database.is_sqlite else (WRITERS, ENOUGH)
        self._is_starting = self._are_more_expected = False

    @property
    def waiting(self) -> int:
        """How many are not committed yet, by weight."""
        return self._weight

    def has(self, digest: bytes) -> bool:
        """Whether this process has committed it, not long ago."""
        return digest in self._kept

    def keep(self, row: dict[str, Any], tell: Callable[[bool | Exception], None]) -> None:
        """Commit the activity and its job, together with whatever else arrives meanwhile.

        row   of `Received`, without the moment.
        tell  is called when it is committed, with True; with False when its host is shut out, and nothing was kept; or with what
              went wrong.
        """
        signed_by = host_of(row["signer"])
        hosts, weight = frozenset((host_of(row["actor"]), signed_by)), weight_of(row["body"])
        line = self._behind.get(signed_by, self._waiting)
        line.append(_Waiting(row, hosts, signed_by, weight, tell))
        self._weight += weight
        self._start()

    def expect(self, *, more: bool) -> None:
        """Say that more is about to come that may share the next commit, and then that nothing does: few wait until then."""
        self._are_more_expected = more
        self._start()

    async def may_speak(self, *actors: str) -> bool:
        """Whether the hosts of these may write here; for what has no effect, and is not kept."""
        hosts = {host_of(actor) for actor in actors}
        async with self._node.database.read() as session:
            found = await standings(session, self._node.settings, hosts)
        return Standing.SHUT not in found.values()

    def _start(self) -> None:
        if self._is_due() and not self._is_starting and len(self._committers) < self._most_committers:
            self._is_starting = True
            self._committers.add(asyncio.create_task(self._commit()))

    def _is_due(self) -> bool:
        return len(self._waiting) >= (self._enough if self._are_more_expected else 1)

    async def _commit(self) -> None:
        self._is_starting = False
        try:
            while self._is_due():
                batch = self._begin()
                try:
                    await self._commit_batch(batch)
                finally:
                    self._end(batch)
        finally:
            # Before anybody else runs: whoever comes now starts another.
            self._committers.discard(asyncio.current_task())

    def _begin(self) -> list[_Waiting]:
        """What the next commit keeps; what its hosts sent besides waits for its end."""
        batch, rest = self._waiting[:BATCH], self._waiting[BATCH:]
        self._waiting = []
        self._behind |= {one.signed_by: [] for one in batch}
        for one in rest:
            self._behind.get(one.signed_by, self._waiting).append(one)
        return batch

    def _end(self, batch: list[_Waiting]) -> None:
        for host in {one.signed_by for one in batch}:
            self._waiting += self._behind.pop(host)

    async def _commit_batch(self, batch: list[_Waiting]) -> None:
        try:
            shut = await self._write(batch)
        except Exception as error:  # whoever waits is told; the loop goes on for the next batch
            for one in batch:
                _tell(one, error)
            return
        finally:
            self._weight -= sum(one.weight for one in batch)
        for one in batch:
            _tell(one, not shut & one.hosts)
        # A bell that nobody hears must not keep the next batch waiting: workers look by themselves.
        await beside(self._node.bell.ring())

    async def _write(self, batch: list[_Waiting]) -> set[str]:
        """Keep what comes from hosts that may write; returns the hosts that may not."""
        node = self._node
        now = node.clock.now()
        async with node.database.hand() as hand:
            found = await standings(hand, node.settings, set[str]().union(*(one.hosts for one in batch)))
            shut = {host for host, standing in found.items() if standing is Standing.SHUT}
            kept = {one.row["digest"]: one for one in batch if not shut & one.hosts}
            if not kept:
                return shut
            orders = (
                outbox.Order("process", _told(digest, one.weight), lane_of(one.row["signer"]))
                for digest, one in kept.items()
            )
            # Sorted: two transactions with the same activities wait for one another, and never both. What came before keeps its
            # row; that its job comes again does no harm.
            rows = [kept[digest].row | {"received_at": now} for digest in sorted(kept)]
            await hand.add((KEEP, rows), *outbox.inserts(orders, now=now))
        for digest, one in kept.items():
            self._kept[digest] = None
            self._shedder.kept(one.signed_by, one.weight)
        while len(self._kept) > REPEATS_REMEMBERED:
            self._kept.popitem(last=False)
        if heard := self._newly_heard({one.signed_by for one in kept.values()}, now):
            await beside(self._wake(heard, now))
        return shut

    async def _wake(self, hosts: set[str], now: datetime) -> None:
        # Nearly nobody sleeps, and whoever is heard from once an hour comes here each time: a question costs a tenth of a transaction.
        async with self._node.database.hand() as hand:
            lanes = await who_sleeps(hand, [lane_to(host) for host in hosts], now=now)
        if lanes:
            async with self._node.database.begin() as session:
                await wake(session, lanes, now=now)

    def _newly_heard(self, hosts: set[str], now: datetime) -> set[str]:
        """Those hosts that have not been heard from for a while."""
        fresh = {host for host in hosts if host not in self._heard or now - self._heard[host] >= AWAKE_AGAIN}
        for host in fresh:
            self._heard[host] = now
            self._heard.move_to_end(host)
        while len(self._heard) > HOSTS_REMEMBERED:
            self._heard.popitem(last=False)
        return fresh


def _tell(one: _Waiting, outcome: bool | Exception) -> None:
    try:
        one.tell(outcome)
    except Exception:
        # The others of its batch wait too, and whoever comes behind them.
        log.exception("inbox.telling-failed")


def _told(digest: bytes, weight: int) -> dict[str, Any]:
    told: dict[str, Any] = {"digest": digest.hex()}
    return told if weight == 1 else told | {WEIGHT: weight}


async def forget_old(node: Node) -> None:
    """Drop what was processed more than a year ago, some at a time, so that nobody waits for it. Safe to repeat."""
    before = node.clock.now() - KEPT_FOR
    old = select(Received.digest).where(Received.received_at < before, Received.body.is_(None))
    last = b""
    while True:
        # Where the search ended it goes on: from the start each time, a year of a large hub would be read a thousand times a night.
        rest = old.where(Received.digest > last).order_by(Received.digest).limit(FORGOTTEN_AT_ONCE)
        async with node.database.read() as session:
            digests = list(await session.scalars(rest))
        if not digests:
            return
        last = digests[-1]
        async with node.database.begin() as session:
            await session.execute(delete(Received).where(Received.digest.in_(digests)))


async def forget_tomorrow(session: AsyncSession, *, now: datetime) -> None:
    """See to it that what is old is dropped tomorrow; twice is once."""
    await outbox.enqueue_tomorrow(session, FORGET, now=now)


async def beside(step: Coroutine[Any, Any, None]) -> None:
    """Do what follows from an activity that is kept: when that fails, it is kept all the same, and its sender is told so."""
    try:
        await step
    except Exception:
        log.exception("inbox.beside-failed")


def own_digest(actor: str, activity_id: str) -> bytes:
    """What an activity is kept under when its actor sent it."""
    return hashlib.sha256(f"{actor}\n{activity_id}".encode()).digest()


def lane_of(signer: str, *, waiting_for: str = "", is_beside: bool = False) -> str:
    """Where what somebody sent stands in line: a lane per signer's host, so that what they forward delays nobody's own.

    waiting_for  the host that could not be reached; what needs another than the signer's own waits in a lane beside.
    is_beside    what needs the signer's own waits there too.
    """
    host = host_of(signer)
    return (
        f"{LANE}{host}"
        if not waiting_for or (waiting_for == host and not is_beside)
        else f"{LANE}{host}{BESIDE}{waiting_for}"[:MAX_LANE]
    )
