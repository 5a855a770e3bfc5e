"""The desk's API for replies to our cases: read where they were written, shown when somebody of the desk agrees to these very words."""

import logging
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from federation.errors import FederationError
from node.errors import Conflict, Invalid, NotFound
from node.publishing.reactions import Reaction, ReplyText, hide_reply, read_reply, replies, show_reply
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action, require
from vocab.errors import VocabError
from web.pages.wire import Sha256, Wire, answer, read_json, takes
from web.sessions import require_same_origin, signed_in

log = logging.getLogger(__name__)

STATES = ("waiting", "shown", "hidden")
Address = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class Show(Wire, frozen=True):
    """A reply to be shown, and the hash of the words that were read."""

    id: Address
    sha256: Sha256


class Hide(Wire, frozen=True):
    """A reply not to be shown."""

    id: Address


def routes(_settings: Settings) -> list[BaseRoute]:
    """Where replies are looked at and decided."""
    api = "/api/v1/desk/replies"
    return [
        Route(api, list_replies),
        Route(f"{api}/text", show_text),
        Route(f"{api}/show", show, methods=["POST"]),
        Route(f"{api}/hide", hide, methods=["POST"]),
    ]


async def list_replies(request: Request) -> Response:
    """Replies that wait, are shown, or hidden (`?state=`): who wrote when to which case, and no words."""
    node: Node = request.app.state.node
    state = request.query_params.get("state", "waiting")
    if state not in STATES:
        raise Invalid("no such state", public="A reply is waiting, shown or hidden.")
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        require(me.roles, Action.SPEAK_IN_PUBLIC)
        return answer([_line(reply) for reply in await replies(session, state)])


async def show_text(request: Request) -> Response:
    """What one reply (`?id=`) says now, fetched from its author's server and sanitised."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
        require(me.roles, Action.SPEAK_IN_PUBLIC)
    text = await _text(node, request.query_params.get("id", "")[:2000])
    return answer(
        {
            "author": text.author,
            "handle": text.handle,
            "url": text.url,
            "content": text.content,
            "position": text.position,
            "published": text.published.isoformat() if text.published else None,
            "sha256": text.sha256,
            "public": text.is_public,
        }
    )


@takes(Show)
async def show(request: Request) -> Response:
    """Show a reply; 409 when it no longer says what was read."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Show, max_bytes=4096)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        require(me.roles, Action.SPEAK_IN_PUBLIC)
    text = await _text(node, given.id)
    if text.sha256 != given.sha256:
        raise Conflict("the reply changed", public="This reply says something else by now. Read it again.")
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        return answer(_line(await show_reply(session, given.id, text, by=me.id, now=now)))


@takes(Hide)
async def hide(request: Request) -> Response:
    """Do not show a reply, or no longer."""
    require_same_origin(request)
    node: Node = request.app.state.node
    given = await read_json(request, Hide, max_bytes=4096)
    now = node.clock.now()
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=now)
        require(me.roles, Action.SPEAK_IN_PUBLIC)
        return answer(_line(await hide_reply(session, given.id, by=me.id, now=now)))


async def text_now(node: Node, id: str) -> ReplyText | None:
    """What a reply says now; None when its author's server does not give it. Raises NotFound."""
    try:
        return await read_reply(node, id)
    except (FederationError, VocabError) as error:
        log.info("reply.unread", extra={"reason": type(error).__name__})
        return None


async def _text(node: Node, id: str) -> ReplyText:
    text = await text_now(node, id)
    if text is None:
        raise NotFound("a reply could not be read", public="Its author's server does not give this reply.")
    return text


def _line(reply: Reaction) -> dict[str, object]:
    state = "shown" if reply.shown else "waiting" if reply.decided_at is None else "hidden"
    return {
        "id": reply.id,
        "state": state,
        "actor": reply.actor,
        "case": reply.case_url,
        "position": reply.position,
        "received_on": reply.received_at.date().isoformat(),
        "decided_on": reply.decided_at.date().isoformat() if reply.decided_at else None,
    }
