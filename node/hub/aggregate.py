"""Fold what followed organisations publish into entries: only what their own proof holds for, newest version, once.

A hub announces what is new from its main actor and from the actors of the case's State, articles and themes: the address of
the case, which is what most software shows; and the publisher's own activity, proof and all, for software of groups (FEP-1b12).
Who follows the public collection here, as Mastodon asks relays, is forwarded that activity as it is (FEP-ae0c).
"""

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.entries.entries import Draft, Entry, put_entries, withdraw_entry
from node.hub.quarantine import let_go_all
from node.keyring import Keyring
from node.peers.actors import host_of
from node.peers.follows import follower_inboxes, inboxes_of_followers
from node.peers.ours import LocalActor, local_actor_at, local_actors
from node.peers.sending import Parcel, Passed, Sent, forward, hide_sent, new_activity_id, send, send_all
from node.settings import Settings
from vocab import activities
from vocab.activities import Activity
from vocab.cases import read_case
from vocab.jsonld import write
from vocab.terms import PUBLIC

log = logging.getLogger(__name__)

CLOCK_SKEW = timedelta(hours=1)


class Publisher(Protocol):
    """What is asked of a publisher: of the row that is kept of it, or of what was read of it with many others."""

    @property
    def id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def indexable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Brought:
    """A case of an organisation that we follow, read and proven.

    said  the publisher's public activity that brought it, with its own proof; None when there is none to pass on.
    """

    draft: Draft
    said: Activity | None = None


def read_brought(
    document: dict[str, Any],
    *,
    publisher: Publisher,
    proof_key: str,
    said: Activity | None = None,
    now: datetime,
) -> Brought | None:
    """Read a case of an organisation we follow; None when it is not one that may be shown.

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
    body = write(document)
    draft = Draft(
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
    )
    return Brought(draft, said)


async def take_in(
    session: AsyncSession, settings: Settings, keyring: Keyring, brought: Iterable[Brought], *, now: datetime
) -> None:
    """Keep cases of organisations we follow, and announce those that are new: in as few statements as one.

    Several versions of one case are kept in the order in which they came.
    """
    rest = list(brought)
    while rest:
        first: dict[str, Brought] = {}
        later = [one for one in rest if first.setdefault(one.draft.id, one) is not one]
        await _take_in(session, settings, keyring, first, now=now)
        rest = later


async def _take_in(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    brought: Mapping[str, Brought],
    *,
    now: datetime,
) -> None:
    changed = await put_entries(session, [one.draft for one in brought.values()], now=now)
    await let_go_all(session, brought)
    if not changed or not settings.is_hub:
        return
    by = {
        url: [actor.id for actor in announcers(settings, one.draft.facets())]
        for url, one in brought.items()
        if url in changed
    }
    inboxes = await inboxes_of_followers(session, {PUBLIC}.union(*by.values()))
    told: list[Parcel] = []
    relayed: list[Passed] = []
    for url, ours in by.items():
        if changed[url]:
            told += _announcements(settings, url, by=ours, inboxes=inboxes, now=now)
        if (said := brought[url].said) is not None:
            told += _wrapped(settings, said, about=url, by=ours, inboxes=inboxes, now=now)
            relayed.append(_relayed(settings, said, about=url, inboxes=inboxes))
    await send_all(session, keyring, told, now=now)
    await forward(session, relayed, now=now)


async def take_back(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    *,
    url: str,
    by: str,
    tombstone: dict[str, Any],
    said: Activity | None = None,
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


async def pass_on(
    session: AsyncSession,
    settings: Settings,
    keyring: Keyring,
    said: Activity,
    *,
    about: str,
    by: Collection[str],
    now: datetime,
) -> None:
    """Announce a publisher's activity as it was said, to those who follow (FEP-1b12), and forward it bare to those who asked for that.

    Its proof makes it hold, not our word.
    """
    inboxes = await inboxes_of_followers(session, {PUBLIC, *by})
    await forward(session, [_relayed(settings, said, about=about, inboxes=inboxes)], now=now)
    parcels = _wrapped(settings, said, about=about, by=by, inboxes=inboxes, now=now)
    await send_all(session, keyring, parcels, now=now)


def _announcements(
    settings: Settings, url: str, *, by: Collection[str], inboxes: Mapping[str, list[str]], now: datetime
) -> list[Parcel]:
    """A case by its address, so that everyone fetches it from its own home."""
    return [
        Parcel(_announcement(settings, actor, url, now=now), inboxes[actor], is_public=True) for actor in by
    ]


def _wrapped(
    settings: Settings,
    said: Activity,
    *,
    about: str,
    by: Collection[str],
    inboxes: Mapping[str, list[str]],
    now: datetime,
) -> list[Parcel]:
    # It carries the whole case: what nobody is told is not kept once more.
    return [
        Parcel(_announcement(settings, actor, said.raw, now=now), inboxes[actor], is_public=True, about=about)
        for actor in by
        if inboxes[actor]
    ]


def _relayed(settings: Settings, said: Activity, *, about: str, inboxes: Mapping[str, list[str]]) -> Passed:
    publisher = host_of(said.actor)
    others = [inbox for inbox in inboxes[PUBLIC] if host_of(inbox) != publisher]
    return Passed(said, others, by=settings.main_actor, about=about)


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
