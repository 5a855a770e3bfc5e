"""Where something of ours has got to: who has it, who not yet, who never will. Read from the jobs; nothing is kept beside them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from federation.sites import site_of
from node import lanes
from node.errors import NotFound
from node.outbox import Job
from node.peers.actors import host_of
from node.peers.follows import MOST_INBOXES
from node.peers.hosts import Host, blocked
from node.peers.sending import Sent, SentTo, delivery_key
from node.statements import among

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one delivery.

    state          "has", "waiting" or "never"
    reason         why it waits, or never arrives
    next_at        when it is tried again
    failing_since  since when its host takes nothing
    """

    inbox: str
    host: str
    state: str
    attempts: int = 0
    reason: str | None = None
    next_at: datetime | None = None
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The last thing that was said about an object, and where it has got to."""

    activity: str
    type: str
    sent_at: datetime
    to: tuple[Delivery, ...]

    def count(self, state: str) -> int:
        """How many are in that state."""
        return sum(one.state == state for one in self.to)


async def deliveries_of(session: AsyncSession, url: str) -> Deliveries | None:
    """Where the last public activity about an object of ours has got to; None when there was none."""
    sent = await _last_said(session, url)
    if sent is None:
        return None
    inboxes = await _inboxes(session, sent)
    jobs: dict[str, Job] = {}
    for start in range(0, len(inboxes), AT_ONCE):
        keys = [delivery_key(sent.id, inbox) for inbox in inboxes[start : start + AT_ONCE]]
        found = await session.scalars(select(Job).where(Job.key.in_(keys)))
        jobs |= {job.key: job for job in found if job.key is not None}
    failing = await _failing(session, [host_of(inbox) for inbox in inboxes])
    return Deliveries(
        activity=sent.id,
        type=sent.type,
        sent_at=sent.sent_at,
        to=tuple(
            _delivery(inbox, jobs.get(delivery_key(sent.id, inbox)), failing.get(host_of(inbox)))
            for inbox in inboxes
        ),
    )


async def progress_of(session: AsyncSession, url: str) -> dict[str, int]:
    """How many have the last public activity about an object of ours, wait for it or never get it, without a word about each."""
    sent = await _last_said(session, url)
    if sent is None:
        return {"has": 0, "waiting": 0, "never": 0}
    keys = [delivery_key(sent.id, inbox) for inbox in await _inboxes(session, sent)]
    counted = select(Job.dead_at.is_(None), func.count()).where(among(Job.key, keys))
    found = {waits: many for waits, many in await session.execute(counted.group_by(Job.dead_at.is_(None)))}
    waiting, never = found.get(True, 0), found.get(False, 0)
    return {"has": len(keys) - waiting - never, "waiting": waiting, "never": never}


async def try_now(session: AsyncSession, url: str, inbox: str, *, now: datetime) -> None:
    """Deliver the last thing that was said about an object there now, also when it was given up. Raises NotFound when it has it."""
    sent = await _last_said(session, url)
    if sent is None or not await lanes.try_now(session, delivery_key(sent.id, inbox), now=now):
        raise NotFound("nothing waits for that inbox")


async def still_told(session: AsyncSession, inboxes: Iterable[str]) -> list[str]:
    """Of inboxes that something of ours went to, those that are told when it is withdrawn, whether or not anybody there still follows.

    Of one site MOST_INBOXES: who is not blocked before who is, from whom it is withheld; then each host has a place before one has a second.
    """
    found = sorted(set(inboxes))
    shut = await blocked(session, {host_of(inbox) for inbox in found})
    of_host: Counter[str] = Counter()
    ranked: list[tuple[bool, int, str]] = []
    for inbox in found:
        host = host_of(inbox)
        ranked.append((host in shut, of_host[host], inbox))
        of_host[host] += 1
    of_site: Counter[str] = Counter()
    told = []
    for *_, inbox in sorted(ranked):
        site = site_of(host_of(inbox))
        of_site[site] += 1
        if of_site[site] <= MOST_INBOXES:
            told.append(inbox)
    return told


async def _inboxes(session: AsyncSession, sent: Sent) -> list[str]:
    told = await session.get(SentTo, sent.id)
    return told.inboxes.split("\n") if told else []


async def _last_said(session: AsyncSession, url: str) -> Sent | None:
    return await session.scalar(
        select(Sent)
        .where(Sent.object_id == url, Sent.is_public.is_(True), Sent.type.in_(("Create", "Update", "Delete")))
        .order_by(Sent.sent_at.desc(), Sent.id.desc())
        .limit(1)
    )


async def _failing(session: AsyncSession, hosts: Sequence[str]) -> dict[str, datetime]:
    names = sorted(set(hosts))
    found: dict[str, datetime] = {}
    for start in range(0, len(names), AT_ONCE):
        rows = await session.execute(
            select(Host.name, Host.failing_since).where(
                Host.name.in_(names[start : start + AT_ONCE]), Host.failing_since.is_not(None)
            )
        )
        found |= {name: since for name, since in rows if since is not None}
    return found


def _delivery(inbox: str, job: Job | None, failing_since: datetime | None) -> Delivery:
    host = host_of(inbox)
    if job is None:
        return Delivery(inbox, host, "has")
    state = "waiting" if job.dead_at is None else "never"
    return Delivery(
        inbox,
        host,
        state,
        attempts=job.attempts,
        reason=job.last_reason,
        next_at=job.not_before if state == "waiting" else None,
        failing_since=failing_since,
    )
