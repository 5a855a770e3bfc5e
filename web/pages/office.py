"""The office: pages of the desk about what is public or only counted. They hold nothing sealed, so they need no keys and no scripts.

A page is read with the session's cookie and changed by a form of its own origin; after a change the browser is sent back to a page
that says what was done. Each handler names the action it takes; the table of permissions says who may.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from node.errors import Invalid
from node.runtime import Node
from node.sealing.receipts import words_of_bits
from node.settings import Settings
from node.staff.accounts import Staff
from node.staff.permissions import Action, allowed, require
from web.pages.rendering import render
from web.pages.wire import NO_STORE, read_bytes
from web.sessions import FORM, require_same_origin, signed_in

# With "no-referrer" browsers send `Origin: null` along with a form, and nothing could tell our own forms from others'.
HEADERS = NO_STORE | {"Referrer-Policy": "same-origin"}
MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 20


@dataclass(frozen=True, slots=True)
class Room:
    """One page of the office, and what one has to be allowed to see it."""

    name: str
    action: Action

    @property
    def path(self) -> str:
        return f"/desk/{self.name}"


ROOMS = (
    Room("replies", Action.SPEAK_IN_PUBLIC),
    Room("published", Action.READ_CASES),
    Room("positions", Action.READ_CASES),
    Room("reports", Action.HANDLE_REPORTS),
    Room("hosts", Action.DECIDE_HOSTS),
    Room("keeping", Action.SEE_TERMS),
    Room("duty", Action.READ_DUTY),
    Room("door", Action.CLOSE_INTAKE),
)


def routes(_settings: Settings) -> list[BaseRoute]:
    """The way in."""
    return [Route("/desk/office", enter)]


async def enter(request: Request) -> Response:
    """To the first room this person may enter. Answers 401, and 403 where there is none."""
    node: Node = request.app.state.node
    async with node.database.begin() as session:
        me = await signed_in(request, session, now=node.clock.now())
    first = next((room for room in ROOMS if allowed(me.roles, room.action)), None)
    if first is None:
        raise HTTPException(403)
    return RedirectResponse(first.path, 303, HEADERS)


async def seated(request: Request, session: AsyncSession, action: Action) -> Staff:
    """The member of staff behind this request, who may do this. Answers 401; raises NotAllowed."""
    node: Node = request.app.state.node
    me = await signed_in(request, session, now=node.clock.now())
    require(me.roles, action)
    return me


def page(
    request: Request, template: str, me: Staff, *, status: int = 200, wrong: str = "", **context: Any
) -> Response:
    """A page of the office, with the rooms this person may enter. Any: each template knows what it is given.

    wrong  what was wrong with the form that this answers; else what the address says, after a redirect.
    """
    return render(
        request,
        template,
        status=status,
        headers=HEADERS,
        me=me,
        rooms=[room for room in ROOMS if allowed(me.roles, room.action)],
        may=lambda action: allowed(me.roles, Action(action)),
        done=request.query_params.get("done", ""),
        wrong=wrong or request.query_params.get("wrong", ""),
        call_name=call_name,
        **context,
    )


async def read_fields(request: Request) -> dict[str, str]:
    """What a form of our own pages says, the first value of each field. Answers 403, 415; raises Invalid, TooLarge."""
    require_same_origin(request, FORM)
    body = await read_bytes(request, max_bytes=MAX_FORM_BYTES)
    try:
        found = parse_qs(body.decode("ascii"), max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise Invalid("not a form") from None
    return {name: values[0].replace("\r\n", "\n").strip() for name, values in found.items()}


def back(path: str, query: Mapping[str, str] | None = None, /, **said: str) -> Response:
    """Send the browser back to a page that says what was `done`, or what was `wrong`."""
    pairs = {name: value for name, value in {**(query or {}), **said}.items() if value}
    # 303: what follows is a GET, and loading it again changes nothing.
    return RedirectResponse(f"{path}?{urlencode(pairs)}" if pairs else path, 303, HEADERS)


def chosen(value: str, choices: frozenset[str]) -> str:
    """One of the choices of our own form; anything else answers 400."""
    if value not in choices:
        raise HTTPException(400)
    return value


def call_name(id: str) -> str:
    """The two words people call an alert or a case by, the same as in the desk's lists."""
    first, second = (int(id[at : at + 4], 16) & 0x7FF for at in (0, 4))
    return " ".join(words_of_bits((first << 13 | second << 2).to_bytes(3, "big"), 2))
