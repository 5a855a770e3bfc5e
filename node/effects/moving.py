"""An actor moves to another server: FEP-7628, in. Each step is asked anew of both accounts; nothing of the Move itself is believed."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.effects.proving import RefusedActivity
from node.peers.actors import RemoteActor, host_of, remember_actor
from node.peers.directory import ask_actor
from node.peers.follows import Follow, between, follow, follows, unfollow
from node.peers.hosts import Standing, standings
from node.peers.ours import local_actor_at
from node.runtime import Node

log = logging.getLogger(__name__)

# As Mastodon has it: whoever moves more often moves our followers about.
NOT_AGAIN_FOR = timedelta(days=7)


async def move_in(node: Node, old_id: str, new_id: str) -> None:
    """Follow the new account in the place of the old, and send to the new what the old one followed.

    Believed when the old account says `movedTo` and the new one `alsoKnownAs`, both fetched now; once in seven days.
    Raises RefusedActivity, FetchError.
    """
    now = node.clock.now()
    async with node.database.read() as session:
        known = await session.get(RemoteActor, old_id)
        concerned = await session.scalar(
            select(Follow.id)
            .where((Follow.followed == old_id) | (Follow.follower == old_id), Follow.state == "accepted")
            .limit(1)
        )
        is_followed = await follows(session, node.settings.main_actor, old_id)
        found = await standings(session, node.settings, [host_of(old_id), host_of(new_id)])
    if known is None or concerned is None:
        raise RefusedActivity("Move of somebody who is nothing to us")
    _require_settled(known, now=now)
    if host_of(new_id) == node.settings.authority or new_id == old_id:
        raise RefusedActivity("Move to ourselves")
    if found[host_of(new_id)] is not Standing.OPEN:
        raise RefusedActivity("Move to a host that is shut out")
    if found[host_of(old_id)] is not Standing.OPEN:
        # Under another name nothing would be limited. Whoever follows us from there may follow anew.
        raise RefusedActivity("Move from a host that may only follow")
    old = await ask_actor(node, old_id)
    if old.id != old_id or old.moved_to != new_id:
        raise RefusedActivity("the old account does not say movedTo")
    # Who follows us, and only says so, could name one account of somebody else's server after the other.
    new = await ask_actor(node, new_id, for_stranger=not is_followed)
    if new.id != new_id or old_id not in new.also_known_as:
        raise RefusedActivity("the new account does not say alsoKnownAs")
    if new.moved_to is not None:
        raise RefusedActivity("a chain of moves")
    async with node.database.begin() as session:
        before = await remember_actor(session, old, now=now)
        # The Move and the daily look may find it in the same moment: whoever comes second waits for the row, and has nothing to do.
        _require_settled(before, now=now)
        after = await remember_actor(session, new, now=now)
        before.moved_to, before.moved_at = new_id, now
        if after.moved_at is None:
            # The new account must not be moved on at once either.
            after.moved_at = now
        rows = await session.scalars(
            select(Follow).where(
                (Follow.followed == old_id) | (Follow.follower == old_id), Follow.state == "accepted"
            )
        )
        for row in list(rows):
            us = local_actor_at(node.settings, row.follower if row.followed == old_id else row.followed)
            if us is None:
                continue
            if row.followed == old_id:
                if not await _was_ended(session, us.id, after):
                    await follow(session, node.settings, node.keyring, us=us, them=after, now=now)
                await unfollow(session, node.settings, node.keyring, us=us, them=before, now=now)
                continue
            row.move("undone", now)
            earlier = await between(session, new_id, us.id)
            if earlier is not None and earlier.state == "undone" and _moved_away(earlier, after):
                earlier.move("requested", now)
                earlier.move("accepted", now)
            elif earlier is None:
                taken_over = Follow(
                    activity_id=row.activity_id, follower=new_id, followed=us.id, state="accepted"
                )
                taken_over.activity, taken_over.changed_at = row.activity, now
                session.add(taken_over)
    log.info("actor.moved", extra={"host": host_of(old_id), "to": host_of(new_id)})
    await node.bell.ring()


def _require_settled(them: RemoteActor, *, now: datetime) -> None:
    """Raises RefusedActivity where they moved not long ago."""
    if them.moved_at is not None and now - them.moved_at < NOT_AGAIN_FOR:
        raise RefusedActivity("moved within the last seven days")


async def _was_ended(session: AsyncSession, us: str, them: RemoteActor) -> bool:
    """Whether we followed them before, and it was ended: no other account brings back whom people here let go, or who refused.

    It is no such end that they moved away themselves: who returns is followed again.
    """
    earlier = await between(session, us, them.id)
    return earlier is not None and earlier.state in {"rejected", "undone"} and not _moved_away(earlier, them)


def _moved_away(earlier: Follow, them: RemoteActor) -> bool:
    """Whether it was their last move that ended a follow, and nobody's decision before it or since."""
    return them.moved_to is not None and earlier.changed_at == them.moved_at
