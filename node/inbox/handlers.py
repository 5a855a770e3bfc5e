"""One function per kind of activity. Each may run twice; none shows anything unasked; what is not understood is refused with a reason.

Who may say what: the actor was checked against the signer before; here it is checked against the object (ActivityPub §7).
"""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import SHOWN, Entry, expect_withdrawn, set_searched
from node.hub.aggregate import make_ready, read_brought, take_back, take_in
from node.hub.quarantine import NOT_A_MEMBER, keep_out
from node.inbox.cases import is_to_pass_on
from node.inbox.moving import move_in
from node.inbox.proving import RefusedActivity, is_followed, prove, prove_activity
from node.inbox.stamping import MAX_ASKED
from node.peers import network, witness
from node.peers.actors import forget_actor, host_of, is_at_home
from node.peers.directory import find_actor, find_document
from node.peers.follows import (
    followed_by_activity,
    follows,
    read_back,
    receive_answer,
    receive_block,
    receive_farewell,
    receive_follow,
    receive_undo,
)
from node.peers.hosts import Standing, standings, takes_reports_of
from node.peers.ours import local_actor_at
from node.peers.reports import MAX_OBJECTS, keep_report
from node.publishing.reactions import (
    Reaction,
    count_of,
    drop_reaction,
    drop_reaction_to,
    drop_reactions_of,
    keep_reaction,
    reply_changed,
)
from node.publishing.stamps import QUOTE
from node.runtime import Node
from vocab import properties
from vocab.activities import Activity
from vocab.cases import read_case
from vocab.errors import VocabError
from vocab.objects import Object, read_object
from vocab.positions import read_position
from vocab.terms import PUBLIC, PUBLIC_ALIASES

log = logging.getLogger(__name__)

# What is taken back with the activity of that type.
REACTIONS = {"Like": "like", "EmojiReact": "like", "Announce": "boost"}


async def on_follow(node: Node, activity: Activity) -> None:
    """Somebody follows one of our actors; or, at a hub, everything public that its members say (FEP-ae0c, as Mastodon asks relays)."""
    asked = activity.object_id or ""
    is_relay = asked in PUBLIC_ALIASES and node.settings.is_hub
    us = local_actor_at(node.settings, node.settings.main_actor if is_relay else asked)
    if us is None:
        raise RefusedActivity("Follow of an actor that is not ours")
    them = await find_actor(node, activity.actor)
    async with node.database.begin() as session:
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


async def on_undo(node: Node, activity: Activity) -> None:
    """Somebody takes back a Follow, a like or a boost of their own."""
    inner = activity.object or {}
    now = node.clock.now()
    async with node.database.begin() as session:
        named = properties.iri(inner, "object")
        followed = named if activity.object_type == "Follow" else None
        if named and (kind := REACTIONS.get(activity.object_type or "")):
            await drop_reaction_to(session, kind=kind, case_url=named, actor=activity.actor)
        if followed is None and activity.object_id:
            # Some name only the id of what they take back.
            await drop_reaction(session, id=activity.object_id, actor=activity.actor)
            followed = await followed_by_activity(session, activity.object_id, follower=activity.actor)
        if followed is not None:
            followed = PUBLIC if followed in PUBLIC_ALIASES else followed
            await receive_undo(session, follower=activity.actor, followed=followed, now=now)


async def on_create(node: Node, activity: Activity) -> None:
    """A new object: a case of an organisation we follow, or a post that answers or quotes a case of ours."""
    # Where it is only named, its author's server tells what it is.
    found = activity if activity.object is not None else await _found(node, activity)
    document = found.object or {}
    if found.object_type != "Article" or _only_quotes(document) or await _is_reply(node, document):
        await _on_reply(node, found)
    else:
        await _on_case(node, found)


async def on_update(node: Node, activity: Activity) -> None:
    """A newer version of a case, or a remote actor's new self-description."""
    if activity.object_id == activity.actor:
        actor = await find_actor(node, activity.actor, max_age=timedelta(0))
        async with node.database.begin() as session:
            await set_searched(session, actor.id, is_searched=actor.indexable)
        return
    if activity.object_id is not None:
        async with node.database.begin() as session:
            if await reply_changed(session, id=activity.object_id, actor=activity.actor):
                return
    if activity.object is None or activity.object_type == "Article":
        await _on_case(node, activity)


async def on_delete(node: Node, activity: Activity) -> None:
    """A case is withdrawn, a reply deleted, or an actor gone. Only its own author can say so.

    A case of somebody we follow may be withdrawn before it comes: who passed the Delete on was quicker than their own server.
    """
    target = activity.object_id
    if target is None:
        raise RefusedActivity("Delete of nothing")
    if not is_at_home(target, activity.actor):
        raise RefusedActivity("Delete of something on another host")
    said = await _to_pass_on(node, activity)
    now = node.clock.now()
    async with node.database.begin() as session:
        if target == activity.actor:
            await forget_actor(session, activity.actor, now=now)
            await drop_reactions_of(session, activity.actor)
            await receive_farewell(session, activity.actor, now=now)
            return
        was_here = await drop_reaction(session, id=target, actor=activity.actor)
        if await follows(session, node.settings.main_actor, activity.actor):
            await expect_withdrawn(session, target, actor=activity.actor, host=host_of(target), now=now)
        # Some embed what they delete: its words would stay here in the place of its words.
        is_stone = activity.object is not None and activity.object_type == "Tombstone"
        tombstone = dict(activity.object or {}) if is_stone else {"id": target, "type": "Tombstone"}
        entry = await take_back(
            session,
            node.settings,
            node.keyring,
            url=target,
            by=activity.actor,
            tombstone=tombstone,
            said=said,
            now=now,
        )
    if entry is None and not was_here:
        # Not worked off: its author's own Delete, which comes after the object, must not pass for a repeat of this one.
        raise RefusedActivity("Delete of what is not here")
    await node.bell.ring()


async def on_announce(node: Node, activity: Activity) -> None:
    """A boost of a case of ours; or an actor we follow points us to a case, which we fetch from its own home and prove.

    Whose case it is counts at a hub: a member puts nobody else's there.
    """
    url = activity.object_id or ""
    async with node.database.read() as session:
        known = await session.get(Entry, url)
    followed = await is_followed(node, activity.actor)
    if known is not None and known.own:
        await _react(node, activity, "boost", url)
        return
    if known is not None or not followed or host_of(url) == node.settings.authority:
        return
    await fetch_case(node, url)


async def on_like(node: Node, activity: Activity) -> None:
    """Somebody likes a case of ours."""
    await _react(node, activity, "like", activity.object_id or "")


async def on_flag(node: Node, activity: Activity) -> None:
    """Somebody reports something that is public here; kept for people, with nothing of what was reported."""
    named = list(activity.object_ids)[: 5 * MAX_OBJECTS]
    async with node.database.begin() as session:
        if not await takes_reports_of(session, host_of(activity.actor)):
            raise RefusedActivity("a host whose reports are not taken")
        public = set(
            await session.scalars(select(Entry.id).where(Entry.id.in_(named), Entry.state.in_(SHOWN)))
        )
        ours = [url for url in named if url in public or local_actor_at(node.settings, url) is not None]
        if not ours:
            # What is not public is answered like what is not there.
            raise RefusedActivity("Flag of nothing that is public here")
        kept = await keep_report(
            session,
            activity_id=activity.id,
            reporter=activity.actor,
            objects=ours,
            # Lemmy says it in `summary`.
            text=properties.text(activity.raw, "content") or properties.text(activity.raw, "summary") or "",
            now=node.clock.now(),
        )
    if kept is None:
        raise RefusedActivity("too many reports of one host wait already")
    log.info("report.kept", extra={"host": host_of(activity.actor), "objects": len(kept.objects)})


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


async def fetch_case(node: Node, url: str, *, invited: bool = False) -> None:
    """Fetch a case from its own address, prove it with its publisher's key, keep it. Raises RefusedActivity, FetchError.

    invited  an operator lets it in, also when its publisher is no member of the hub.
    """
    await _require_open_hosts(node, url)
    document = await find_document(node, url)
    _, meta = read_case(document)
    await _require_open_hosts(node, meta.id, meta.actor)
    await _keep_case(node, document, by=meta.actor, invited=invited)


async def _require_open_hosts(node: Node, *urls: str) -> None:
    """Raises RefusedActivity when one of these hosts adds nothing here, by whomever we heard of it."""
    async with node.database.read() as session:
        found = await standings(session, node.settings, {host_of(url) for url in urls})
    if any(standing is not Standing.OPEN for standing in found.values()):
        raise RefusedActivity("a case of a host that may add nothing")


async def take_case(node: Node, activity: Activity) -> None:
    """Keep the case that a Create or Update brings, on its publisher's proof. Raises RefusedActivity, FetchError."""
    if activity.object is None:
        await fetch_case(node, activity.object_id or "")
        return
    await _keep_case(node, activity.object, by=activity.actor, brought_by=activity)


async def _on_case(node: Node, activity: Activity) -> None:
    await _require_followed(node, activity.object or {}, by=activity.actor)
    await take_case(node, activity)


async def _require_followed(node: Node, document: dict[str, Any], *, by: str) -> None:
    """Raises RefusedActivity for a case of somebody whom we do not follow; a hub notes it for its operator."""
    if not await is_followed(node, by):
        await _keep_out(node, document, by=by, reason=NOT_A_MEMBER)
        raise RefusedActivity("a case of an organisation that we do not follow")


async def _keep_case(
    node: Node,
    document: dict[str, Any],
    *,
    by: str,
    brought_by: Activity | None = None,
    invited: bool = False,
) -> None:
    if node.settings.is_hub and not invited:
        # The one door behind every way a case comes in: announced, passed on, named in an outbox. What a hub shows, and announces in
        # its own name, is its members'; a member, or another hub, does not decide who else is one. A node reads whom its hub reads.
        await _require_followed(node, document, by=by)
    publisher = await find_actor(node, by)
    try:
        proven = await prove(node, document, publisher.id)
    except RefusedActivity as refusal:
        await _keep_out(node, document, by=publisher.id, reason=str(refusal))
        raise
    said = await _to_pass_on(node, brought_by) if brought_by is not None else None
    now = node.clock.now()
    brought = read_brought(proven.document, publisher=publisher, proof_key=proven.key_id, said=said, now=now)
    if brought is None:
        return
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


async def _to_pass_on(node: Node, activity: Activity) -> Activity | None:
    """The activity as its actor proved it, for a hub to pass on; None for one that is not for everybody, or not proven."""
    if not is_to_pass_on(node.settings, activity):
        return None
    try:
        return await prove_activity(node, activity)
    except RefusedActivity:
        return None


async def _found(node: Node, activity: Activity) -> Activity:
    """The activity with its object as it is at its author's server. Raises RefusedActivity, FetchError."""
    url = activity.object_id or ""
    if not is_at_home(url, activity.actor):
        raise RefusedActivity("an object on another host than its author")
    return replace(activity, object=await find_document(node, url))


def _only_quotes(document: dict[str, Any]) -> bool:
    """Whether it is an Article like any other (WordPress, WriteFreely), and no case, that quotes something."""
    is_case = properties.own_term(properties.simplified(document), "kind") is not None
    return not is_case and bool(read_object(document).quotes)


async def _is_reply(node: Node, document: dict[str, Any]) -> bool:
    """Whether it answers a case of ours, of whatever type it is."""
    answered = properties.iri(properties.simplified(document), "inReplyTo")
    if answered is None:
        return False
    async with node.database.read() as session:
        case = await session.get(Entry, answered)
    return case is not None and case.own


async def _on_reply(node: Node, activity: Activity) -> None:
    """A reply is noted for the desk and shown to nobody: its text stays where its author put it. A post that only quotes is counted."""
    item = read_object(activity.object or {})
    if item.id is None or not is_at_home(item.id, activity.actor) or item.attributed_to != activity.actor:
        raise RefusedActivity("a reply attributed to somebody else")
    if item.in_reply_to is None and not item.quotes:
        return
    now = node.clock.now()
    async with node.database.begin() as session:
        if (case := await _own_case(session, item.in_reply_to)) is None:
            await _keep_quote(session, item, item.id, by=activity.actor, now=now)
            return
        kept = await keep_reaction(
            session,
            id=item.id,
            kind="reply",
            actor=activity.actor,
            case_url=case.id,
            position=read_position(activity.object or {}),
            now=now,
        )
    if not kept:
        raise RefusedActivity("too many replies of one host wait already")


async def _keep_quote(session: AsyncSession, post: Object, id: str, *, by: str, now: datetime) -> None:
    """A post that quotes a case of ours, of a server that does not ask first (Misskey, Akkoma, Fedibird): counted, never shown.

    Whoever quotes a case is told of its correction and its withdrawal, whether they asked or not. Raises RefusedActivity.
    """
    for url in post.quotes:
        case = await _own_case(session, url)
        if case is None or case.withdrawn_at is not None:
            continue
        is_known = await session.get(Reaction, id) is not None
        if not is_known and await count_of(session, QUOTE, case.id, by=by) >= MAX_ASKED:
            raise RefusedActivity("too many quotes of one actor")
        if not await keep_reaction(session, id=id, kind=QUOTE, actor=by, case_url=case.id, now=now):
            raise RefusedActivity("too many quotes of one site")
        return


async def _own_case(session: AsyncSession, url: str | None) -> Entry | None:
    case = await session.get(Entry, url) if url else None
    return case if case is not None and case.own else None


async def _react(node: Node, activity: Activity, kind: str, url: str) -> None:
    async with node.database.begin() as session:
        case = await session.get(Entry, url)
        if case is not None and case.own:
            await keep_reaction(
                session,
                id=activity.id,
                kind=kind,
                actor=activity.actor,
                case_url=url,
                now=node.clock.now(),
            )


def _answered(activity: Activity) -> dict[str, Any]:
    inner = activity.object or {}
    follower = inner.get("actor")
    return {
        "by": activity.actor,
        "follow_id": activity.object_id,
        "follower": follower if isinstance(follower, str) else None,
    }
