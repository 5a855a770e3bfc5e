"""What comes from another than its actor: on the actor's word where they gave it, else as it is found at their own server.

ActivityPub §7.1.2 lets servers pass activities on; FEP-fe34 says that nothing of theirs is believed for it.
"""

from dataclasses import replace

from federation.errors import NotThere
from node.effects.proving import EndedKey, RefusedActivity, authorised, is_followed
from node.entries.entries import Entry, is_shown, own_case
from node.peers.actors import is_at_home
from node.peers.directory import find_document
from node.peers.follows import follows
from node.publishing.reactions import Reaction
from node.runtime import Node
from vocab import properties
from vocab.activities import Activity
from vocab.terms import PUBLIC_ALIASES


async def heard(node: Node, activity: Activity, signer: str) -> Activity:
    """The activity as its actor says it. Without proof or signature only what concerns us is asked for, and only at its author's.

    So is a case that is not here yet, of somebody we follow: what holds was said once, and may have been withdrawn since.
    What was found there has no `raw`: nothing but the object is known to be its actor's. Raises RefusedActivity, FetchError.
    """
    for_stranger = not await is_followed(node, signer)
    try:
        told = await authorised(node, activity, signer)
    except RefusedActivity as refusal:
        is_dated_back = isinstance(refusal, EndedKey)
        if ("proof" in activity.raw and not is_dated_back) or not await _concerns_us(node, activity):
            raise
    else:
        _require_addressed(told)
        is_of_ours = await is_followed(node, told.actor) or await is_of_shown(node, told)
        return await as_it_is_now(node, told, for_stranger=for_stranger) if is_of_ours else told
    if activity.type == "Delete":
        return await gone(node, activity, for_stranger=for_stranger)
    return await _at_home(node, activity, for_stranger=for_stranger)


def _require_addressed(said: Activity) -> None:
    """Raises RefusedActivity for the Follow of everybody, and its Undo (FEP-ae0c): they name no server, and who brings them would choose which."""
    asked = said.object_id if said.type == "Follow" else None
    if said.type == "Undo" and said.object_type == "Follow":
        asked = properties.iri(said.object or {}, "object")
    if asked in PUBLIC_ALIASES:
        raise RefusedActivity(f"{said.type} that names no server, passed on")


async def as_it_is_now(node: Node, said: Activity, *, for_stranger: bool = False) -> Activity:
    """What was said and proven; a case that is new here, or would be newer, as its own server shows it now, if that is something else.

    Else whoever kept a Create could bring it to those who never heard of the withdrawal. And a proof holds for its members in any order:
    theirs is that of their own server, of whose bytes others tell which version they speak of. Raises RefusedActivity, FetchError.
    """
    if said.type not in {"Create", "Update"} or said.object_type != "Article" or said.object_id is None:
        return said
    async with node.database.read() as session:
        known = await session.get(Entry, said.object_id)
    if known is not None and not _would_replace(known, said):
        return said
    try:
        found = await _at_home(node, said, for_stranger=for_stranger)
    except NotThere as error:
        if known is None or error.gone:
            raise
        # What stands here is older all the same; and what was brought is in an order that its bringer did not choose.
        return said
    if found.object != said.object:
        return found
    # The same, in the order of its own server; in that a hub passes it on, too.
    return replace(said, object=found.object, raw={**said.raw, "object": found.object})


async def is_of_shown(node: Node, said: Activity) -> bool:
    """Whether it is about a case of its actor's that is shown here, whom we need not follow any more."""
    async with node.database.read() as session:
        return await is_shown(session, said.object_id, actor=said.actor)


def _would_replace(known: Entry, said: Activity) -> bool:
    """Whether it is of the publisher of a case that stands, and says that it is newer."""
    if known.own or known.withdrawn_at is not None or known.actor != said.actor:
        return False
    plain = properties.simplified(said.object or {})
    newest = properties.instant(plain, "updated") or properties.instant(plain, "published")
    return newest is not None and newest > (known.updated_at or known.published_at)


async def gone(node: Node, said: Activity, *, for_stranger: bool = False) -> Activity:
    """The Delete of something that its own server says is gone for good; what is merely not there may come back.

    for_stranger  somebody whom we do not follow passed it on. Raises RefusedActivity, FetchError.
    """
    if len(said.object_ids) > 1:
        # Whoever invents one would make us ask for each.
        raise RefusedActivity("Delete of several, without a proof")
    target = said.object_id or ""
    if not is_at_home(target, said.actor):
        raise RefusedActivity("Delete of something on another host")
    try:
        found = await find_document(node, target, for_stranger=for_stranger)
    except NotThere as error:
        if not error.gone:
            raise
    else:
        if "Tombstone" not in properties.types(found):
            raise RefusedActivity("Delete of something that is still there")
    return Activity(id=said.id, type="Delete", actor=said.actor, object_ids=(target,))


async def _at_home(node: Node, said: Activity, *, for_stranger: bool) -> Activity:
    """The object as its author's server shows it now; nothing of what was passed on is used."""
    target = said.object_id or ""
    if not is_at_home(target, said.actor):
        raise RefusedActivity("an object on another host than its author")
    found = await find_document(node, target, for_stranger=for_stranger)
    if said.actor not in properties.iris(properties.simplified(found), "attributedTo"):
        raise RefusedActivity("its author's server tells it otherwise")
    return Activity(id=said.id, type=said.type, actor=said.actor, object_ids=(target,), object=found)


async def _concerns_us(node: Node, activity: Activity) -> bool:
    """Whether it is about a case we may keep, or a reply to one of ours: anybody can pass anything on, and would make us ask."""
    if activity.type not in {"Create", "Update", "Delete"} or activity.object_id is None:
        return False
    answered = properties.iris(activity.object or {}, "inReplyTo")
    async with node.database.read() as session:
        case = await session.get(Entry, activity.object_id)
        reply = await session.get(Reaction, activity.object_id)
        known = case or reply
        if known is not None:
            return known.actor == activity.actor
        if await own_case(session, *answered) is not None:
            return True
        return activity.object_type == "Article" and await follows(
            session, node.settings.main_actor, activity.actor
        )
