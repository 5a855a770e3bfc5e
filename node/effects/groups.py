"""What a group passes on (FEP-1b12): an activity of somebody else, wrapped in an Announce.

It counts on its actor's own proof; or, when we follow the group, as it is found at its actor's own server. Never as the group's
word: what is wrapped is of no more weight than what anybody else brings.
"""

from collections.abc import Mapping

from node.effects import handlers
from node.effects.forwarded import as_it_is_now, gone, is_of_shown
from node.effects.process import Handler, is_repeat, remember_worked_off, require_standing
from node.effects.proving import RefusedActivity, authorised, is_followed
from node.effects.taking import take_case
from node.effects.undone import expect_taken_back
from node.peers.actors import host_of, is_at_home
from node.peers.directory import find_document
from node.publishing.reactions import drop_reaction, drop_reaction_to
from node.runtime import Node
from vocab import properties
from vocab.activities import ACTIVITY_TYPES, Activity, read_activity


async def on_undo(node: Node, activity: Activity) -> None:
    """Somebody takes back a like that a group may have passed on before. Who follows whom is nobody's to pass on."""
    liked = properties.iri(activity.object or {}, "object")
    if activity.object_type not in {None, "Like"}:
        raise RefusedActivity(f"no Undo of a {activity.object_type} is passed on")
    await expect_taken_back(node, activity)
    async with node.database.begin() as session:
        if liked:
            await drop_reaction_to(session, kind="like", case_url=liked, actor=activity.actor)
        if activity.object_id:
            await drop_reaction(session, id=activity.object_id, actor=activity.actor)


# One wrapping deep: an Announce in an Announce is nobody's news.
PASSED_ON: Mapping[str, Handler] = {
    "Create": handlers.on_create,
    "Update": handlers.on_update,
    "Delete": handlers.on_delete,
    "Like": handlers.on_like,
    "Undo": on_undo,
}


async def on_announce(node: Node, activity: Activity) -> None:
    """A boost of an object; or what somebody else said, passed on by a group."""
    if activity.object is None or activity.object_type not in ACTIVITY_TYPES:
        await handlers.on_announce(node, activity)
        return
    said = read_activity(activity.object)
    if said.type not in PASSED_ON:
        raise RefusedActivity(f"no {said.type} is passed on")
    if not is_at_home(said.id, said.actor):
        raise RefusedActivity("passed on under an id of another host")
    if host_of(said.actor) == node.settings.authority:
        # Our own words, come back.
        return
    await require_standing(node, said, activity.actor)
    if await is_repeat(node, said):
        return
    followed = await is_followed(node, activity.actor)
    try:
        heard = await authorised(node, said, activity.actor)
    except RefusedActivity:
        if not followed:
            # Anybody could make us ask.
            raise
        if said.type == "Delete":
            # Nothing of it but that its object is gone is known: its id may be invented, and is not remembered.
            await handlers.on_delete(node, await gone(node, said))
            return
        heard = await _at_home(node, said)
    await require_standing(node, heard, activity.actor)
    # On a node as with a case that a group announces by its address: whom it passes on need not be followed.
    is_of_ours = await is_followed(node, heard.actor) or await is_of_shown(node, heard)
    if (followed and not node.settings.is_hub) or is_of_ours:
        heard = await as_it_is_now(node, heard, for_stranger=not followed)
    if followed and heard.type in {"Create", "Update"} and heard.object_type == "Article":
        await take_case(node, heard)
    else:
        await PASSED_ON[heard.type](node, heard)
    await remember_worked_off(node, heard, received_at=node.clock.now())


async def _at_home(node: Node, said: Activity) -> Activity:
    """The same activity as its actor's own server tells it; nothing of what was wrapped is used. Raises FetchError."""
    found = read_activity(await find_document(node, said.id))
    if (found.id, found.type, found.actor) != (said.id, said.type, said.actor):
        raise RefusedActivity("its actor's server tells it otherwise")
    return found
