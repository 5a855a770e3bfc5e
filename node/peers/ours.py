"""The actors of this server. A node speaks as `cases`; a hub as `hub`, and per State, article, theme, group and kind as an actor that announces.

No member of staff is an actor. The instance actor, named like the host, signs what we fetch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from node.database import Row
from node.keyring import Keyring
from node.settings import Settings
from vocab import charter, lists, states
from vocab.actors import Actor, PublicKey, write_actor
from vocab.terms import RFC9421, SRT

# Others read ten keys of an actor.
MOST_FORMER = 8
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
# The picture beside the name of each actor of ours: a bitmap, for Mastodon and its kin take no drawing (web/static/icon.png).
ICON = "/static/icon.png"
# What nobody can see from our actors and objects (FEP-844e).
IMPLEMENTS = (
    (RFC9421, "RFC-9421: HTTP Message Signatures"),
    ("https://w3id.org/fep/8b32", "FEP-8b32: Object Integrity Proofs"),
    (SRT, "Cases of the Social Rights Tracker"),
)


@dataclass(frozen=True, slots=True)
class LocalActor:
    """An actor of ours.

    facet  what it announces, such as ("state", "FR"); None for one that announces everything or publishes itself.
    """

    name: str
    id: str
    type: str
    title: str
    summary: str
    facet: tuple[str, str] | None = None

    @property
    def inbox(self) -> str:
        return f"{self.id}/inbox"

    @property
    def page(self) -> str:
        """Where people read what it publishes or announces; on its own host."""
        origin = self.id.partition("/actors/")[0]
        return f"{origin}/cases?{urlencode([self.facet])}" if self.facet else f"{origin}/"

    @property
    def followers(self) -> str:
        return f"{self.id}/followers"


class Alias(Row):
    """Another actor that an actor of ours was (`also-known-as`) or has become (`moved-to`)."""

    __tablename__ = "aliases"

    actor: Mapped[str] = mapped_column(String(600), primary_key=True)
    other: Mapped[str] = mapped_column(String(2000), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    said_at: Mapped[datetime]


def local_actor(settings: Settings, name: str) -> LocalActor | None:
    """The actor of that name, or None."""
    if not NAME.fullmatch(name):
        return None
    at = f"{settings.origin}/actors/{name}"
    if at == settings.instance_actor:
        return LocalActor(name, at, "Application", settings.organisation, "Signs what this server fetches.")
    if at == settings.main_actor:
        if settings.is_hub:
            return LocalActor(
                name,
                at,
                "Group",
                settings.organisation,
                "Announces the cases that member organisations have verified.",
            )
        return LocalActor(
            name, at, "Organization", settings.organisation, "Publishes cases that two people have verified."
        )
    return _announcer(settings, name) if settings.is_hub else None


@lru_cache(maxsize=64)
def local_actors(settings: Settings) -> tuple[LocalActor, ...]:
    """Every actor of this server, the main one first."""
    names = [settings.main_actor.rsplit("/", 1)[1]]
    if settings.is_hub:
        names += [f"state-{state.code.lower()}" for state in states.states()]
        names += [f"article-{article.number}" for article in charter.articles()]
        names += [f"theme-{theme.id}" for theme in charter.themes()]
        names += [f"group-{group.id}" for group in lists.items("groups")]
        names += [f"kind-{kind.id}" for kind in lists.items("case_kinds")]
    names.append(settings.instance_actor.rsplit("/", 1)[1])
    found = (local_actor(settings, name) for name in names)
    return tuple(actor for actor in found if actor is not None)


def local_actor_at(settings: Settings, actor_id: str) -> LocalActor | None:
    """The actor with that id, or None when it is not one of ours."""
    prefix = f"{settings.origin}/actors/"
    return local_actor(settings, actor_id.removeprefix(prefix)) if actor_id.startswith(prefix) else None


def announcer_of(settings: Settings, facets: Mapping[str, str]) -> LocalActor | None:
    """The actor that announces what is found by exactly this, such as {"state": "FR"}; None where nobody does."""
    if len(facets) != 1:
        return None
    (facet,) = facets.items()
    actor = local_actor(settings, f"{facet[0]}-{facet[1].lower()}")
    return actor if actor is not None and actor.facet == facet else None


async def aliases_of(session: AsyncSession, actor_id: str) -> list[Alias]:
    """What an actor of ours was before, and has become."""
    found = select(Alias).where(Alias.actor == actor_id).order_by(Alias.said_at, Alias.other)
    return list(await session.scalars(found))


async def say_alias(session: AsyncSession, actor_id: str, other: str, kind: str, *, now: datetime) -> None:
    """Say that an actor of ours was another (`also-known-as`), or is another from now on (`moved-to`), which is one."""
    if kind == "moved-to":
        await session.execute(delete(Alias).where(Alias.actor == actor_id, Alias.kind == kind))
    await session.merge(Alias(actor=actor_id, other=other, kind=kind, said_at=now))


def shown_keys(keyring: Keyring, actor_id: str) -> tuple[PublicKey, ...]:
    """The keys of an actor of ours: those that sign, and the Ed25519 keys of before, each with its end."""
    rsa, ed25519 = keyring.public_keys(actor_id)
    return (
        PublicKey(id=rsa.key_id, owner=actor_id, algorithm="rsa", spki_pem=rsa.public),
        PublicKey(id=ed25519.key_id, owner=actor_id, algorithm="ed25519", multibase=ed25519.public),
        *(
            PublicKey(
                id=one.key_id,
                owner=actor_id,
                algorithm="ed25519",
                multibase=one.public,
                expires=one.retired_at,
                revoked=one.is_lost,
            )
            for one in keyring.former_keys(actor_id)[:MOST_FORMER]
        ),
    )


def actor_document(
    settings: Settings,
    keyring: Keyring,
    actor: LocalActor,
    *,
    published: datetime,
    aliases: Sequence[Alias] = (),
) -> dict[str, Any]:
    """The actor as others read it: ActivityPub §4.1, RSA key and Ed25519 Multikey under its own id.

    Ed25519 keys of before are listed with the day they were retired, so that what they proved can be checked.
    """
    return write_actor(
        Actor(
            id=actor.id,
            type=actor.type,
            preferred_username=actor.name,
            name=actor.title,
            summary=actor.summary,
            icon=f"{settings.origin}{ICON}",
            inbox=actor.inbox,
            shared_inbox=f"{settings.origin}/inbox",
            outbox=f"{actor.id}/outbox",
            followers=actor.followers,
            following=f"{actor.id}/following",
            featured=f"{actor.id}/featured",
            url=actor.page,
            keys=shown_keys(keyring, actor.id),
            also_known_as=tuple(one.other for one in aliases if one.kind == "also-known-as"),
            moved_to=next((one.other for one in aliases if one.kind == "moved-to"), None),
            published=published,
            discoverable=actor.id != settings.instance_actor,
            indexable=actor.id != settings.instance_actor,
            # Link previews of our pages may name our actors, and those of no other host (Mastodon 4.3).
            attribution_domains=(settings.authority,),
            webfinger=f"{actor.name}@{settings.authority}",
            implements=IMPLEMENTS,
            states=settings.states if actor.id == settings.main_actor and not settings.is_hub else (),
        )
    )


def _announcer(settings: Settings, name: str) -> LocalActor | None:
    """The actor that announces one State, article, theme, group or kind, or None."""
    kind, _, value = name.partition("-")
    try:
        match kind:
            case "state":
                state = states.state(value.upper())
                value, title, of = state.code, state.name("en"), f"from {state.name('en')}"
            case "article":
                article = charter.article(value)
                value = str(article.number)
                title, of = (
                    article.label("en"),
                    f"under {article.label('en')} of the revised European Social Charter",
                )
            case "theme":
                theme = charter.theme(value)
                title, of = theme.label("en"), f"on: {theme.label('en')}"
            case "group":
                title = lists.label("groups", value, "en")
                of = f"about those concerned: {title}"
            case "kind":
                title = lists.label("case_kinds", value, "en")
                of = f"of the kind: {title}"
            case _:
                return None
    except KeyError:
        return None
    if name != f"{kind}-{value.lower()}":
        return None
    return LocalActor(
        name,
        f"{settings.origin}/actors/{name}",
        "Group",
        f"{title} · {settings.organisation}",
        f"Announces verified cases {of}.",
        (kind, value),
    )
