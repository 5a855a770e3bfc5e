"""What was taken back before it came: whoever was quicker with the Undo than with the Like has liked nothing, and follows nobody.

A server that cannot deliver the one tries again, and the other arrives meanwhile; so may what a group passes on. Of the Undo only a
digest is kept, beside those of what came in, and it goes with them; it counts for as long as others may still be trying.
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Entry
from node.inbox.keeping import EMPTIED, KEEP, Received
from node.peers.follows import between, followed_by_activity
from node.peers.ours import local_actor_at
from node.publishing.reactions import Reaction
from node.runtime import Node
from node.settings import Settings
from vocab import properties
from vocab.activities import Activity
from vocab.terms import PUBLIC, PUBLIC_ALIASES

# Longer than others try to deliver. Nobody waits for it who likes anew under another id.
REMEMBERED_FOR = timedelta(days=7)
# Of what has no id nothing tells what comes late from what is done again.
WITHOUT_AN_ID_FOR = timedelta(hours=1)
# What is taken back with the activity of that type.
REACTIONS = {"Like": "like", "EmojiReact": "like", "Announce": "boost"}


async def expect_taken_back(node: Node, undo: Activity) -> None:
    """Remember what is not here and is taken back: by its id, or a like or boost that names none by what it was of.

    Committed before anything is dropped: one that is being kept at the same moment looks for this once it is kept.
    """
    async with node.database.begin() as session:
        if undo.object_type == "Follow":
            missing = await _follow_missing(session, node.settings, undo)
        else:
            missing = await _reaction_missing(session, undo)
        if missing is not None:
            digest = _digest(undo.actor, missing)
            await KEEP.run(session, [{**EMPTIED, "digest": digest, "received_at": node.clock.now()}])


async def _follow_missing(session: AsyncSession, settings: Settings, undo: Activity) -> str | None:
    """The id of a Follow of one of ours that did not come yet; None where it came, or any other stands that this ends."""
    followed = properties.iri(undo.object or {}, "object") or ""
    is_of_all = followed in PUBLIC_ALIASES and settings.is_hub
    if undo.object_id is None or not (is_of_all or local_actor_at(settings, followed)):
        return None
    known = await between(session, undo.actor, PUBLIC if is_of_all else followed)
    if known is not None and (known.activity_id == undo.object_id or known.stands):
        return None
    return undo.object_id


async def _reaction_missing(session: AsyncSession, undo: Activity) -> str | None:
    """The same of a like or boost of a case of ours, or of whatever is named by its id alone."""
    kind = REACTIONS.get(undo.object_type or "")
    liked = properties.iri(undo.object or {}, "object")
    if undo.object_type is not None and kind is None:
        return None
    if liked is not None:
        case = await session.get(Entry, liked)
        if case is None or not case.own:
            return None
    if undo.object_id:
        known, what = Reaction.id == undo.object_id, undo.object_id
        if await followed_by_activity(session, undo.object_id, follower=undo.actor) is not None:
            return None
    elif kind is not None and liked is not None:
        known, what = (Reaction.case_url == liked) & (Reaction.kind == kind), f"{kind} {liked}"
    else:
        return None
    here = select(Reaction.id).where(known, Reaction.actor == undo.actor).limit(1)
    return what if await session.scalar(here) is None else None


async def was_taken_back(
    session: AsyncSession, *, id: str, kind: str, case_url: str, actor: str, now: datetime
) -> bool:
    """Whether its actor took that like or boost back before it came."""
    return await _is_expected(session, actor, id, f"{kind} {case_url}", now=now)


async def was_unfollowed(session: AsyncSession, *, id: str, actor: str, now: datetime) -> bool:
    """Whether its actor took the Follow with that id back before it came."""
    return await _is_expected(session, actor, id, None, now=now)


async def _is_expected(
    session: AsyncSession, actor: str, id: str, without_id: str | None, *, now: datetime
) -> bool:
    counts = [(Received.digest == _digest(actor, id)) & (Received.received_at > now - REMEMBERED_FOR)]
    if without_id is not None:
        since = Received.received_at > now - WITHOUT_AN_ID_FOR
        counts.append((Received.digest == _digest(actor, without_id)) & since)
    return await session.scalar(select(Received.digest).where(or_(*counts)).limit(1)) is not None


def _digest(actor: str, what: str) -> bytes:
    # No address begins so: it is no digest of anything that came in.
    return hashlib.sha256(f"undone\n{actor}\n{what}".encode()).digest()
