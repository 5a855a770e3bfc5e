"""What we say of others' cases, at the desk: one person writes it, a second publishes it, and what is public can be taken back."""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.entries.search import Card, entry_at
from node.errors import Invalid, NotAllowed, NotFound, WrongState
from node.publishing.positions import (
    MAX_TEXT,
    draft_position,
    end_position,
    positions,
    publish_position,
)
from node.runtime import Node
from node.settings import Settings
from node.staff.accounts import Staff, names_of
from node.staff.permissions import Action
from vocab.positions import LABELS
from web.pages.office import back, chosen, page, read_fields, seated

PATH = "/desk/positions"
MAX_ADDRESS = 2000


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses."""
    return [
        Route(PATH, positions_page),
        Route(PATH, write, methods=["POST"]),
        Route(f"{PATH}/{{id}}", change, methods=["POST"]),
    ]


async def positions_page(request: Request) -> Response:
    """What waits for a second person, what is public, what was taken back; and the form, for a case that is named (`?case=`)."""
    node: Node = request.app.state.node
    typed = request.query_params.get("case", "").strip()[:MAX_ADDRESS]
    async with node.database.begin() as session:
        me = await seated(request, session, Action.READ_CASES)
        return await _page(request, session, me, typed)


async def write(request: Request) -> Response:
    """Write one down; nobody outside the desk sees it yet. A form that is refused comes back with every word that was typed."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    case = given.get("case", "")[:MAX_ADDRESS]
    async with node.database.begin() as session:
        me = await seated(request, session, Action.DRAFT)
        wrong = await _draft(session, node, me, case, given)
        if wrong is not None:
            return await _page(request, session, me, case, given=given, wrong=wrong)
    return back(PATH, done="written")


async def _draft(
    session: AsyncSession, node: Node, me: Staff, case: str, given: Mapping[str, str]
) -> str | None:
    """Keep what was typed; or say what is wrong with it, and keep nothing."""
    kind, language, text = given.get("kind", ""), given.get("language", ""), given.get("text", "")
    if kind not in LABELS or language not in node.settings.languages:
        return "kind"
    if not text:
        return "words"
    try:
        await draft_position(
            session,
            node.settings,
            case_url=case,
            kind=kind,
            language=language,
            text=text,
            by=me.id,
            now=node.clock.now(),
        )
    except NotFound:
        return "case"
    except Invalid:
        return "long"
    return None


async def _page(
    request: Request,
    session: AsyncSession,
    me: Staff,
    typed: str,
    *,
    given: Mapping[str, str] | None = None,
    wrong: str = "",
) -> Response:
    node: Node = request.app.state.node
    found = await positions(session)
    wanted = case_named(node.settings, typed)
    cards = await _cards(session, {wanted, *(row.case_url for row in found)})
    people = await names_of(session, {row.drafted_by for row in found})
    about = cards.get(wanted)
    is_open = about is not None and not about.own and about.case is not None
    return page(
        request,
        "desk/positions.html",
        me,
        status=400 if wrong else 200,
        wrong=wrong,
        waiting=[row for row in found if row.state == "draft"],
        public=[row for row in found if row.state == "live"],
        ended=[row for row in found if row.state == "withdrawn"],
        cards=cards,
        people=people,
        typed=typed,
        # The templates refuse a name that is not there: each of the three is.
        given={name: (given or {}).get(name, "") for name in ("kind", "language", "text")},
        about=about if is_open else None,
        kinds=tuple(LABELS),
        longest=MAX_TEXT,
    )


async def change(request: Request) -> Response:
    """A second person publishes it; or it is dropped, or taken back."""
    node: Node = request.app.state.node
    given = await read_fields(request)
    own_id, now = request.path_params["id"], node.clock.now()
    async with node.database.begin() as session:
        me = await seated(request, session, Action.APPROVE)
        act = (
            publish_position
            if chosen(given.get("do", ""), frozenset({"publish", "end"})) == "publish"
            else end_position
        )
        try:
            row = await act(session, node.settings, node.keyring, own_id, by=me.id, now=now)
        except NotAllowed:
            return back(PATH, wrong="second")
        except (WrongState, NotFound):
            return back(PATH, wrong="stale")
        done = {"live": "said", "dropped": "dropped", "withdrawn": "taken-back"}[row.state]
    await node.bell.ring()
    return back(PATH, done=done)


def case_named(settings: Settings, typed: str) -> str:
    """The address of the case that somebody names: its own, or that of our copy of it."""
    parts = urlsplit(typed) if typed.startswith(f"{settings.origin}/cases/") else None
    pieces = parts.path.split("/") if parts else []
    if parts is None or len(pieces) != 4:
        return typed
    return f"{parts.scheme}://{unquote(pieces[2])}/cases/{unquote(pieces[3])}"


async def _cards(session: AsyncSession, urls: Iterable[str]) -> dict[str, Card]:
    found = {url: await entry_at(session, url) for url in urls if url}
    return {url: card for url, card in found.items() if card is not None}
