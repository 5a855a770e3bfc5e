"""Being found: WebFinger, NodeInfo, host-meta, security.txt, what became of lost keys."""

import asyncio
from datetime import timedelta
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from federation import addresses, nodeinfo, webfinger
from federation.errors import Forbidden
from node import __version__
from node.entries.entries import WITHDRAWN, Entry
from node.entries.search import entry_at
from node.errors import Invalid, NotFound
from node.peers.changing import STATEMENT, statement_file
from node.peers.ours import LocalActor, local_actor, local_actor_at
from node.runtime import Node
from node.settings import Settings
from vocab.terms import JRD_JSON, LD_JSON
from web.pages.addresses import case_address
from web.security import OPEN

# Where Mastodon and most others have theirs; what names only our host is led here.
INTERACTION = "/authorize_interaction"
MAX_ADDRESS = 2000
VALID = timedelta(days=180)


def routes() -> list[Route]:
    """The well-known addresses."""
    return [
        Route("/.well-known/webfinger", finger),
        Route("/.well-known/host-meta", host_meta),
        Route("/.well-known/nodeinfo", nodeinfo_index),
        Route("/nodeinfo/{version}", nodeinfo_document),
        Route("/.well-known/security.txt", security),
        Route(STATEMENT, keys),
        Route(INTERACTION, interaction),
    ]


async def finger(request: Request) -> Response:
    """RFC 7033: who is behind a handle, an actor's address, or this server."""
    node: Node = request.app.state.node
    resource = request.query_params.get("resource", "")
    if not resource:
        raise Invalid("WebFinger without a resource", public="Ask with ?resource=acct:name@host.")
    actor = _asked(node.settings, resource)
    if actor is None:
        raise NotFound("nobody of that name")
    document = webfinger.build(
        f"acct:{actor.name}@{node.settings.authority}",
        rels=request.query_params.getlist("rel"),
        actor_id=actor.id,
        page=f"{node.settings.origin}/" if actor.id == node.settings.main_actor else None,
        is_server_actor=actor.id == node.settings.instance_actor,
        intents=_intents(node.settings) if actor.id == node.settings.main_actor else {},
    )
    # The page is where it is read, and no name of it: the address of the server stands for the server's own actor (FEP-d556).
    document["aliases"] = [actor.id]
    return JSONResponse(document, media_type=JRD_JSON, headers={"Cache-Control": "public, max-age=3600"})


async def host_meta(request: Request) -> Response:
    """RFC 6415: where WebFinger is, for software that asks here first."""
    node: Node = request.app.state.node
    template = quoteattr(f"{node.settings.origin}/.well-known/webfinger?resource={{uri}}")
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">'
        f'<Link rel="lrdd" template={template}/></XRD>\n'
    )
    return Response(body, media_type="application/xrd+xml")


async def nodeinfo_index(request: Request) -> Response:
    """Where NodeInfo is."""
    settings: Settings = request.app.state.node.settings
    return JSONResponse(nodeinfo.well_known(settings.origin, server_actor=settings.instance_actor))


async def nodeinfo_document(request: Request) -> Response:
    """What software this is, and how many cases are public. No member of staff is counted: none is an actor."""
    node: Node = request.app.state.node
    version = request.path_params["version"]
    if version not in nodeinfo.VERSIONS:
        raise NotFound("no such version of NodeInfo")
    async with node.database.read() as session:
        posts = await session.scalar(
            select(func.count()).select_from(Entry).where(Entry.own.is_(True), Entry.state != WITHDRAWN)
        )
    document = nodeinfo.build(
        version,
        software_version=__version__,
        posts=posts or 0,
        metadata={
            "nodeName": node.settings.organisation,
            "role": node.settings.role,
            "languages": list(node.settings.languages),
            "federation": node.settings.federation,
            "fictional": node.settings.fictional,
        },
    )
    kind = f'application/json; profile="{nodeinfo.SCHEMA}{version}#"'
    return JSONResponse(document, media_type=kind)


async def security(request: Request) -> Response:
    """RFC 9116: how to report a weakness."""
    node: Node = request.app.state.node
    origin = node.settings.origin
    expires = (node.clock.now() + VALID).strftime("%Y-%m-%dT00:00:00Z")
    contact = f"{origin}/about" if node.settings.is_hub else f"{origin}/alert"
    return PlainTextResponse(
        f"Contact: {contact}\nExpires: {expires}\nCanonical: {origin}/.well-known/security.txt\n"
    )


async def keys(request: Request) -> Response:
    """Which keys were lost and when, under the signature of the organisation root; there when it ever was said."""
    node: Node = request.app.state.node
    file = statement_file(node.settings)
    try:
        body = await asyncio.to_thread(file.read_bytes)
    except FileNotFoundError as error:
        raise NotFound("no key of this server was ever lost") from error
    return Response(body, media_type=LD_JSON, headers=dict(OPEN))


def _intents(settings: Settings) -> dict[str, str]:
    """Where somebody who speaks for this organisation begins what they saw elsewhere (FEP-3b86).

    All of them are pages that a GET only shows: what they change is sent by a form of ours, by a person who is signed in. Nothing leads
    on to another server. Nobody follows or likes from a page here, so these intents are not named.
    """
    found = {"Object": f"{settings.origin}{INTERACTION}?uri={{object}}"}
    if not settings.is_hub:
        found["Create"] = f"{settings.origin}/desk/positions?case={{inReplyTo}}"
        found["Flag"] = f"{settings.origin}/desk/reports/new?object={{object}}"
    return found


async def interaction(request: Request) -> Response:
    """To what this server has of an object somebody names: a case, or an actor of ours to follow. Never to another server."""
    node: Node = request.app.state.node
    asked = request.query_params.get("uri", "").strip()[:MAX_ADDRESS]
    ours = _asked(node.settings, asked) if asked else None
    if ours is not None:
        return RedirectResponse(f"/follow?actor={quote(ours.name)}", 303)
    async with node.database.read() as session:
        card = await entry_at(session, asked)
    at = case_address(card) if card is not None else ""
    if not at.startswith("/"):
        # Its home is elsewhere and no copy is shown: an address that leads anywhere would serve phishing.
        raise NotFound("nothing of this object here")
    return RedirectResponse(at, 303)


def _asked(settings: Settings, resource: str) -> LocalActor | None:
    resource = _spelled(resource)
    if resource.rstrip("/") == settings.origin:
        return local_actor_at(settings, settings.instance_actor)
    if resource.startswith(("https://", "http://")):
        return local_actor_at(settings, resource)
    name, at, host = resource.removeprefix("acct:").removeprefix("@").rpartition("@")
    if not at or _host(host) != settings.authority:
        return None
    return local_actor(settings, name.lower())


def _spelled(resource: str) -> str:
    """The resource with its scheme and its host in lower case: there, case makes no difference (RFC 3986 §6.2.2.1). The host in ASCII."""
    scheme, colon, rest = resource.partition(":")
    if scheme.lower() not in {"acct", "http", "https"}:
        return resource
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        rest = f"//{_host(host)}{slash}{path}"
    return f"{scheme.lower()}{colon}{rest}"


def _host(text: str) -> str:
    """The host of a resource as our own is spelled: a person may have written it in the letters of their language."""
    try:
        return addresses.in_ascii(text).lower()
    except Forbidden:
        return ""
