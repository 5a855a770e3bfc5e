"""How cases are checked, and how to follow: by feed, or from one's own server in the fediverse."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.entries.search import Filter
from node.errors import Invalid
from node.peers.hosts import host_name
from node.peers.ours import LocalActor, local_actors
from node.peers.visitors import Asked, follow_address
from node.runtime import Node
from node.settings import Settings
from web.pages.addresses import handle
from web.pages.filters import say
from web.pages.publications import FRESH
from web.pages.rendering import render, speech_of

ACCOUNT: Final = re.compile(r"@?(?P<name>[^@\s/:?#]{1,100})@(?P<server>[^@\s/?#]{1,260})")
SERVER: Final = re.compile(
    r"(?=.{1,253}(:|$))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?"
)
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})
# A page with somebody's account in it is theirs alone.
THEIRS: Final[Mapping[str, str]] = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Followed:
    """An actor of ours that can be followed, in the reader's language."""

    name: str
    id: str
    handle: str
    words: str
    facet: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Home:
    """The visitor's own server, and where they are asked: on it, or at another place that it names."""

    server: str
    address: str
    place: str


def routes(_settings: Settings) -> list[Route]:
    """Pages about this site. One memory of whom we asked per application."""
    return [Route("/about", about), Route("/follow", partial(follow, asked=Asked()))]


async def about(request: Request) -> Response:
    """How we check, correct and withdraw, and what the figures mean."""
    return render(request, "readers/about.html", headers=FRESH)


async def follow(request: Request, *, asked: Asked) -> Response:
    """How to follow; with an account given, a link to where the visitor's own server asks them (FEP-3b86).

    A link and not a redirect: a page that redirects to any host named in its address would serve phishing, and
    browsers hold a redirect after a form against `form-action`. The link says where it leads.
    """
    node: Node = request.app.state.node
    settings = node.settings
    language = speech_of(request).language
    handles = tuple(
        _followed(actor, settings, language)
        for actor in local_actors(settings)
        if actor.id != settings.instance_actor
    )
    name = request.query_params.get("actor", "")
    chosen = next((one for one in handles if one.name == name), handles[0])
    account = request.query_params.get("account", "").strip()[:320]
    home = home_of(account, chosen.id, loopback=settings.allow_loopback) if account else None
    if home is not None:
        resource = (
            account
            if "://" in account
            else f"acct:{account.removeprefix('@').rpartition('@')[0]}@{home.server}"
        )
        told = await follow_address(node, asked, server=home.server, resource=resource, actor_id=chosen.id)
        home = home if told is None else replace(home, address=told[0], place=told[1])
    return render(
        request,
        "readers/follow.html",
        headers=THEIRS if account else None,
        handles=handles,
        chosen=chosen,
        account=account,
        home=home,
        problem=bool(account) and home is None,
        wanted=Filter.parse(dict([chosen.facet]) if chosen.facet else {}),
    )


def home_of(account: str, actor_id: str, *, loopback: bool = False) -> Home | None:
    """Where `@you@server` is asked whether to follow an actor when the server itself does not say; None when it is not an account.

    `/authorize_interaction?uri=` is Mastodon's, and most servers answer it.
    """
    server = _server(account)
    if server is None:
        return None
    host = urlsplit(f"//{server}").hostname or ""
    if "." not in host and not (loopback and host in LOOPBACK):
        return None
    scheme = "http" if loopback and host in LOOPBACK else "https"
    address = f"{scheme}://{server}/authorize_interaction?{urlencode({'uri': actor_id})}"
    return Home(server, address, server)


def _server(account: str) -> str | None:
    """The server of an account, in the letters of the domain name system; people also paste the address of their profile."""
    if account.startswith(("https://", "http://")):
        try:
            server = urlsplit(account).netloc
        except ValueError:
            return None
    else:
        found = ACCOUNT.fullmatch(account)
        server = found["server"] if found else ""
    if "@" in server:
        return None
    try:
        # As decisions about hosts spell it: Python's own codec leads from straße.example to the host of somebody else.
        name = host_name(server)
    except Invalid:
        return None
    return name if SERVER.fullmatch(name) else None


def _followed(actor: LocalActor, settings: Settings, language: str) -> Followed:
    words = say(*actor.facet, language) if actor.facet else settings.organisation
    return Followed(actor.name, actor.id, handle(actor.id), words, actor.facet)
