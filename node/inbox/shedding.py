"""When too much comes in: who is told to come back later, so that those whom we follow are still served, and what is said of it."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from federation.sites import site_of
from node.outbox import Job, Lane
from node.peers.actors import RemoteActor
from node.peers.follows import Follow
from node.runtime import Node

log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(seconds=1)
# Of each reason that many refusals are told one by one in that time; of a flood the 128th, the 256th and so on.
TOLD_EACH = 64
TOLD_WITHIN = timedelta(minutes=1)
LANE = "from:"
BESIDE = " "  # between a sender and the host that could not be reached for them
WEIGHT = "weight"  # in the job of an activity that counts as several
ONE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one process lets pile up. A host that we follow is served until four times as much waits.

    waiting        activities that wait for their commit, in memory
    backlog        activities kept and not yet worked off, of all hosts
    host_backlog   the same, of one host
    site_backlog   the same, of one site, where it is of nobody whom we follow: names below one's own cost nothing
    fetches        keys being fetched at once, of all hosts
    host_fetches   the same, of one host, or of one actor whom we follow
    site_fetches   the same, of one site
    waiters        requests that wait for a key, of all hosts: each holds a connection, of which there are some thousands
    site_waiters   the same, of one site, or of one actor whom we follow
    fetch_bytes    of activities that wait for a key

    An activity of more than 16 KiB counts as several: memory and disk are filled by bytes.
    """

    waiting: int = 4_000
    backlog: int = 200_000
    host_backlog: int = 20_000
    site_backlog: int = 50_000
    fetches: int = 256
    host_fetches: int = 16
    site_fetches: int = 64
    waiters: int = 512
    site_waiters: int = 128
    fetch_bytes: int = 64 * 2**20


def weight_of(body: bytes) -> int:
    """As how many an activity counts."""
    return 1 + len(body) // ONE_BYTES


class Shedder:
    """Counts what piles up: in memory while there is room, against the database when there seems to be none."""

    def __init__(self, node: Node, limits: Limits) -> None:
        self._node = node
        self._limits = limits
        self._backlog: Counter[str] = Counter()
        self._of_sites: Counter[str] = Counter()
        self._total = 0
        self._fetching: dict[str, Counter[str]] = {}
        self._held = self._held_bytes = 0
        self._followed: frozenset[str] = frozenset()
        self._looked_at: datetime | None = None

    def has_room(self, host: str, *, waiting: int) -> bool:
        """True when there is room for more of this host, whoever it is, as far as memory tells.

        waiting  activities that wait for their commit, by weight.
        """
        return not self._is_full(host, waiting, times=1)

    async def is_busy(self, host: str, *, waiting: int) -> bool:
        """True when this host has to come back later; `waiting` as `has_room` has it."""
        if self.has_room(host, waiting=waiting):
            return False
        now = self._node.clock.now()
        if self._looked_at is None or now - self._looked_at >= LOOK_AGAIN:
            self._looked_at = now
            await self._look()
        return self._is_full(host, waiting, times=4 if host in self._followed else 1)

    def kept(self, host: str, weight: int) -> None:
        """One more activity of this host waits to be worked off."""
        self._backlog[host] += weight
        self._of_sites[site_of(host)] += weight
        self._total += weight

    @contextmanager
    def holding(self, size: int, *, is_followed: bool = False) -> Iterator[bool]:
        """While a request of so many bytes waits for a key, of which one may be named as often as one likes; False when that is too much."""
        limits, times = self._limits, 4 if is_followed else 1
        has_room = not size or self._held_bytes + size <= limits.fetch_bytes * times
        if not has_room or self._held >= limits.waiters * times:
            yield False
            return
        self._held += 1
        self._held_bytes += size
        try:
            yield True
        finally:
            self._held -= 1
            self._held_bytes -= size

    @contextmanager
    def fetching(self, key_id: str, line: str, *, is_followed: bool = False) -> Iterator[bool]:
        """While a key is fetched; False when that is one too many. Those who wait for the same key are one, and not too many either.

        line         what it is counted with: its host; the actor, of one whom we follow, who is not kept out by what others fill.
        """
        here, limits = self._fetching.get(line, Counter()), self._limits
        is_one_more = key_id not in here
        waiting = here.total() if is_followed else sum(keys.total() for keys in self._of_site(line))
        if waiting >= limits.site_waiters or (
            is_one_more and (len(here) >= limits.host_fetches or not (is_followed or self._has_place(line)))
        ):
            yield False
            return
        here = self._fetching.setdefault(line, Counter())
        here[key_id] += 1
        try:
            yield True
        finally:
            here[key_id] -= 1
            if not here[key_id]:
                del here[key_id]
            if not here:
                self._fetching.pop(line, None)

    def _has_place(self, host: str) -> bool:
        """Whether one key more may be fetched, of all hosts and of those of one site."""
        of_site = sum(map(len, self._of_site(host)))
        several = sum(map(len, self._fetching.values()))
        return of_site < self._limits.site_fetches and several < self._limits.fetches

    def _of_site(self, host: str) -> list[Counter[str]]:
        """What is being fetched of this host and of others of its site."""
        site = site_of(host)
        return [keys for line, keys in self._fetching.items() if site_of(line) == site]

    def _is_full(self, host: str, waiting: int, *, times: int) -> bool:
        limits = self._limits
        return (
            waiting >= limits.waiting * times
            or self._total >= limits.backlog * times
            or self._backlog[host] >= limits.host_backlog * times
            # Whom we follow is not kept out by what others of the same name fill.
            or (times == 1 and self._of_sites[site_of(host)] >= limits.site_backlog)
        )

    async def _look(self) -> None:
        async with self._node.database.read() as session:
            weight = func.sum(func.coalesce(Job.payload[WEIGHT].as_integer(), 1))
            lanes = await session.execute(
                select(Job.lane, weight)
                # By how their names begin, of which there are few: what sorts behind what differs from one PostgreSQL to the next.
                .join(Lane, Lane.name == Job.lane)
                .where(Lane.name.startswith(LANE), Lane.due_at.is_not(None), Job.dead_at.is_(None))
                .group_by(Job.lane)
            )
            self._backlog = Counter()
            for lane, n in lanes:
                self._backlog[lane.removeprefix(LANE).partition(BESIDE)[0]] += n
            self._of_sites = Counter()
            for host, n in self._backlog.items():
                self._of_sites[site_of(host)] += n
            followed = await session.scalars(
                select(RemoteActor.host)
                .distinct()
                .join(Follow, Follow.followed == RemoteActor.id)
                .where(Follow.state == "accepted")
            )
            self._followed = frozenset(followed)
        self._total = self._backlog.total()
        log.warning("inbox.full", extra={"backlog": self._total, "hosts": len(self._backlog)})


class Teller:
    """Counts what is refused, so that a flood does not fill the disk with words about it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._since = datetime.min.replace(tzinfo=UTC)
        self._refused: Counter[str] = Counter()

    def refused(self, reason: str) -> int | None:
        """The how manieth of this reason it is when it is worth saying, else None."""
        now = self._node.clock.now()
        if now - self._since >= TOLD_WITHIN:
            self._since = now
            self._refused.clear()
        self._refused[reason] += 1
        count = self._refused[reason]
        return count if count <= TOLD_EACH or count & (count - 1) == 0 else None
