"""Once a day, look again at those whom we follow or show and who have been silent for longest: what they say of themselves may have changed.

Whoever agreed to be searched, or moved, may have said otherwise in an Update or a Move that never came; and a node that was restored from a
backup may have forgotten that we follow it. Few are asked at a time, and of one host fewer. What cannot be had just now leaves all as it is; who was not there twice, days apart, counts as gone.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from federation.errors import FederationError, FetchError, Mismatch, NotThere, Unreachable
from node import outbox
from node.effects.moving import move_in
from node.effects.proving import RefusedActivity
from node.effects.searching import heed
from node.entries.entries import SHOWN, Entry
from node.outbox import LEASE, Done, Outcome, Turn
from node.peers.actors import RemoteActor, forget_actor, host_of
from node.peers.directory import ask_actor, keep_actor
from node.peers.follows import Follow, follows
from node.peers.synchronising import ask_who_follows
from node.runtime import Node
from vocab.errors import VocabError

log = logging.getLogger(__name__)

KIND = "look-again"
# As Mastodon has it for profiles that nothing was heard of.
STALE_AFTER = timedelta(days=7)
GONE_AFTER = timedelta(days=3)
MOST = 100
# Then whoever is left waits until tomorrow: with one more that never answers the job still ends before its lease does.
AT_MOST = LEASE / 3
MOST_OF_A_HOST = 10


async def look_tomorrow(session: AsyncSession, *, now: datetime) -> None:
    """See to it that somebody is looked at again in a day; twice on one day is once."""
    await outbox.enqueue_tomorrow(session, KIND, now=now, at=now.time())


async def look_again(node: Node, job: Turn) -> Outcome:
    """Ask the servers of those who were silent for longest how they describe themselves now. Safe to repeat."""
    now = node.clock.now()
    async with node.database.read() as session:
        silent = await _silent(session, now=now)
    down: set[str] = set()
    for actor_id in silent:
        if node.clock.now() - now > AT_MOST:
            break
        host = host_of(actor_id)
        # Also one that is not asked, for its host is down, has had its turn: it must not stand before others tomorrow.
        if host in down or not await _look(node, actor_id, now=now):
            down.add(host)
            await _note(node, actor_id, now=now)
    async with node.database.begin() as session:
        await look_tomorrow(session, now=now)
    return Done()


async def _silent(session: AsyncSession, *, now: datetime) -> Sequence[str]:
    """Whom we follow or show and have not asked for long, the longest first; of one host not too many."""
    asked_at = func.coalesce(RemoteActor.looked_at, RemoteActor.fetched_at)
    followed = select(Follow.followed).where(Follow.state == "accepted")
    shown = select(Entry.actor).where(Entry.own.is_(False), Entry.state.in_(SHOWN))
    place = func.row_number().over(partition_by=RemoteActor.host, order_by=(asked_at, RemoteActor.id))
    found = (
        select(RemoteActor.id, asked_at.label("asked_at"), place.label("place"))
        .where(
            RemoteActor.gone_at.is_(None),
            asked_at <= now - STALE_AFTER,
            or_(RemoteActor.id.in_(followed), RemoteActor.id.in_(shown)),
        )
        .subquery()
    )
    fair = (
        select(found.c.id)
        .where(found.c.place <= MOST_OF_A_HOST)
        .order_by(found.c.asked_at, found.c.id)
        .limit(MOST)
    )
    return (await session.scalars(fair)).all()


async def _look(node: Node, actor_id: str, *, now: datetime) -> bool:
    """Keep what an actor says of itself now; False when its server cannot be asked just now."""
    try:
        # One address may be many requests: each that it leads to, in both dialects, and its keys.
        async with asyncio.timeout(AT_MOST.total_seconds()):
            actor = await ask_actor(node, actor_id)
        if actor.id != actor_id:
            raise Mismatch("another actor is found there", url=actor_id)
    except TimeoutError:
        return False
    except FetchError as error:
        log.info("actor.unseen", extra={"host": host_of(actor_id), "reason": str(error)})
        if isinstance(error, Unreachable):
            return False
        await _note(node, actor_id, is_missing=isinstance(error, NotThere), now=now)
        return True
    async with node.database.begin() as session:
        row = await keep_actor(session, actor, now=now)
        if row.is_network and await follows(session, node.settings.main_actor, actor_id):
            await ask_who_follows(session, actor_id, now=now)
        moved_to = actor.moved_to if actor.moved_to != row.moved_to else None
    await heed(node, actor.id)
    if moved_to is not None:
        try:
            await move_in(node, actor_id, moved_to)
        except (RefusedActivity, FederationError, VocabError) as error:
            log.info("actor.not-moved", extra={"host": host_of(actor_id), "reason": str(error)})
    return True


async def _note(node: Node, actor_id: str, *, is_missing: bool = False, now: datetime) -> None:
    """It was asked for in vain. Missing a second time, days after the first, it counts as gone, until it is heard from."""
    async with node.database.begin() as session:
        row = await session.get(RemoteActor, actor_id)
        if row is None:
            return
        row.looked_at = now
        if not is_missing:
            return
        row.missing_since = row.missing_since or now
        if now - row.missing_since >= GONE_AFTER:
            log.warning("actor.gone", extra={"host": row.host})
            await forget_actor(session, actor_id, now=now)
