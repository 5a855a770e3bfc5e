"""Somebody asks whether they may quote a case of ours (FEP-044f), or answer, like or pass it on (GoToSocial). Everybody may.

The stamp that says so is served while the case is. Nothing of a post is fetched or shown; a reply waits for the desk like any other.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from node.effects.proving import RefusedActivity
from node.effects.undone import was_taken_back
from node.entries.entries import Entry
from node.peers.actors import is_at_home
from node.peers.directory import find_actor
from node.peers.sending import new_activity_id, send
from node.publishing.reactions import COUNTED_ONCE, Reaction, count_of, keep_reaction
from node.publishing.stamps import QUOTE, stamp_address
from node.runtime import Node
from vocab import activities, properties
from vocab.activities import Activity
from vocab.positions import read_position
from vocab.terms import STAMP_CONTEXT

# Posts of one actor that quote one case, or answer it by asking: each is kept for as long as the case.
MAX_ASKED = 20

# type of the request → as what the instrument is kept, and where it names the case. Of a post that quotes only whose it is is looked at.
REQUESTS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {
        "QuoteRequest": (QUOTE, None),
        "ReplyRequest": ("reply", "inReplyTo"),
        "LikeRequest": ("like", "object"),
        "AnnounceRequest": ("boost", "object"),
    }
)


async def on_request(node: Node, activity: Activity) -> None:
    """Note who does what with which case, and answer with the address of the stamp."""
    kind, naming = REQUESTS[activity.type]
    asked = properties.simplified(activity.raw)
    instrument = properties.iri(asked, "instrument")
    if instrument is None or not properties.is_http(instrument):
        raise RefusedActivity(f"{activity.type} without what is asked for")
    if not is_at_home(instrument, activity.actor):
        raise RefusedActivity(f"{activity.type} for something on another host")
    said = _embedded(asked, naming, activity)
    them = await find_actor(node, activity.actor)
    now = node.clock.now()
    async with node.database.begin() as session:
        case = await session.get(Entry, activity.object_id or "")
        if case is None or not case.own or case.withdrawn_at is not None:
            raise RefusedActivity(f"{activity.type} for something that is not public here")
        known = await session.get(Reaction, instrument)
        if known is not None and (known.kind, known.actor, known.case_url) != (kind, activity.actor, case.id):
            raise RefusedActivity(f"{activity.type} for what is known as something else")
        if known is None and await count_of(session, kind, case.id, by=activity.actor) >= MAX_ASKED:
            raise RefusedActivity(f"too many of one actor: {activity.type}")
        asked_for = {"id": instrument, "kind": kind, "actor": activity.actor, "case_url": case.id}
        if kind in COUNTED_ONCE and await was_taken_back(session, **asked_for, now=now):
            raise RefusedActivity(f"taken back before it came: {activity.type}")
        position = read_position(said) if kind == "reply" else None
        kept = await keep_reaction(session, **asked_for, position=position, now=now)
        if not kept:
            raise RefusedActivity(f"too many of one site: {activity.type}")
        answer = activities.accept(
            new_activity_id(node.settings),
            case.actor,
            {**activity.raw, "instrument": instrument},
            result=stamp_address(node.keyring, case.id, instrument),
            context=STAMP_CONTEXT,
        )
        await send(session, node.keyring, answer, inboxes=[them.delivery_inbox], now=now)
    await node.bell.ring()


def _embedded(asked: properties.Properties, naming: str | None, activity: Activity) -> dict[str, Any]:
    """What is asked for, where the request carries it: it is theirs, and about the same case. Raises RefusedActivity."""
    said = asked.get("instrument")
    if not isinstance(said, dict):
        return {}
    plain = properties.simplified(said)
    by = {*properties.iris(plain, "actor"), *properties.iris(plain, "attributedTo")}
    about = activity.object_ids if naming is None else properties.iris(plain, naming)
    if by - {activity.actor} or activity.object_id not in about:
        raise RefusedActivity(f"{activity.type} for something else than it carries")
    return said
