"""What a hub says of its members' cases, from its main actor and from the actors of the case's State, articles and themes.

The address of the case, which is what most software shows; and the publisher's own activity, proof and all, for software of groups
(FEP-1b12). Who follows the public collection here, as Mastodon asks relays, is forwarded that activity as it is (FEP-ae0c).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.peers.actors import host_of
from node.peers.ours import LocalActor, local_actor_at, local_actors
from node.peers.sending import Parcel, Passed, Sent, new_activity_id
from node.settings import Settings
from node.statements import among
from vocab import activities
from vocab.activities import Activity
from vocab.terms import PUBLIC


async def standing(session: AsyncSession, urls: Collection[str]) -> dict[str, dict[str, str]]:
    """Of these cases, by which actors of ours each is announced by its address, and in which activity."""
    found: dict[str, dict[str, str]] = {}
    if not urls:
        return found
    announced = select(Sent.object_id, Sent.actor, Sent.id).where(among(Sent.object_id, urls))
    announced = announced.where(Sent.type == "Announce", Sent.wraps.is_(None), Sent.is_public.is_(True))
    for url, actor, name in await session.execute(announced):
        found.setdefault(url, {})[actor] = name
    return found


def taking_back(
    settings: Settings, announce: str, actor: str, url: str, inboxes: Collection[str], *, now: datetime
) -> Parcel:
    """The Undo of an announcement of a case."""
    inner = {
        "id": announce,
        "type": "Announce",
        "actor": actor,
        "object": url,
        "to": [PUBLIC],
        "cc": [f"{actor}/followers"],
    }
    undo = activities.undo(new_activity_id(settings), actor, inner, published=now)
    # As public as what it takes back: who is told of it only by its id can ask for it.
    return Parcel(undo, inboxes, is_public=True)


def announcements(
    settings: Settings, url: str, *, by: Collection[str], inboxes: Mapping[str, list[str]], now: datetime
) -> list[Parcel]:
    """A case by its address, so that everyone fetches it from its own home."""
    return [
        Parcel(_announcement(settings, actor, url, now=now), inboxes[actor], is_public=True) for actor in by
    ]


def passed_on(
    settings: Settings,
    said: Activity,
    *,
    about: str,
    by: Collection[str],
    inboxes: Mapping[str, list[str]],
    now: datetime,
) -> list[Parcel | Passed]:
    """A publisher's activity as it was said, to those who follow (FEP-1b12), and bare to those who asked for that.

    Its proof makes it hold, not our word.
    """
    # It carries the whole case: what nobody is told is not kept once more.
    wrapped = [
        Parcel(_announcement(settings, actor, said.raw, now=now), inboxes[actor], is_public=True, about=about)
        for actor in by
        if inboxes[actor]
    ]
    publisher = host_of(said.actor)
    others = [inbox for inbox in inboxes[PUBLIC] if host_of(inbox) != publisher]
    bare = [Passed(said, others, by=settings.main_actor, about=about)] if others else []
    return [*wrapped, *bare]


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
