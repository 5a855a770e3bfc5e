"""What was taken back before it came: whoever was quicker with the Undo than with the Like has liked nothing.

A server that cannot deliver the one tries again, and the other arrives meanwhile; so may what a group passes on. Of the Undo only a
digest is kept, beside those of what came in, and it goes with them; it counts for as long as others may still be trying.
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Entry
from node.inbox.keeping import EMPTIED, KEEP, Received
from node.publishing.reactions import Reaction
from node.runtime import Node
from vocab import properties
from vocab.activities import Activity

# Longer than others try to deliver. Nobody waits for it who likes anew under another id.
REMEMBERED_FOR = timedelta(days=7)
# Of what has no id nothing tells what comes late from what is done again.
WITHOUT_AN_ID_FOR = timedelta(hours=1)
# What is taken back with the activity of that type.
REACTIONS = {"Like": "like", "EmojiReact": "like", "Announce": "boost"}


async def expect_taken_back(node: Node, undo: Activity) -> None:
    """Remember a like or boost that is not here, and that its actor takes back: by its id, or where it names none by what it was of.

    Committed before anything is dropped: one that is being kept at the same moment looks for this once it is kept.
    """
    kind = REACTIONS.get(undo.object_type or "")
    liked = properties.iri(undo.object or {}, "object")
    if undo.object_type is not None and kind is None:
        return
    async with node.database.begin() as session:
        if liked is not None:
            case = await session.get(Entry, liked)
            if case is None or not case.own:
                return
        if undo.object_id:
            known, what = Reaction.id == undo.object_id, undo.object_id
        elif kind is not None and liked is not None:
            known, what = (Reaction.case_url == liked) & (Reaction.kind == kind), f"{kind} {liked}"
        else:
            return
        here = select(Reaction.id).where(known, Reaction.actor == undo.actor).limit(1)
        if await session.scalar(here) is None:
            digest = _digest(undo.actor, what)
            await KEEP.run(session, [{**EMPTIED, "digest": digest, "received_at": node.clock.now()}])


async def was_taken_back(
    session: AsyncSession, *, id: str, kind: str, case_url: str, actor: str, now: datetime
) -> bool:
    """Whether its actor took that like or boost back before it came."""
    by_id, by_case = _digest(actor, id), _digest(actor, f"{kind} {case_url}")
    found = select(Received.digest).where(
        or_(
            (Received.digest == by_id) & (Received.received_at > now - REMEMBERED_FOR),
            (Received.digest == by_case) & (Received.received_at > now - WITHOUT_AN_ID_FOR),
        )
    )
    return await session.scalar(found.limit(1)) is not None


def _digest(actor: str, what: str) -> bytes:
    # No address begins so: it is no digest of anything that came in.
    return hashlib.sha256(f"undone\n{actor}\n{what}".encode()).digest()
