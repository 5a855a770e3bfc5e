"""Who asks: endpoints that answer signed requests only, always or where the operator wants it (authorised fetch)."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from federation.negotiation import FIELD, FOR_NO_BODY
from federation.requests import SignedRequest
from node.inbox.copying import Copying
from node.inbox.receive import Inbox
from node.runtime import Node
from web.caching import unless_known
from web.fediverse.answers import wants_activity
from web.security import OPEN

Endpoint = Callable[[Request], Awaitable[Response]]

# The `Accept` that ActivityPub §3.2 demands has quotation marks and a colon in it, before which a browser asks (Fetch §4.8, CORS-unsafe
# bytes). To read is all that a page elsewhere may, and what it reads is open: nothing here is told to who is signed in alone.
_MAY_READ = {
    "Allow": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Accept, If-None-Match",
    "Access-Control-Max-Age": "86400",
    **OPEN,
}
# RFC 3986 §3.3, beside letters, digits and `-._~`.
_IN_A_PATH = "/:@!$&'()*+,;="


def shown(path: str, endpoint: Endpoint, *, also_page: bool = False, takes: Collection[str] = ()) -> Route:
    """The address of a document for servers, and for pages of any origin, whose browsers ask first whether they may read it."""
    guarded = _signed_where_wanted(endpoint, also_page=also_page, takes=takes)
    return Route(path, guarded, methods=["GET", "OPTIONS"])


def _signed_where_wanted(endpoint: Endpoint, *, also_page: bool, takes: Collection[str]) -> Endpoint:
    """The endpoint; with TRACKER_AUTHORIZED_FETCH only for servers that sign. The instance actor is open in any case.

    also_page  the address has a page for people, too, which stays open.
    takes      what the query of an id there may say. Whoever adds anything else is led to the address without it.
    """

    async def guarded(request: Request) -> Response:
        node: Node = request.app.state.node
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_MAY_READ)
        sent, its_own = _target(request), _its_own(request, takes=takes)
        if sent != its_own and (wants_activity(request) or not also_page):
            # One document under two addresses: others compare the id with where they found it, byte for byte.
            at = f"{node.settings.origin}{its_own.decode('latin-1')}"
            return RedirectResponse(at, 301, headers={"Vary": "Accept", **OPEN})
        name = request.path_params.get("name")
        open_to_all = (
            name is not None and f"{node.settings.origin}/actors/{name}" == node.settings.instance_actor
        )
        if not node.settings.authorized_fetch or open_to_all or (also_page and not wants_activity(request)):
            asked_at = node.clock.now()
            return _noting(request, unless_known(request, await endpoint(request)), asked_at=asked_at)
        who = await caller(request)
        asked_at = node.clock.now()
        return _noting(request, private(await endpoint(request)), asked_at=asked_at, by=who)

    return guarded


def tells(request: Request, *cases: str) -> None:
    """The answer to this holds the words of these cases of ours: whoever signed the question is told what becomes of them."""
    request.state.tells = cases


def _noting(request: Request, response: Response, *, asked_at: datetime, by: str | None = None) -> Response:
    """The answer; once it is given, who has the words now is looked into. Whoever is told that nothing changed has them, too.

    asked_at  before the words were read: who takes an answer slowly has it later, and perhaps as nobody has it any more.
    by        who signed the question, where that is known.
    """
    cases: tuple[str, ...] = getattr(request.state, "tells", ())
    if cases and request.method == "GET" and response.status_code in (200, 304):
        copying: Copying = request.app.state.copying
        response.background = BackgroundTask(
            copying.fetched, _signed(request), cases, asked_at=asked_at, by=by
        )
    return response


async def caller(request: Request) -> str:
    """The actor who signed this request. Answers 401 when nobody did, or somebody who is shut out; which, is not told.

    503 with Retry-After when their key cannot be had just now.
    """
    inbox: Inbox = request.app.state.inbox
    found = await inbox.caller(_signed(request))
    if found is None:
        raise HTTPException(401, headers={FIELD: FOR_NO_BODY.decode("ascii")})
    return found


def _signed(request: Request) -> SignedRequest:
    """The question as a signature is held against it."""
    return SignedRequest(
        method=request.method, path_with_query=_target(request), headers=request.scope["headers"]
    )


def _target(request: Request) -> bytes:
    """The path and the query as they were sent."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return _joined(path.partition(b"?")[0], request.scope["query_string"])


def _its_own(request: Request, *, takes: Collection[str]) -> bytes:
    """The same as an id spells it: with percent signs where nothing else will do (RFC 3986 §6.2.2.2), and nothing that is not asked for."""
    path = quote(request.scope["path"], safe=_IN_A_PATH).encode()
    query: bytes = request.scope["query_string"]
    said = [one for one in query.split(b"&") if one.partition(b"=")[0].decode("latin-1") in takes]
    return _joined(path, b"&".join(said))


def _joined(path: bytes, query: bytes) -> bytes:
    return path + b"?" + query if query else path


def private(response: Response) -> Response:
    """An answer that was given to one server is kept for nobody else, and has no tag by which to ask for it again."""
    if "ETag" in response.headers:
        del response.headers["ETag"]
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Vary"] = "Accept, Signature, Signature-Input"
    return response
