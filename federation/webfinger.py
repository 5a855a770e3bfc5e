"""WebFinger: the handle `name@host` of an actor, built for ours and resolved for others'.

Spec: RFC 7033; Mastodon docs spec/webfinger; FEP-d556 (server actor), FEP-2c59 (the way back), FEP-3b86 (activity intents).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from urllib.parse import quote

import httpx

from federation import addresses, discovery
from federation.errors import BadAnswer, Forbidden, Mismatch
from federation.fetch import fetch_actor
from federation.keys import Signer
from federation.retrieval import Permit, Retrieval
from vocab.actors import Actor
from vocab.terms import ACTIVITY_JSON, AS_NAMESPACE, JRD_JSON, LD_JSON

PROFILE_PAGE = "http://webfinger.net/rel/profile-page"
SERVER_ACTOR = f"{AS_NAMESPACE}Service"
INTENT = "https://w3id.org/fep/3b86/"

# Mastodon's: ASCII only, and what every other server reads as well.
_NAME = re.compile(r"[A-Za-z0-9_]+(?:[.-]+[A-Za-z0-9_]+)*")
_MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Handle:
    """`name@host`, both parts checked. `str()` gives it without a leading @."""

    name: str
    host: str

    def __str__(self) -> str:
        """Write it as people do."""
        return f"{self.name}@{self.host}"

    def names(self, other: "Handle") -> bool:
        """Tell whether two handles are the same: case does not matter."""
        return str(self).lower() == str(other).lower()


def parse_handle(text: str) -> Handle:
    """Read `name@host`, `@name@host` or `acct:name@host`. Raises Forbidden for anything else."""
    name, at, host = text.strip().removeprefix("acct:").removeprefix("@").rpartition("@")
    if not at or not _NAME.fullmatch(name) or len(name) > _MAX_NAME or set(host) & set("/?#"):
        raise Forbidden("not a handle; name@host is one", url=text[:200])
    return Handle(name, addresses.parse(f"https://{addresses.in_ascii(host)}/").authority)


def build(
    subject: str,
    *,
    actor_id: str,
    page: str | None = None,
    is_server_actor: bool = False,
    intents: Mapping[str, str] = MappingProxyType({}),
    rels: Collection[str] = (),
) -> dict[str, object]:
    """Return the JRD of an actor of ours.

    subject           `acct:name@host`, or the address that was asked for.
    is_server_actor   also links it as the actor of the server itself (FEP-d556).
    intents           activity → template of the page where whoever speaks for the actor begins it (FEP-3b86).
    rels              the relations that were asked for, and no others (RFC 7033 §4.3); none for all of them.
    """
    links: list[dict[str, object]] = [
        {"rel": "self", "type": ACTIVITY_JSON, "href": actor_id},
        {"rel": "self", "type": LD_JSON, "href": actor_id},
    ]
    if page is not None:
        links.append({"rel": PROFILE_PAGE, "type": "text/html", "href": page})
    if is_server_actor:
        links.append({"rel": SERVER_ACTOR, "type": ACTIVITY_JSON, "href": actor_id})
    links += [{"rel": f"{INTENT}{name}", "template": template} for name, template in intents.items()]
    if rels:
        links = [link for link in links if link["rel"] in rels]
    aliases = [actor_id] if page is None or page == actor_id else [actor_id, page]
    return {"subject": subject, "aliases": aliases, "links": links}


@dataclass(frozen=True, slots=True)
class Finger:
    """What WebFinger says of a handle: the actor behind it, and the handle that it goes by there, which may be another's host."""

    asked: Handle
    subject: Handle
    actor_id: str


async def resolve(
    http: httpx.AsyncClient,
    handle: str,
    *,
    now: datetime,
    signer: Signer | None = None,
    permit: Permit | None = None,
) -> str:
    """Return the id of the actor behind a handle.

    signer   with one, the actor is fetched too and must lead back to the handle: both ways, as it should be
             before a handle is shown or stored. Without one, the caller does that.
    permit   asked before each address.
    Raises FetchError: Mismatch when host and handle do not agree.
    """
    found = await finger(http, parse_handle(handle), permit=permit)
    if signer is not None:
        actor = await fetch_actor(Retrieval(http, signer, now, permit), found.actor_id)
        await agree(http, found, actor, permit=permit)
    return found.actor_id


async def finger(
    http: httpx.AsyncClient, handle: Handle, *, permit: Permit | None = None, may_lead_on: bool = True
) -> Finger:
    """Ask a handle's host who is behind it; it may lead on to the same actor's handle elsewhere, once, which must say the same of itself.

    Raises FetchError: Mismatch where that one leads on again.
    """
    document = await _ask(http, handle, permit)
    subject = _subject(document, handle)
    if not subject.names(handle):
        if not may_lead_on:
            raise Mismatch(f"{handle} leads on to {subject}", url=str(handle))
        document = await _ask(http, subject, permit)
        if not _subject(document, subject).names(subject):
            raise Mismatch(f"{subject} answers for another handle again", url=str(handle))
    return Finger(handle, subject, _self(document, subject))


async def agree(
    http: httpx.AsyncClient, found: Finger, actor: Actor, *, permit: Permit | None = None
) -> Handle:
    """Return the handle an actor goes by, when the one that was asked for may stand for it. Raises FetchError.

    That is the very handle, or one at the actor's own host, where a server keeps its handles at another domain. A third host may name
    whom it likes and stands for nobody.
    """
    if found.actor_id != actor.id:
        raise Mismatch(f"{found.asked} leads to another actor", url=actor.id)
    confirmed = await handle_of(http, actor, permit=permit)
    is_home = found.asked.host == addresses.parse(actor.id).authority
    if not confirmed.names(found.subject) or not (is_home or confirmed.names(found.asked)):
        raise Mismatch(f"{found.asked} leads to an actor known as {confirmed}", url=actor.id)
    return confirmed


async def handle_of(http: httpx.AsyncClient, actor: Actor, *, permit: Permit | None = None) -> Handle:
    """Return the handle of an actor, as the handle's host confirms it. Raises FetchError.

    What the actor says itself is asked for directly (FEP-2c59). Else its name at its own host is, which may lead on to the
    canonical handle, once.
    """
    if actor.webfinger is not None:
        claimed = parse_handle(actor.webfinger)
    else:
        claimed = parse_handle(f"{actor.preferred_username}@{addresses.parse(actor.id).authority}")
    found = await finger(http, claimed, permit=permit, may_lead_on=actor.webfinger is None)
    if found.actor_id != actor.id:
        raise Mismatch(f"{claimed} is somebody else", url=actor.id)
    return found.subject


async def _ask(http: httpx.AsyncClient, handle: Handle, permit: Permit | None) -> Mapping[str, object]:
    origin = discovery.origin_of_host(handle.host)
    url = f"{origin}/.well-known/webfinger?resource={quote(f'acct:{handle}', safe=':@')}"
    return await discovery.get_json(http, url, accept=f"{JRD_JSON}, application/json", permit=permit)


def _subject(document: Mapping[str, object], handle: Handle) -> Handle:
    subject = document.get("subject")
    if not isinstance(subject, str) or not subject.startswith("acct:"):
        raise BadAnswer("a JRD without an acct: subject", url=str(handle))
    return parse_handle(subject)


def _self(document: Mapping[str, object], handle: Handle) -> str:
    links = document.get("links")
    for link in links if isinstance(links, list) else []:
        if not isinstance(link, Mapping) or link.get("rel") != "self":
            continue
        href = link.get("href")
        if link.get("type") in (ACTIVITY_JSON, LD_JSON) and isinstance(href, str):
            addresses.parse(href)
            return href
    raise BadAnswer("a JRD without a link to an actor", url=str(handle))
