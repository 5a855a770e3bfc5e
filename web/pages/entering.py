"""Alerts that came by telephone, by letter or in person, sealed in the browser of whoever took them; and mailboxes that are blocked.

The receipt is made in that browser too, and handed over: the server sees neither words nor text, only that staff entered it.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node import audit
from node.casework import triage
from node.intake.alerts import Mode
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action, require
from vocab.sourceform import Purpose
from web.pages.intake import asked_now, door_now
from web.pages.rendering import render, speech_of
from web.pages.sending import NewAlert, take_in
from web.pages.wire import MAX_JSON_BYTES, NO_STORE, answer, path_id, read_bytes, takes
from web.sessions import require_same_origin, signed_in

PAGES = {"/desk/enter": Purpose.ALERT, "/desk/enter/urgent": Purpose.URGENT}


def routes(settings: Settings) -> list[BaseRoute]:
    """The addresses."""
    alerts = "/api/v1/desk/alerts"
    return [
        *(Route(path, enter_page) for path in PAGES),
        Route(alerts, enter_alert, methods=["POST"]),
        Route(f"{alerts}/{{id}}/block", block, methods=["POST"]),
        Route(f"{alerts}/{{id}}/unblock", unblock, methods=["POST"]),
    ]


async def enter_page(request: Request) -> Response:
    """The source's own form, filled in by staff. It shows nothing of anybody; sending asks who is signed in."""
    node: Node = request.app.state.node
    return render(
        request,
        "desk/enter.html",
        headers=NO_STORE,
        **await door_now(node),
        root_key=node.keyring.root_id or "",
        **await asked_now(node, PAGES[request.url.path], speech_of(request).language),
    )


@takes(NewAlert)
async def enter_alert(request: Request) -> Response:
    """A sealed alert, as at the source's door, by somebody signed in: 201, or 200 for the same bytes again."""
    require_same_origin(request)
    node: Node = request.app.state.node
    now = node.clock.now()
    body = await read_bytes(request, max_bytes=MAX_JSON_BYTES)
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        require(me.roles, Action.READ_ALERTS)
    alert, is_new = await take_in(node, body, mode=Mode.STAFF_ENTERED, by=me.id)
    received = {"id": alert.id, "state": alert.state, "received_on": alert.received_on.isoformat()}
    return answer(received, 201 if is_new else 200)


async def block(request: Request) -> Response:
    """The source may read on but write no more. Nothing has to be opened for it."""
    return await _decide(request, is_blocked=True)


async def unblock(request: Request) -> Response:
    """The source may write again."""
    return await _decide(request, is_blocked=False)


async def _decide(request: Request, *, is_blocked: bool) -> Response:
    require_same_origin(request)
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        require(me.roles, Action.CLOSE_ALERT)
        alert = await triage.find_alert(session, path_id(request, "id"), for_update=True)
        alert.is_blocked = is_blocked
        action = "alert.blocked" if is_blocked else "alert.unblocked"
        await audit.record(session, actor=me.id, action=action, subject=alert.id, now=now)
    return answer({"id": alert.id, "is_blocked": alert.is_blocked})
