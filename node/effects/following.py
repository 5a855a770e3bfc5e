"""Who follows whom: what others say of it, and where somebody who is followed lives."""

from typing import Any

from node.effects.moving import move_in
from node.effects.proving import RefusedActivity
from node.effects.undone import was_unfollowed
from node.peers import network, witness
from node.peers.directory import find_actor
from node.peers.follows import read_back, receive_answer, receive_block, receive_follow
from node.peers.hosts import Standing, standings
from node.peers.ours import local_actor_at
from node.runtime import Node
from vocab import properties
from vocab.activities import Activity
from vocab.properties import simplified
from vocab.terms import PUBLIC, PUBLIC_ALIASES


async def on_follow(node: Node, activity: Activity) -> None:
    """Somebody follows one of our actors; or, at a hub, everything public that its members say (FEP-ae0c, as Mastodon asks relays)."""
    asked = activity.object_id or ""
    is_relay = asked in PUBLIC_ALIASES and node.settings.is_hub
    us = local_actor_at(node.settings, node.settings.main_actor if is_relay else asked)
    if us is None:
        raise RefusedActivity("Follow of an actor that is not ours")
    them = await find_actor(node, activity.actor)
    async with node.database.begin() as session:
        if await was_unfollowed(session, id=activity.id, actor=them.id, now=node.clock.now()):
            raise RefusedActivity("a Follow that was taken back before it came")
        standing = (await standings(session, node.settings, [them.host]))[them.host]
        # The instance actor says nothing to followers; but who is not answered waits for ever (ActivityPub §7.5).
        welcome = standing is not Standing.SHUT and us.id != node.settings.instance_actor
        await receive_follow(
            session,
            node.settings,
            node.keyring,
            us=us,
            them=them,
            activity=activity.raw,
            welcome=welcome,
            now=node.clock.now(),
            followed=PUBLIC if is_relay else None,
        )
        if (
            welcome
            and node.settings.hub
            and not node.settings.is_hub
            and them.id == f"{node.settings.hub}/actors/hub"
        ):
            await network.hub_follows(session, node.settings.hub, now=node.clock.now())
    await node.bell.ring()


async def on_accept(node: Node, activity: Activity) -> None:
    """An organisation accepts our Follow; what it published before is fetched afterwards, once."""
    now = node.clock.now()
    async with node.database.begin() as session:
        is_news = await receive_answer(session, **_answered(activity), accepted=True, now=now)
        if is_news is None:
            raise RefusedActivity("Accept of a Follow that we did not send")
        if not is_news:
            # Else each Accept more, of a few words, would make us read a whole outbox.
            return
        await read_back(session, activity.actor, now=now)
        await witness.watch(session, activity.actor, now=now)
    await node.bell.ring()


async def on_reject(node: Node, activity: Activity) -> None:
    """An organisation refuses our Follow, or ends it."""
    async with node.database.begin() as session:
        is_news = await receive_answer(session, **_answered(activity), accepted=False, now=node.clock.now())
    if is_news is None:
        raise RefusedActivity("Reject of a Follow that we did not send")


async def on_block(node: Node, activity: Activity) -> None:
    """Somebody wants nothing of us any more: follows end both ways, and nobody is told."""
    us = local_actor_at(node.settings, activity.object_id or "")
    if us is None:
        raise RefusedActivity("Block of an actor that is not ours")
    async with node.database.begin() as session:
        await receive_block(session, by=activity.actor, us=us.id, now=node.clock.now())


async def on_move(node: Node, activity: Activity) -> None:
    """An actor that we follow, or that follows us, lives elsewhere now: believed when both accounts say so."""
    if activity.object_id != activity.actor or activity.target is None:
        raise RefusedActivity("Move of somebody else")
    await move_in(node, activity.actor, activity.target)


def _answered(activity: Activity) -> dict[str, Any]:
    inner = simplified(activity.object or {})
    return {
        "by": activity.actor,
        "follow_id": activity.object_id,
        "follower": properties.iri(inner, "actor"),
        "followed": properties.iri(inner, "object"),
    }
