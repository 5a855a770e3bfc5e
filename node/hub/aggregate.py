"""Fold what followed organisations publish into entries: only what their own proof holds for, newest version, once.

A hub announces what is new from its main actor and from the actors of the case's State, articles and themes: the address of
the case, which is what most software shows; and the publisher's own activity, proof and all, for software of groups (FEP-1b12).
Who follows the public collection here, as Mastodon asks relays, is forwarded that activity as it is (FEP-ae0c).
"""

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Entry, EntryFacet, put_entry, withdraw_entry
from node.hub.quarantine import let_go
from node.keyring import Keyring
from node.peers.actors import RemoteActor, host_of
from node.peers.follows import follower_inboxes, inboxes_of_followers
from node.peers.ours import LocalActor, local_actor_at, local_actors
from node.peers.sending import Parcel, Sent, forward, hide_sent, new_activity_id, send, send_all
from node.settings import Settings
from vocab import activities
from vocab.cases import read_case
from vocab.jsonld import write
from vocab.terms import PUBLIC

log = logging.getLogger(__name__)

CLOCK_SKEW = timedelta(hours=1)


async def take_in(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    publisher: RemoteActor,
    document: dict[str, Any],
    proof_key: str,
    said: Mapping[str, object] | None = None,
    now: datetime,
) -> Entry | None:
    """Keep a case of an organisation we follow, and announce it when it is new; None when it changes nothing.

    document   the object as it was proven with `proof_key`, which is the publisher's.
    said       the publisher's public activity that brought it, with its own proof; None when there is none to pass on.
    Raises NotACase (vocab) when it is something else.
    """
    case, meta = read_case(document)
    if meta.actor != publisher.id or host_of(meta.id) != publisher.host:
        log.info("hub.refused", extra={"reason": "attributed to somebody else", "host": publisher.host})
        return None
    if PUBLIC not in (*meta.to, *meta.cc):
        # Shown to some is not published: nobody but its owner widens an audience (Mastodon CVE-2024-37903).
        log.info("hub.refused", extra={"reason": "not addressed to everybody", "host": publisher.host})
        return None
    if max(meta.published, meta.updated or meta.published) > now + CLOCK_SKEW:
        # It would stand above everything newer, and no correction could follow it.
        log.info("hub.refused", extra={"reason": "dated in the future", "host": publisher.host})
        return None
    is_new = await session.get(Entry, meta.id) is None
    body = write(document)
    entry = await put_entry(
        session,
        case,
        id=meta.id,
        actor=publisher.id,
        host=publisher.host,
        publisher=publisher.name,
        own=False,
        document=body,
        sha256=hashlib.sha256(body).hexdigest(),
        proof_key=proof_key,
        published_at=meta.published,
        updated_at=meta.updated,
        is_searched=publisher.indexable,
        now=now,
    )
    await let_go(session, meta.id)
    if entry is None or not settings.is_hub:
        return entry
    found = await session.execute(
        select(EntryFacet.facet, EntryFacet.value).where(EntryFacet.entry == entry.id)
    )
    ours = [actor.id for actor in announcers(settings, {(facet, value) for facet, value in found})]
    if is_new:
        await announce(session, settings, keyring, entry.id, by=ours, now=now)
    if said is not None:
        await pass_on(session, settings, keyring, said, about=entry.id, by=ours, now=now)
    return entry


async def take_back(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    url: str,
    by: str,
    tombstone: dict[str, Any],
    said: Mapping[str, object] | None = None,
    now: datetime,
) -> Entry | None:
    """A publisher withdrew a case: keep the dated tombstone, and take our announcements back.

    said  the publisher's public Delete, with its own proof, to be passed on; None when there is none.
    """
    entry = await withdraw_entry(session, url, actor=by, tombstone=write(tombstone), now=now)
    if entry is None or not settings.is_hub:
        return entry
    found = await session.scalars(select(Sent).where(Sent.object_id == url, Sent.type == "Announce"))
    announced = list(found)
    # What was passed on holds the text of what is withdrawn: nobody reads it here any more.
    await hide_sent(session, url, now=now)
    for sent in announced:
        sent.is_public = False
        if sent.wraps is not None:
            continue
        inner = {
            "id": sent.id,
            "type": "Announce",
            "actor": sent.actor,
            "object": url,
            "to": [PUBLIC],
            "cc": [f"{sent.actor}/followers"],
        }
        undo = activities.undo(new_activity_id(settings), sent.actor, inner)
        await send(session, keyring, undo, inboxes=await follower_inboxes(session, sent.actor), now=now)
    if said is not None:
        ours = sorted({sent.actor for sent in announced})
        await pass_on(session, settings, keyring, said, about=url, by=ours, now=now)
    return entry


async def announce(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    url: str,
    *,
    by: Collection[str],
    now: datetime,
) -> None:
    """Announce a case by its address, so that everyone fetches it from its own home."""
    inboxes = await inboxes_of_followers(session, by)
    parcels = [
        Parcel(_announcement(settings, actor, url, now=now), inboxes[actor], is_public=True) for actor in by
    ]
    await send_all(session, keyring, parcels, now=now)


async def pass_on(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    said: Mapping[str, object],
    *,
    about: str,
    by: Collection[str],
    now: datetime,
) -> None:
    """Announce a publisher's activity as it was said, to those who follow (FEP-1b12), and forward it bare to those who asked for that.

    Its proof makes it hold, not our word.
    """
    publisher = host_of(str(said["actor"]))
    relayed = [inbox for inbox in await follower_inboxes(session, PUBLIC) if host_of(inbox) != publisher]
    await forward(session, said, by=settings.main_actor, about=about, inboxes=relayed, now=now)
    inboxes = await inboxes_of_followers(session, by)
    # It carries the whole case: what nobody is told is not kept once more.
    parcels = [
        Parcel(_announcement(settings, actor, said, now=now), inboxes[actor], is_public=True, about=about)
        for actor in by
        if inboxes[actor]
    ]
    await send_all(session, keyring, parcels, now=now)


def _announcement(
    settings: Settings, actor: str, what: str | Mapping[str, object], *, now: datetime
) -> dict[str, Any]:
    return activities.announce(
        new_activity_id(settings), actor, what, to=[PUBLIC], cc=[f"{actor}/followers"], published=now
    )


def announcers(settings: Settings, facets: Iterable[tuple[str, str]]) -> list[LocalActor]:
    """Who announces a case with these facets: the main actor, and those of its State, articles and themes."""
    wanted = set(facets)
    main = local_actor_at(settings, settings.main_actor)
    return ([main] if main else []) + [actor for actor in local_actors(settings) if actor.facet in wanted]
