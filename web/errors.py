"""From exception to answer, in one table: safe words outside, the reason in the log."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from node import errors as node_errors
from node.database import is_unstorable
from vocab.errors import VocabError

log = logging.getLogger(__name__)

STATUS: Mapping[type[Exception], int] = {
    node_errors.NotAllowed: 403,
    node_errors.NotFound: 404,
    node_errors.WrongState: 409,
    node_errors.Conflict: 409,
    node_errors.Invalid: 400,
    node_errors.TooLarge: 413,
    node_errors.Throttled: 429,
    node_errors.NotYet: 503,
    node_errors.NoRoom: 503,
    node_errors.Misconfigured: 503,
    node_errors.NodeError: 400,
    VocabError: 400,
}
SENTENCES: Mapping[int, str] = {
    400: "This could not be understood.",
    401: "Please sign in.",
    403: "You may not do this.",
    404: "There is nothing here.",
    405: "This is not done that way.",
    406: "This is not available in that form.",
    409: "Somebody else was first. Read again, then try again.",
    410: "This was here and has been withdrawn.",
    413: "This is larger than what is taken here.",
    415: "This kind of content is not taken here.",
    429: "Too many tries. Wait a little, then try again.",
    500: "Something went wrong here. Nothing you sent was published. Please try again later.",
    503: "This server is not ready. Please try again later.",
}

# Where sources write and read: what is refused there is in no log, where it would stand beside its moment.
DOORS_OF_SOURCES = ("/alert", "/api/v1/alerts", "/api/v1/mailbox", "/api/v1/uploads")

ErrorPage = Callable[[Request, int, str], Awaitable[Response]]


def sentence(status: int) -> str:
    """The safe sentence for a status."""
    return SENTENCES.get(status, SENTENCES[500 if status >= 500 else 400])


def status_of(error: Exception) -> int:
    """The status that stands for an exception: that of its nearest named ancestor."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return 500


def word_of(error: Exception, status: int) -> str:
    """The word of a refusal that programs may count on: that of its nearest named ancestor, such as `too-large`."""
    if isinstance(error, HTTPException):
        return _dashed(HTTPStatus(status).phrase.replace(" ", ""))
    kind = next((kind for kind in type(error).__mro__ if kind in STATUS), None)
    return "failed" if kind is None or kind is node_errors.NodeError else _dashed(kind.__name__)


def _dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def wants_json(request: Request) -> bool:
    """True for programs: the API, and servers of the fediverse."""
    if request.url.path.startswith(("/api/", "/.well-known/", "/nodeinfo/")):
        return True
    accept = ",".join(request.headers.getlist("accept"))
    return "json" in accept and "text/html" not in accept


def handlers(
    page: ErrorPage,
) -> dict[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]]:
    """Exception handlers for the application; `page` renders a sentence for people."""

    async def answer(request: Request, status: int, said: str, error: Exception) -> Response:
        extra: dict[str, str] = {}
        if isinstance(error, node_errors.Throttled | node_errors.NotYet):
            extra["Retry-After"] = str(error.retry_after)
        if isinstance(error, HTTPException) and error.headers:
            extra |= dict(error.headers)
        if not wants_json(request):
            response = await page(request, status, said)
        else:
            body: dict[str, object] = {"error": said}
            if request.url.path.startswith("/api/"):
                # A page puts the word into its reader's language; the sentence is for tools.
                body["code"] = word_of(error, status)
            if isinstance(error, node_errors.Invalid) and error.problems:
                body["fields"] = error.problems
            response = JSONResponse(body, status)
        response.headers.update(extra | {"Cache-Control": "no-store"})
        return response

    def note(request: Request, status: int, reason: str) -> None:
        if not request.url.path.startswith(DOORS_OF_SOURCES):
            log.info("request.refused", extra={"status": status, "reason": reason})

    async def known(request: Request, error: Exception) -> Response:
        status = status_of(error)
        # The message may name ids, never contents: rooms write it so.
        note(request, status, type(error).__name__)
        return await answer(request, status, getattr(error, "public", sentence(status)), error)

    async def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return await answer(request, status, sentence(status), error)

    async def of_the_database(request: Request, error: Exception) -> Response:
        if not isinstance(error, DBAPIError) or not is_unstorable(error):
            raise error
        # PostgreSQL has no place for a null character, which stands in an address as easily as any: no fault of ours, and not two
        # pages of log for each.
        note(request, 400, "not stored")
        return await answer(request, 400, sentence(400), error)

    async def gone(request: Request, error: Exception) -> Response:
        # In the middle of what they sent; nobody hears this. Two pages of log for each are a flood that costs a stranger nothing.
        return Response(status_code=400)

    async def unknown(request: Request, error: Exception) -> Response:
        log.error("request.failed", extra={"reason": type(error).__name__}, exc_info=error)
        return await answer(request, 500, sentence(500), error)

    return {
        HTTPException: http,
        node_errors.NodeError: known,
        VocabError: known,
        DBAPIError: of_the_database,
        ClientDisconnect: gone,
        Exception: unknown,
        500: unknown,
    }
