"""The desk's API for what goes out: where a case has got to, and which cases stand first."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.errors import NotFound
from node.peers.deliveries import Delivery, deliveries_of
from node.publishing.featured import feature, featured_cases, unfeature
from node.publishing.publications import publication_of
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action, require
from web.pages.wire import NO_STORE, Nothing, answer, path_id, read_json, takes
from web.sessions import require_same_origin, signed_in


def routes(_settings: Settings) -> list[BaseRoute]:
    """Addresses under a case of the desk."""
    case = "/api/v1/desk/cases/{id}"
    return [
        Route("/api/v1/desk/featured", show_featured),
        Route(f"{case}/deliveries", show_deliveries),
        Route(f"{case}/feature", put_first, methods=["POST"]),
        Route(f"{case}/feature", put_back, methods=["DELETE"]),
    ]


async def show_deliveries(request: Request) -> Response:
    """Who has the case, who not yet, who never will. Hosts and counts are for the desk; readers see neither."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        require(me.roles, Action.READ_CASES)
    # Thousands may have it: while this is read, others write.
    async with node.database.read() as session:
        publication = await publication_of(session, path_id(request, "id"))
        found = await deliveries_of(session, publication.url) if publication else None
    if publication is None or found is None:
        raise NotFound("this case is not public")
    return answer(
        {
            "url": publication.url,
            "activity": found.type,
            "sent_at": found.sent_at.isoformat(),
            "counts": {state: found.count(state) for state in ("has", "waiting", "never")},
            "deliveries": [_shown(one) for one in found.to],
        }
    )


async def show_featured(request: Request) -> Response:
    """The addresses of the cases that stand first."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        require(me.roles, Action.READ_CASES)
        return answer(await featured_cases(session))


@takes(Nothing)
async def put_first(request: Request) -> Response:
    """Put a public case first on this server's profile."""
    require_same_origin(request)
    await read_json(request, Nothing, max_bytes=4096)
    return await _change(request, first=True)


async def put_back(request: Request) -> Response:
    """Take it out of those that stand first."""
    return await _change(request, first=False)


async def _change(request: Request, *, first: bool) -> Response:
    require_same_origin(request)
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        require(me.roles, Action.SPEAK_IN_PUBLIC)
        publication = await publication_of(session, path_id(request, "id"))
        if publication is None:
            raise NotFound("this case is not public")
        change = feature if first else unfeature
        await change(session, node.settings, node.keyring, publication.url, now=now)
    await node.bell.ring()
    return Response(status_code=204, headers=NO_STORE)


def _shown(one: Delivery) -> dict[str, object]:
    return {
        "host": one.host,
        "inbox": one.inbox,
        "state": one.state,
        "attempts": one.attempts,
        "reason": one.reason,
        "next_at": one.next_at.isoformat() if one.next_at else None,
        "failing_since": one.failing_since.isoformat() if one.failing_since else None,
    }
