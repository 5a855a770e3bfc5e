"""Replies to our cases at the desk: who wrote where and when, the words as their author's server gives them now, and what to do with them."""

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.peers.actors import host_of
from node.publishing.reactions import ReplyText, hide_reply, replies, show_reply
from node.runtime import Node
from node.settings import Settings
from node.staff.permissions import Action
from vocab.markup import sanitised
from web.pages.office import back, chosen, page, read_fields, seated
from web.pages.replies import STATES, text_now

PATH = "/desk/replies"
MAX_ADDRESS = 2000


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses."""
    return [Route(PATH, replies_page), Route(PATH, decide, methods=["POST"])]


async def replies_page(request: Request) -> Response:
    """The replies of one state (`?state=`), and the words of the one that is chosen (`?id=`)."""
    node: Node = request.app.state.node
    state = chosen(request.query_params.get("state", "waiting"), frozenset(STATES))
    async with node.database.begin() as session:
        me = await seated(request, session, Action.SPEAK_IN_PUBLIC)
        found = await replies(session, state)
    wanted = request.query_params.get("id", "")
    open_one = next((reply for reply in found if reply.id == wanted), None)
    text: ReplyText | None = None if open_one is None else await text_now(node, open_one.id)
    return page(
        request,
        "desk/replies.html",
        me,
        state=state,
        replies=found,
        open=open_one,
        text=text,
        # Sanitised when it was read; once more, because here it becomes part of a page of ours.
        content=Markup(sanitised(text.content)) if text else None,  # noqa: S704
        host_of=host_of,
    )


async def decide(request: Request) -> Response:
    """Show the words that were read, or do not show the reply. What changed meanwhile is read again first."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    now, wanted = node.clock.now(), given.get("id", "")[:MAX_ADDRESS]
    state = chosen(given.get("state", "waiting"), frozenset(STATES))
    async with node.database.begin() as session:
        me = await seated(request, session, Action.SPEAK_IN_PUBLIC)
        if chosen(given.get("decision", ""), frozenset({"show", "hide"})) == "hide":
            await hide_reply(session, wanted, by=me.id, now=now)
            return back(PATH, {"state": state}, done="hidden")
    text = await text_now(node, wanted)
    if text is None:
        return back(PATH, {"state": state, "id": wanted})
    if text.sha256 != given.get("sha256"):
        return back(PATH, {"state": state, "id": wanted}, wrong="changed")
    async with node.database.begin() as session:
        me = await seated(request, session, Action.SPEAK_IN_PUBLIC)
        await show_reply(session, wanted, text, by=me.id, now=now)
    return back(PATH, {"state": state}, done="shown")
