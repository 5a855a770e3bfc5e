"""One function per kind of activity. Each may run twice; none shows anything unasked; what is not understood is refused with a reason.

Who may say what: the actor was checked against the signer before; here it is checked against the object (ActivityPub §7).
"""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.effects.process import is_repeat
from node.effects.proving import RefusedActivity, is_followed
from node.effects.searching import heed
from node.effects.stamping import MAX_ASKED
from node.effects.taking import fetch_case, may_be_behind, take_followed_case, to_pass_on
from node.effects.undone import REACTIONS, expect_taken_back, was_taken_back
from node.entries.entries import SHOWN, Entry, expect_withdrawn, own_case
from node.hub.aggregate import pass_on_withdrawal, take_back
from node.hub.quarantine import taken_back
from node.peers.actors import forget_actor, host_of, is_at_home
from node.peers.directory import find_actor, find_document
from node.peers.follows import followed_by_activity, follows, receive_farewell, receive_undo
from node.peers.hosts import takes_reports_of
from node.peers.ours import local_actor_at
from node.peers.reports import keep_report
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
from node.statements import among
from vocab import properties
from vocab.activities import Activity
from vocab.cases import kept_tombstone
from vocab.objects import Object, read_object
from vocab.positions import read_position
from vocab.terms import PUBLIC, PUBLIC_ALIASES

log = logging.getLogger(__name__)


async def on_undo(node: Node, activity: Activity) -> None:
    """Somebody takes back a Follow, a like or a boost of their own."""
    inner = activity.object or {}
    now = node.clock.now()
    if not await is_repeat(node, activity):
        # Said once more, it may be older than what was done again since.
        await expect_taken_back(node, activity)
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
        await take_followed_case(node, found)


async def on_update(node: Node, activity: Activity) -> None:
    """A newer version of a case, or a remote actor's new self-description."""
    if activity.object_id == activity.actor:
        # What could not be asked just now is asked again: it may be new keys, another inbox, or that nobody is to search them any more.
        actor = await find_actor(node, activity.actor, max_age=timedelta(0), or_known=False)
        await heed(node, actor.id)
        return
    if activity.object_id is not None:
        async with node.database.begin() as session:
            if await reply_changed(session, id=activity.object_id, actor=activity.actor):
                return
    if activity.object is None or activity.object_type == "Article":
        await take_followed_case(node, activity)


async def on_delete(node: Node, activity: Activity) -> None:
    """Cases are withdrawn, replies deleted, or an actor gone. Only their own author can say so: of several each is, or none.

    A case of somebody we follow may be withdrawn before it comes: who passed the Delete on was quicker than their own server.
    """
    targets = activity.object_ids
    if not targets:
        raise RefusedActivity("Delete of nothing")
    if not all(is_at_home(target, activity.actor) for target in targets):
        raise RefusedActivity("Delete of something on another host")
    if len(targets) > 1 and await _is_somebody_elses(node, targets, actor=activity.actor):
        raise RefusedActivity("Delete of several, some of them somebody else's")
    said = await to_pass_on(node, activity)
    embedded = properties.objects(properties.simplified(activity.raw), "object")
    stones = {properties.iri_of(one): one for one in embedded}
    missing = [
        target
        for target in targets
        if not await _delete(node, target, activity.object or stones.get(target) or {}, activity.actor)
    ]
    if said is not None:
        async with node.database.begin() as session:
            await pass_on_withdrawal(session, node.settings, node.keyring, said, now=node.clock.now())
    await node.bell.ring()
    if missing:
        # Not worked off: its author's own Delete, which comes after the object, must not pass for a repeat of this one.
        raise RefusedActivity("Delete of what is not here")


async def _is_somebody_elses(node: Node, targets: tuple[str, ...], *, actor: str) -> bool:
    """Whether one of these is known as what another actor of that host published or said."""
    async with node.database.read() as session:
        for row in (Entry, Reaction):
            others = select(row.id).where(among(row.id, targets), row.actor != actor).limit(1)
            if await session.scalar(others) is not None:
                return True
    return False


async def _delete(node: Node, target: str, document: dict[str, Any], actor: str) -> bool:
    """What one object's author took back; False when it is not here.

    document  what stands in its place.
    """
    now = node.clock.now()
    async with node.database.begin() as session:
        has_waited = await taken_back(session, target, actor=actor)
        if target == actor:
            await forget_actor(session, actor, now=now)
            await drop_reactions_of(session, actor)
            await receive_farewell(session, actor, now=now)
            return True
        was_here = await drop_reaction(session, id=target, actor=actor)
        if await follows(session, node.settings.main_actor, actor):
            await expect_withdrawn(session, target, actor=actor, host=host_of(target), now=now)
        entry = await take_back(
            session,
            node.settings,
            node.keyring,
            url=target,
            by=actor,
            tombstone=kept_tombstone(document, id=target),
            now=now,
        )
    return entry is not None or was_here or has_waited


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
    if not followed or host_of(url) == node.settings.authority:
        return
    now = node.clock.now()
    if known is None or await may_be_behind(node, url, by=activity.actor, announced_at=now):
        await fetch_case(node, url)


async def on_like(node: Node, activity: Activity) -> None:
    """Somebody likes a case of ours."""
    await _react(node, activity, "like", activity.object_id or "")


async def on_flag(node: Node, activity: Activity) -> None:
    """Somebody reports something that is public here; kept for people, with nothing of what was reported."""
    named = activity.object_ids
    async with node.database.begin() as session:
        if not await takes_reports_of(session, host_of(activity.actor)):
            raise RefusedActivity("a host whose reports are not taken")
        public = set(
            await session.scalars(select(Entry.id).where(among(Entry.id, named), Entry.state.in_(SHOWN)))
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
            text=properties.words(activity.raw, "content") or properties.words(activity.raw, "summary") or "",
            now=node.clock.now(),
        )
    if kept is None:
        raise RefusedActivity("too many reports of one host wait already")
    log.info("report.kept", extra={"host": host_of(activity.actor), "objects": len(kept.objects)})


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
    answered = properties.iris(properties.simplified(document), "inReplyTo")
    async with node.database.read() as session:
        return await own_case(session, *answered) is not None


async def _on_reply(node: Node, activity: Activity) -> None:
    """A reply is noted for the desk and shown to nobody: its text stays where its author put it. A post that only quotes is counted.

    Of several cases of ours that one reply answers it stands with the first: whoever decides about it decides once.
    """
    item = read_object(activity.object or {})
    if item.id is None or not is_at_home(item.id, activity.actor) or activity.actor not in item.attributed_to:
        raise RefusedActivity("a reply attributed to somebody else")
    if not item.in_reply_to and not item.quotes:
        return
    now = node.clock.now()
    async with node.database.begin() as session:
        if (case := await own_case(session, *item.in_reply_to)) is None:
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
        case = await own_case(session, url)
        if case is None or case.withdrawn_at is not None:
            continue
        is_known = await session.get(Reaction, id) is not None
        if not is_known and await count_of(session, QUOTE, case.id, by=by) >= MAX_ASKED:
            raise RefusedActivity("too many quotes of one actor")
        if not await keep_reaction(session, id=id, kind=QUOTE, actor=by, case_url=case.id, now=now):
            raise RefusedActivity("too many quotes of one site")
        return


async def _react(node: Node, activity: Activity, kind: str, url: str) -> None:
    now = node.clock.now()
    said = {"id": activity.id, "kind": kind, "actor": activity.actor, "case_url": url}
    async with node.database.begin() as session:
        case = await session.get(Entry, url)
        if case is None or not case.own:
            return
        # What stands of that actor's is not replaced by it.
        is_undone = await was_taken_back(session, **said, now=now)
        if not is_undone:
            await keep_reaction(session, **said, now=now)
    async with node.database.begin() as session:
        # Once more: what another worker takes back at the same moment neither of the two would find.
        is_undone = is_undone or await was_taken_back(session, **said, now=now)
        if is_undone:
            await drop_reaction(session, id=activity.id, actor=activity.actor)
    if is_undone:
        raise RefusedActivity(f"a {kind} that was taken back before it came")
