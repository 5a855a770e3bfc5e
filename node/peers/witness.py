"""A witness of other nodes' intake manifests: the lists of keys sources seal to, kept as they were seen, day by day.

A server that shows one list to a source and another to the rest needs its organisation's root key to do so, and two lists of
one epoch then exist. Nobody notices alone; so each node looks once a day at those it follows and keeps every list it saw. The
root of a node is taken as first seen; another one later is a fork too.
What it protects, and what it does not: SECURITY.md.
"""

import logging
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import BigInteger, Date, Integer, Select, String, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.client import exchange
from federation.errors import FederationError
from node import outbox
from node.database import Row
from node.outbox import Done, Job, Outcome, Turn
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import require_open
from node.peers.follows import Follow
from node.runtime import Node
from node.sealing.errors import ManifestForked, SealingError
from node.sealing.manifest import VerifiedManifest, check_succession, named_in, verify_manifest

log = logging.getLogger(__name__)

PATH = "/.well-known/social-rights-tracker/intake"
MAX_BYTES = 1024 * 1024
EVERY = timedelta(days=1)
# Of one node: more than a year of a new list each day, which nobody makes who means well.
MOST_KEPT = 400
KIND = "witness-manifest"
# A node numbers its lists as it likes, below 2^53, and sources take them: one that could not be kept would be no evidence.
EPOCH = BigInteger().with_variant(Integer(), "sqlite")


class WitnessedManifest(Row):
    """One list as it was served to us. A forked one is kept beside the one it contradicts: each is evidence."""

    __tablename__ = "witnessed_manifests"

    node: Mapped[str] = mapped_column(String(300), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    epoch: Mapped[int] = mapped_column(EPOCH)
    root: Mapped[str] = mapped_column(String(64))
    seen_on: Mapped[date] = mapped_column(Date)
    is_forked: Mapped[bool] = mapped_column(default=False)
    body: Mapped[bytes]


_LISTS = WitnessedManifest.__table__.c
_SEEN = (
    select(_LISTS.sha256, _LISTS.is_forked)
    .where(_LISTS.node == bindparam("node"))
    .order_by(_LISTS.epoch, _LISTS.seen_on)
)


async def watch(session: AsyncSession, actor_id: str, *, now: datetime) -> None:
    """Look at the list of this actor's node now, and from then on every day while we follow it."""
    await _ask(session, _origin(actor_id), due=now, now=now)


async def watch_followed(session: AsyncSession, follower: str, *, now: datetime) -> None:
    """Look at the lists of all whom this actor of ours follows, where no look is under way: follows may be older than looking."""
    found = await session.scalars(select(Job.payload).where(Job.kind == KIND, Job.dead_at.is_(None)))
    under_way = {str(payload["node"]) for payload in found}
    followed = {_origin(one) for one in await session.scalars(_followed(follower))}
    await outbox.enqueue_many(
        session, [_order(one, due=now) for one in sorted(followed - under_way)], now=now
    )


async def look(node: Node, job: Turn) -> Outcome:
    """Fetch one node's list, keep it, and say loudly when it contradicts an earlier one. Safe to repeat."""
    origin = str(job.payload["node"])
    now = node.clock.now()
    async with node.database.read() as session:
        # Of that host alone: a hub follows thousands, and looks at the list of each.
        theirs = RemoteActor.host == host_of(origin)
        found = await session.scalars(_followed(node.settings.main_actor).where(theirs))
        is_followed = any(_origin(one) == origin for one in found)
    if not is_followed:
        return Done()
    body = await _fetch(node, origin)
    async with node.database.begin() as session:
        if body is not None:
            await keep(session, origin, body, now=now)
        await _ask(session, origin, due=now + EVERY, now=now)
    return Done()


async def keep(session: AsyncSession, origin: str, body: bytes, *, now: datetime) -> WitnessedManifest | None:
    """Keep a list that holds; returns it, forked or not, or None for one that is no list or not this node's.

    Of more than `MOST_KEPT` the oldest goes for it, but never the first, nor one that contradicts another: without one to go, None.
    """
    try:
        named = named_in(body)
        seen = verify_manifest(body, node=origin, root=named.root, now=now)
    except SealingError as error:
        log.warning("manifest.refused", extra={"node": origin, "reason": type(error).__name__})
        return None
    known = await session.get(WitnessedManifest, (origin, seen.sha256))
    if known is not None:
        return known
    earlier = (await session.execute(_SEEN, {"node": origin})).all()
    is_forked = False
    for sha256, _ in earlier:
        # One by one: each may be large.
        one = await session.get_one(WitnessedManifest, (origin, sha256))
        is_forked = is_forked or _contradict(_as_seen(one), seen)
        session.expunge(one)
    if len(earlier) >= MOST_KEPT:
        # The first stays, for it says whose lists these are, and so does what is evidence.
        spare = [sha256 for sha256, is_evidence in earlier[1:] if not is_evidence]
        if not spare:
            log.error(
                "manifest.too-many", extra={"node": origin, "epoch": named.epoch, "sha256": seen.sha256}
            )
            return None
        await session.delete(await session.get_one(WitnessedManifest, (origin, spare[0])))
    row = WitnessedManifest(
        node=origin,
        sha256=seen.sha256,
        epoch=named.epoch,
        root=named.root,
        seen_on=now.date(),
        is_forked=is_forked,
        body=body,
    )
    session.add(row)
    await session.flush()
    if row.is_forked:
        log.error("manifest.forked", extra={"node": origin, "epoch": row.epoch, "sha256": row.sha256})
    return row


async def seen_of(session: AsyncSession, origin: str) -> Sequence[WitnessedManifest]:
    """Every list of a node that was seen, in order of its epochs."""
    found = await session.scalars(
        select(WitnessedManifest)
        .where(WitnessedManifest.node == origin)
        .order_by(WitnessedManifest.epoch, WitnessedManifest.seen_on)
    )
    return found.all()


async def forked(session: AsyncSession) -> Sequence[WitnessedManifest]:
    """Every list that contradicts an earlier one."""
    return (await session.scalars(select(WitnessedManifest).where(WitnessedManifest.is_forked))).all()


def _contradict(older: VerifiedManifest, newer: VerifiedManifest) -> bool:
    if newer.manifest.epoch < older.manifest.epoch:
        # An earlier epoch that was served late: it must be what the later one follows.
        older, newer = newer, older
    try:
        check_succession(older, newer)
    except ManifestForked:
        return True
    return False


def _as_seen(row: WitnessedManifest) -> VerifiedManifest:
    # It was verified on the day it was seen; its time may be over by now.
    return VerifiedManifest(named_in(row.body), row.sha256)


async def _fetch(node: Node, origin: str) -> bytes | None:
    url = f"{origin}{PATH}"
    try:
        await require_open(node, url)
        answer = await exchange(node.http, "GET", url, max_body_bytes=MAX_BYTES)
    except FederationError as error:
        log.info("manifest.unseen", extra={"node": origin, "reason": type(error).__name__})
        return None
    return answer.body if answer.status == 200 else None


async def _ask(session: AsyncSession, origin: str, *, due: datetime, now: datetime) -> None:
    await outbox.enqueue_many(session, [_order(origin, due=due)], now=now)


def _followed(follower: str) -> Select[str]:
    return (
        select(Follow.followed)
        .join(RemoteActor, RemoteActor.id == Follow.followed)
        .where(Follow.follower == follower, Follow.state == "accepted")
    )


def _order(origin: str, *, due: datetime) -> outbox.Order:
    return outbox.Order(
        KIND,
        {"node": origin},
        lane=f"chore:witness:{urlsplit(origin).netloc}",
        key=f"witness:{due.date()}:{origin}",
        not_before=due,
    )


def _origin(actor_id: str) -> str:
    parts = urlsplit(actor_id)
    return f"{parts.scheme}://{parts.netloc}"
