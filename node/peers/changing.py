"""Our own actors change: new keys, another address. Said to followers by Update and Move (FEP-7628, out)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from federation.keys import Signer
from federation.proofs import attach
from node.errors import Conflict, NotAllowed
from node.keyring import Keyring
from node.peers.directory import ask_actor
from node.peers.follows import count_followers, follower_inboxes
from node.peers.ours import LocalActor, actor_document, aliases_of, local_actors, say_alias, shown_keys
from node.peers.sending import new_activity_id, send
from node.runtime import Node
from node.settings import Settings
from vocab import activities
from vocab.actors import write_multikeys
from vocab.jsonld import write
from vocab.properties import written
from vocab.terms import ACTOR_CONTEXT, PUBLIC

STATEMENT = "/.well-known/social-rights-tracker/keys"


async def rotate_keys(node: Node) -> Keyring:
    """Make new federation keys, and tell every follower with the old ones; returns the new keyring.

    A running server takes them up by itself. Old proofs stay good: the old public keys
    remain in the actor's document, with the day they were retired.
    """
    now = node.clock.now()
    renewed = node.keyring.rotate(node.settings, now=now)
    async with node.database.begin() as session:
        # Signed with the old key: whoever knows us believes the new one for its sake.
        await tell_of_change(session, node.settings, node.keyring, shown=renewed, now=now)
    await node.bell.ring()
    return renewed


async def tell_of_loss(node: Node, *, root: Signer | None = None) -> bool:
    """Say that keys were lost, after `Keyring.replace_lost`; returns whether the organisation root signed that.

    The Update goes out under the new keys: the old ones sign nothing any more, and whoever gets it asks our actor.
    root   the organisation root, from where it is kept (`as_prover`); without it, the one of this server if it has one.
    """
    now = node.clock.now()
    root = root or node.keyring.root_prover()
    if root is not None:
        statement = attach(key_statement(node.settings, node.keyring, now=now), root, now=now)
        await asyncio.to_thread(statement_file(node.settings).write_bytes, write(statement))
    async with node.database.begin() as session:
        await tell_of_change(session, node.settings, node.keyring, now=now)
    await node.bell.ring()
    return root is not None


def key_statement(settings: Settings, keyring: Keyring, *, now: datetime) -> dict[str, Any]:
    """Which keys prove what our main actor says, and which have ended and when, to be signed by the organisation root."""
    return {
        "@context": ACTOR_CONTEXT,
        "id": f"{settings.origin}{STATEMENT}",
        "attributedTo": settings.main_actor,
        "published": written(now),
        "assertionMethod": write_multikeys(shown_keys(keyring, settings.main_actor)),
    }


def statement_file(settings: Settings) -> Path:
    """Where the signed statement lies, once there is one."""
    return settings.data / "keys" / "statement.json"


async def announce_move(node: Node, new_id: str) -> None:
    """Say that our main actor lives at `new_id` from now on: to whoever asks, and to its followers.

    Raises NotAllowed unless the new account names ours in `alsoKnownAs`; FetchError when it cannot be asked.
    """
    ours = node.settings.main_actor
    if new_id.startswith(f"{node.settings.origin}/"):
        raise NotAllowed("that is this server itself")
    new = await ask_actor(node, new_id, invited=True)
    if ours not in new.also_known_as:
        raise NotAllowed(
            f"{new_id} does not say that it was {ours}: run `tracker keys also-known-as {ours}` on the new server first"
        )
    now = node.clock.now()
    async with node.database.begin() as session:
        known = [one.other for one in await aliases_of(session, ours) if one.kind == "moved-to"]
        if known and known != [new.id]:
            raise Conflict(f"this server has moved to {known[0]} already")
        await say_alias(session, ours, new.id, "moved-to", now=now)
        await session.flush()
        await tell_of_change(session, node.settings, node.keyring, now=now)
        move = activities.move(
            new_activity_id(node.settings), ours, new.id, to=[PUBLIC], cc=[f"{ours}/followers"], published=now
        )
        await send(
            session,
            node.keyring,
            move,
            inboxes=await follower_inboxes(session, ours),
            now=now,
            is_public=True,
        )
    await node.bell.ring()


async def tell_of_change(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    shown: Keyring | None = None,
    now: datetime,
) -> None:
    """Send the followers of each of our actors how it describes itself now.

    keyring  signs.
    shown    whose public keys are described; the same, when none is given.
    """
    for actor in await _followed(session, settings):
        described = actor_document(
            settings,
            shown or keyring,
            actor,
            published=keyring.born,
            aliases=await aliases_of(session, actor.id),
        )
        update = activities.update(
            new_activity_id(settings), actor.id, described, to=[PUBLIC], cc=[actor.followers], published=now
        )
        inboxes = await follower_inboxes(session, actor.id)
        await send(session, keyring, update, inboxes=inboxes, now=now, is_public=True)


async def _followed(session: AsyncSession, settings: Settings) -> Sequence[LocalActor]:
    return [
        actor
        for actor in local_actors(settings)
        if actor.id == settings.main_actor or await count_followers(session, actor.id)
    ]
