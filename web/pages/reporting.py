"""Reports at the desk: what others say is wrong with what is here, and what we say to others, in the name of the server and never of a person."""

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from federation.errors import FederationError
from node import audit
from node.entries.entries import Entry
from node.errors import Invalid
from node.peers.actors import RemoteActor, host_of
from node.peers.directory import find_remote
from node.peers.reports import (
    MAX_NOTE,
    MAX_TEXT,
    close_report,
    closed_reports,
    keep_report,
    open_reports,
    send_report,
)
from node.peers.sending import new_activity_id
from node.publishing.reactions import Reaction
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action
from vocab.errors import VocabError
from web.pages.office import back, page, read_fields, seated

PATH = "/desk/reports"
SCHEMES = ("https://", "http://")
MAX_ADDRESS = 2000


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses."""
    return [
        Route(PATH, reports_page),
        Route(f"{PATH}/settle", settle, methods=["POST"]),
        Route(f"{PATH}/new", new_page),
        Route(f"{PATH}/new", report, methods=["POST"]),
    ]


async def reports_page(request: Request) -> Response:
    """Reports that wait, oldest first, and those that were settled, with what came of them."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await seated(request, session, Action.HANDLE_REPORTS)
        waiting, settled = await open_reports(session), await closed_reports(session)
    return page(
        request,
        "desk/reports.html",
        me,
        waiting=waiting,
        settled=settled,
        is_address=is_address,
        longest=MAX_NOTE,
    )


async def settle(request: Request) -> Response:
    """Close a report with what came of it."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    if not given.get("note"):
        return back(PATH, wrong="note")
    async with node.database.begin() as session:
        me = await seated(request, session, Action.HANDLE_REPORTS)
        await close_report(
            session, given.get("report", "")[:40], given["note"], by=me.id, now=node.clock.now()
        )
    return back(PATH, done="settled")


async def new_page(request: Request) -> Response:
    """The form of a report; what it is about may come along (`?object=`)."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await seated(request, session, Action.HANDLE_REPORTS)
    about = request.query_params.get("object", "")[:MAX_ADDRESS]
    return page(request, "desk/report.html", me, about=about, longest=MAX_TEXT)


async def report(request: Request) -> Response:
    """Note a report here, and send it to the server concerned where that is wanted."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    about, text = given.get("object", "")[:MAX_ADDRESS], given.get("text", "")[:MAX_TEXT]
    async with node.database.begin() as session:
        await seated(request, session, Action.HANDLE_REPORTS)
        author = await _author(session, about)
    if not text:
        return back(f"{PATH}/new", {"object": about}, wrong="text")
    them: RemoteActor | None = None
    if given.get("send"):
        try:
            them = await find_remote(node, author or about)
        except (FederationError, VocabError, Invalid):
            return back(f"{PATH}/new", {"object": about}, wrong="nobody")
    objects = [about] if is_address(about) and (them is None or about != them.id) else []
    if them is not None and any(host_of(url) != them.host for url in objects):
        return back(f"{PATH}/new", {"object": about}, wrong="nobody")
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await seated(request, session, Action.HANDLE_REPORTS)
        kept = await keep_report(
            session,
            activity_id=new_activity_id(node.settings),
            reporter=node.settings.instance_actor,
            objects=objects or [about],
            text=text,
            now=now,
        )
        if kept is None:
            return back(f"{PATH}/new", {"object": about}, wrong="full")
        if them is not None:
            await send_report(
                session, node.settings, node.keyring, them=them, objects=objects, text=text, now=now
            )
        action = "report.noted" if them is None else "report.sent"
        await audit.record(session, actor=me.id, action=action, subject=kept.id, now=now)
    await node.bell.ring()
    return back(PATH, done="noted" if them is None else "sent")


def is_address(text: str) -> bool:
    """Whether a link may be made of it: other schemes run what strangers wrote."""
    return text.startswith(SCHEMES)


async def _author(session: AsyncSession, about: str) -> str | None:
    """Whose it is, where we know: an entry's publisher, a reply's author."""
    entry = await session.get(Entry, about)
    if entry is not None:
        return entry.actor
    reply = await session.get(Reaction, about)
    return None if reply is None else reply.actor
