"""Fold what followed organisations publish into entries: only what their own proof holds for, newest version, once.

A hub announces what is new from its main actor and from the actors of the case's State, articles and themes.
"""

import hashlib
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Entry, EntryFacet, put_entry, withdraw_entry
from node.keyring import Keyring
from node.peers.actors import RemoteActor, host_of
from node.peers.follows import follower_inboxes
from node.peers.ours import LocalActor, local_actor_at, local_actors
from node.peers.sending import Sent, new_activity_id, send
from node.settings import Settings
from vocab import activities
from vocab.cases import PublicCase, read_case
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
    now: datetime,
) -> Entry | None:
    """Keep a case of an organisation we follow, and announce it when it is new; None when it changes nothing.

    document   the object as it was proven with `proof_key`, which is the publisher's.
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
        now=now,
    )
    if entry is not None and is_new and settings.is_hub:
        await announce(session, settings, keyring, entry.id, case, now=now)
    return entry


async def take_back(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    url: str,
    by: str,
    tombstone: dict[str, Any],
    now: datetime,
) -> Entry | None:
    """A publisher withdrew a case: keep the dated tombstone, and take our announcements back."""
    entry = await withdraw_entry(session, url, actor=by, tombstone=write(tombstone), now=now)
    if entry is None or not settings.is_hub:
        return entry
    announced = await session.scalars(select(Sent).where(Sent.object_id == url, Sent.type == "Announce"))
    for sent in list(announced):
        inner = {
            "id": sent.id,
            "type": "Announce",
            "actor": sent.actor,
            "object": url,
            "to": [PUBLIC],
            "cc": [f"{sent.actor}/followers"],
        }
        sent.is_public = False
        undo = activities.undo(new_activity_id(settings), sent.actor, inner)
        await send(session, keyring, undo, inboxes=await follower_inboxes(session, sent.actor), now=now)
    return entry


async def announce(
    session: AsyncSession, settings: Settings, keyring: Keyring, url: str, case: PublicCase, *, now: datetime
) -> None:
    """Announce a case by its address, so that everyone fetches it from its own home."""
    found = await session.execute(select(EntryFacet.facet, EntryFacet.value).where(EntryFacet.entry == url))
    for actor in announcers(settings, {(facet, value) for facet, value in found}):
        activity = activities.announce(
            new_activity_id(settings), actor.id, url, to=[PUBLIC], cc=[actor.followers], published=now
        )
        inboxes = await follower_inboxes(session, actor.id)
        await send(session, keyring, activity, inboxes=inboxes, now=now, is_public=True)


def announcers(settings: Settings, facets: Iterable[tuple[str, str]]) -> list[LocalActor]:
    """Who announces a case with these facets: the main actor, and those of its State, articles and themes."""
    wanted = set(facets)
    main = local_actor_at(settings, settings.main_actor)
    return ([main] if main else []) + [actor for actor in local_actors(settings) if actor.facet in wanted]
