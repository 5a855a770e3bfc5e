"""make_app(node): the routes of the role, the middleware and the error handlers, as lists."""

import os
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Router
from starlette.staticfiles import NotModifiedResponse, PathLike, StaticFiles
from starlette.types import Receive, Scope, Send

from node.inbox.copying import Copying
from node.inbox.receive import Inbox
from node.intake.pressure import Pressure
from node.intake.tickets import PURPOSE as TICKETS
from node.intake.tickets import Tickets
from node.roles import role_of
from node.runtime import Node
from node.settings import Settings
from web import errors
from web.doorstep import Site
from web.fediverse import actors, discovery, objects
from web.fediverse.inbox import InboxDoor
from web.pages import (
    about,
    api,
    desk,
    duty,
    entering,
    forms,
    health,
    hub,
    intake,
    keeping,
    mailbox,
    moderation,
    office,
    offline,
    organisations,
    plain,
    policies,
    publications,
    published,
    reporting,
    returning,
    sealed,
    sending,
    standpoints,
)
from web.pages.rendering import make_templates, render
from web.pages.squeezing import squeezed_file
from web.security import MAX_BODY_BYTES, SecurityHeaders


class KeptFiles(StaticFiles):
    """Static files whose address carries the hash of their content: kept for ever by whoever fetched them, and sent small."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        # RFC 9110 §15.4.5: who has it already is told anew for how long; a cache between may have forgotten that.
        if response.status_code in (200, 304) and (
            b"v=" in scope["query_string"] or path.startswith("built/")
        ):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
            for name in (
                "Last-Modified",
                "Accept-Ranges",
            ):  # its ETag says as much, and nobody asks for half of it
                if name in response.headers:
                    del response.headers[name]
        return response

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        headers = Headers(scope=scope)
        response = squeezed_file(Path(full_path), stat_result, headers)
        return (
            NotModifiedResponse(response.headers)
            if self.is_not_modified(response.headers, headers)
            else response
        )


def make_app(node: Node) -> Site:
    """The application of one node. It holds no state of its own but parsed keys and templates."""
    settings = node.settings
    pages = Starlette(
        routes=routes(settings),
        middleware=[
            Middleware(SecurityHeaders, https=settings.origin.startswith("https:"), onion=settings.onion)
        ],
        exception_handlers=errors.handlers(error_page),
        max_body_size=MAX_BODY_BYTES,
    )
    # Starlette's own takes scheme and host from the request, where anybody writes them.
    pages.router.redirect_slashes = False
    pages.router.default = partial(_without_slash, pages.router)
    pages.state.node = node
    pages.state.templates = make_templates()
    pages.state.pressure = Pressure()
    pages.state.tickets = Tickets(node.keyring.secret(TICKETS))
    received = Inbox(node, handled=role_of(settings).activities)
    pages.state.inbox = received
    pages.state.copying = Copying(node, received.caller)
    inbox = InboxDoor(received, settings)

    return Site(inbox, pages)


async def _without_slash(router: Router, scope: Scope, receive: Receive, send: Send) -> None:
    """Where no route serves an address that ends with a slash, lead to the one without it, if there is one.

    By its path alone: so whoever came by the onion service stays there, and nobody is led from https to http, or to another host.
    """
    path: str = scope["path"]
    there = "/" + path.strip("/")
    if not path.endswith("/") or path.startswith("//") or not _serves(router, {**scope, "path": there}):
        await router.not_found(scope, receive, send)
        return
    query: bytes = scope["query_string"]
    at = quote(there) + (f"?{query.decode('latin-1')}" if query else "")
    await RedirectResponse(at, 307)(scope, receive, send)


def _serves(router: Router, scope: Scope) -> bool:
    return any(route.matches(scope)[0] is not Match.NONE for route in router.routes)


def routes(settings: Settings) -> Sequence[BaseRoute]:
    """Every address that is served in this role. Pages of the other role are not mounted: a hub has no intake to attack."""
    opened = role_of(settings).pages
    found: list[BaseRoute] = [
        *health.routes(settings),
        *discovery.routes(),
        *actors.routes(),
        *objects.routes(),
        *api.routes(settings),
        *about.routes(settings),
        *organisations.routes(settings),
    ]
    if "intake" in opened:
        found += intake.routes(settings)
        found += sending.routes(settings)
        found += sealed.routes(settings)
        found += mailbox.routes(settings)
        found += offline.routes(settings)
        found += plain.routes(settings)
        found += returning.routes(settings)
    if "desk" in opened:
        found += entering.routes(settings)
        found += forms.routes(settings)
        found += desk.routes(settings)
        for room in (office, moderation, published, standpoints, reporting, policies, keeping, duty):
            found += room.routes(settings)
    if "hub" in opened:
        found += hub.routes(settings)
    found += publications.routes(settings)
    found.append(Mount("/static", KeptFiles(directory=str(files("web").joinpath("static"))), name="static"))
    return found


async def error_page(request: Request, status: int, sentence: str) -> Response:
    """A sentence for people."""
    return render(request, "error.html", status=status, sentence=sentence)
