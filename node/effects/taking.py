"""A case comes in, brought or fetched: kept on its publisher's proof alone, and at a hub only when the publisher is a member.

What it shows of one who was a member is corrected as they correct it.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from federation.proofs import is_of_a_graph
from node.effects.cases import is_to_pass_on
from node.effects.proving import RefusedActivity, is_followed, prove, prove_activity
from node.entries.entries import RESTING, SHOWN, Entry, is_shown
from node.hub.aggregate import make_ready, read_brought, take_in
from node.hub.quarantine import NOT_A_MEMBER, keep_out
from node.peers.actors import host_of, is_at_home
from node.peers.directory import find_actor, find_document
from node.peers.follows import between, follows
from node.peers.hosts import Standing, limited, standings
from node.runtime import Node
from vocab import properties
from vocab.activities import Activity, read_activity
from vocab.cases import is_bare, read_case
from vocab.errors import VocabError
from vocab.meanings import reads_alike

# Several whom we follow announce a case at about the same time: what came with the first is not asked for with each.
TOLD_WITHIN = timedelta(hours=1)


async def fetch_case(node: Node, url: str, *, invited: bool = False) -> None:
    """Fetch a case from its own address, prove it with its publisher's key, keep it. Raises RefusedActivity, FetchError.

    invited  an operator lets it in, also when its publisher is no member of the hub.
    """
    await _require_open_hosts(node, url)
    document = await find_document(node, url)
    _, meta = read_case(document)
    await _require_open_hosts(node, meta.id, meta.actor)
    await _keep_case(node, document, by=meta.actor, invited=invited)


async def may_be_behind(node: Node, url: str, *, by: str, announced_at: datetime | None) -> bool:
    """Whether a case that is here is to be asked for anew because somebody we follow announces it: on a node, where nobody else tells.

    It may rest, though its host was let in again; or have been corrected before we followed who announces it, or before they had it.
    Who follows its publisher hears of it from there.
    """
    async with node.database.read() as session:
        known = await session.get(Entry, url)
        if node.settings.is_hub or known is None or known.own or known.state not in (*SHOWN, RESTING):
            return False
        if await follows(session, node.settings.main_actor, known.actor):
            return False
        followed = await between(session, node.settings.main_actor, by)
    if known.state == RESTING:
        return True
    is_older = announced_at is not None and known.received_at < announced_at - TOLD_WITHIN
    return is_older or (followed is not None and known.received_at < followed.changed_at)


async def take_followed_case(node: Node, activity: Activity) -> None:
    """Keep the case that a Create or Update of somebody we follow brings. Raises as `take_case`.

    What becomes of a case that is shown here is taken from its publisher, whoever that is by now: nobody is to read, or count, words
    that were corrected.
    """
    if activity.type != "Update" or not await _is_shown(node, activity.object_id, by=activity.actor):
        await _require_followed(node, activity.object or {}, by=activity.actor)
    await take_case(node, activity)


async def take_case(node: Node, activity: Activity) -> None:
    """Keep the case that a Create or Update brings, on its publisher's proof. Raises RefusedActivity, FetchError."""
    if activity.object is None:
        await fetch_case(node, activity.object_id or "")
        return
    await _keep_case(node, activity.object, by=activity.actor, brought_by=activity)


async def _require_open_hosts(node: Node, url: str, *others: str) -> None:
    """Raises RefusedActivity when one of the hosts of a case adds nothing here, by whomever we heard of it.

    What is shown already of one who is limited by the mode alone may be corrected.
    """
    hosts = {host_of(one) for one in (url, *others)}
    async with node.database.read() as session:
        found = set((await standings(session, node.settings, hosts)).values())
        if Standing.LIMITED in found and not await limited(session, hosts) and await is_shown(session, url):
            found.discard(Standing.LIMITED)
    if found - {Standing.OPEN}:
        raise RefusedActivity("a case of a host that may add nothing")


async def _require_followed(node: Node, document: dict[str, Any], *, by: str) -> None:
    """Raises RefusedActivity for a case of somebody whom we do not follow; a hub notes it for its operator."""
    if not await is_followed(node, by):
        await _keep_out(node, document, by=by, reason=NOT_A_MEMBER)
        raise RefusedActivity("a case of an organisation that we do not follow")


async def _is_shown(node: Node, url: str | None, *, by: str) -> bool:
    async with node.database.read() as session:
        return await is_shown(session, url, actor=by)


def _id_of(document: dict[str, Any]) -> str | None:
    return properties.iri(properties.simplified(document), "id")


async def _keep_case(
    node: Node,
    document: dict[str, Any],
    *,
    by: str,
    brought_by: Activity | None = None,
    invited: bool = False,
) -> None:
    is_correction = node.settings.is_hub and not invited and await _is_shown(node, _id_of(document), by=by)
    if node.settings.is_hub and not invited and not is_correction:
        # The one door behind every way a case comes in: announced, passed on, named in an outbox. What a hub shows, and announces in
        # its own name, is its members'; a member, or another hub, does not decide who else is one. A node reads whom its hub reads.
        await _require_followed(node, document, by=by)
    publisher = await find_actor(node, by)
    try:
        proven = await prove(node, document, publisher.id)
        if not reads_alike(proven.document):
            raise RefusedActivity("a context that gives names another meaning")
    except RefusedActivity as refusal:
        await _keep_out(node, document, by=publisher.id, reason=str(refusal))
        raise
    said = await to_pass_on(node, brought_by) if brought_by is not None else None
    now = node.clock.now()
    brought = read_brought(proven.document, publisher=publisher, proof_key=proven.key_id, said=said, now=now)
    if brought is None:
        return
    if _id_of(document) not in (None, brought.draft.id):
        # Its context gives `id` another meaning than it seemed to have: what is new of somebody is not taken for what is shown of them.
        raise RefusedActivity("a proof of another case than it named")
    if is_correction:
        brought = replace(brought, is_of_a_member=await is_followed(node, by))
    ready = await make_ready(node, [brought])
    async with node.database.begin() as session:
        await take_in(session, ready, now=now)
    await node.bell.ring()


async def _keep_out(node: Node, document: dict[str, Any], *, by: str, reason: str) -> None:
    """On a hub, let somebody see that a case was sent which is not shown; what is no case of theirs is nobody's business."""
    if not node.settings.is_hub:
        return
    try:
        _, meta = read_case(document)
    except VocabError:
        return
    if meta.actor == by and is_at_home(meta.id, by):
        async with node.database.begin() as session:
            await keep_out(session, meta.id, actor=by, reason=reason, now=node.clock.now())


async def to_pass_on(node: Node, activity: Activity) -> Activity | None:
    """The activity as its actor proved it, for a hub to pass on; None for one that is not for everybody, or not proven of this object.

    What was proven over a graph may have another object under the same names: nobody here looked at that. Nor does a withdrawal go on
    that holds the words of what is withdrawn, be it of one of several: they would stand in what the hub announced.
    """
    if not is_to_pass_on(node.settings, activity):
        return None
    try:
        said = await prove_activity(node, activity)
        if is_of_a_graph(activity.raw):
            # Written anew without the proof of its object. With the object as it came it holds for others if that is the one it speaks of.
            said = read_activity({**said.raw, "object": properties.simplified(activity.raw).get("object")})
            await prove_activity(node, said, for_stranger=True)
    except (RefusedActivity, VocabError):
        return None
    if not is_to_pass_on(node.settings, said):
        # For everybody in the tree that came, and not in what was proven.
        return None
    if not reads_alike(said.raw):
        # Who expands what a hub passes on would read of another object, or of somebody else's.
        return None
    is_of_it = said.object == activity.object
    if activity.type == "Delete":
        stones = properties.objects(properties.simplified(said.raw), "object")
        is_of_it = said.object_ids == activity.object_ids and all(map(is_bare, stones))
    return said if is_of_it else None
