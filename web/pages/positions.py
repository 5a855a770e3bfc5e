"""The desk's API for what we say of others' cases: written by one person, published by a second, taken back for good."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.publishing.positions import (
    MAX_TEXT,
    Position,
    draft_position,
    end_position,
    positions,
    publish_position,
)
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action, require
from web.pages.wire import Nothing, Wire, answer, read_json, takes
from web.sessions import require_same_origin, signed_in


class Draft(Wire, frozen=True):
    """What is to be said of a case, by its address."""

    case: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=30)]
    language: Annotated[str, msgspec.Meta(min_length=2, max_length=35)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]


def routes(_settings: Settings) -> list[BaseRoute]:
    """Where positions are written, published and taken back."""
    api = "/api/v1/desk/positions"
    return [
        Route(api, list_positions),
        Route(api, draft, methods=["POST"]),
        Route(f"{api}/{{id}}/publish", publish, methods=["POST"]),
        Route(f"{api}/{{id}}", end, methods=["DELETE"]),
    ]


async def list_positions(request: Request) -> Response:
    """Drafts and what was published, the latest first."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        require(me.roles, Action.READ_CASES)
        return answer([_line(row) for row in await positions(session)])


@takes(Draft)
async def draft(request: Request) -> Response:
    """Write one down; nobody sees it yet."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Draft, max_bytes=8 * MAX_TEXT)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        require(me.roles, Action.DRAFT)
        row = await draft_position(
            session,
            node.settings,
            case_url=given.case,
            kind=given.kind,
            language=given.language,
            text=given.text,
            by=me.id,
            now=now,
        )
        return answer(_line(row))


@takes(Nothing)
async def publish(request: Request) -> Response:
    """A second person publishes it."""
    require_same_origin(request)
    node: Node = request.app.state.node
    await read_json(request, Nothing, max_bytes=4096)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        require(me.roles, Action.APPROVE)
        row = await publish_position(
            session, node.settings, node.keyring, request.path_params["id"], by=me.id, now=now
        )
        said = _line(row)
    await node.bell.ring()
    return answer(said)


async def end(request: Request) -> Response:
    """Drop a draft, or take back what is public."""
    require_same_origin(request)
    node: Node = request.app.state.node
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        require(me.roles, Action.APPROVE)
        row = await end_position(
            session, node.settings, node.keyring, request.path_params["id"], by=me.id, now=now
        )
        said = _line(row)
    await node.bell.ring()
    return answer(said)


def _line(row: Position) -> dict[str, object]:
    return {
        "id": row.id,
        "url": row.url,
        "case": row.case_url,
        "kind": row.kind,
        "language": row.language,
        "text": row.text,
        "state": row.state,
        "drafted_by": row.drafted_by,
        "approved_by": row.approved_by,
        "published_at": row.published_at.isoformat() if row.published_at else None,
    }
