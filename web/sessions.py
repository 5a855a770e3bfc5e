"""The desk's session: a token that only the desk's API and its own pages ever see, and the checks that keep other sites from using it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from node.settings import Settings
from node.staff.accounts import Staff
from node.staff.entrance import ABSOLUTE, NotSignedIn, whoever

# Name of a cookie → the addresses it is sent to: the API, and the pages that need no scripts. Nothing else sees either.
COOKIES = {"srt-desk": "/api/v1/desk", "srt-desk-pages": "/desk"}
SAFE = frozenset({"GET", "HEAD"})
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
FILES = "multipart/form-data"
MAX_TOKEN = 100


async def signed_in(request: Request, session: AsyncSession, *, now: datetime) -> Staff:
    """The member of staff behind this request. Answers 401 when there is none."""
    try:
        return await whoever(session, token_of(request), now=now)
    except NotSignedIn as error:
        raise HTTPException(401) from error


def require_same_origin(request: Request, kind: str = JSON) -> None:
    """Refuse what another site could have sent: a foreign or missing Origin (403), any content type but `kind` (415).

    SameSite=Strict does most of it; sister hosts of one domain count as the same site, so the Origin is compared too.
    """
    if request.method in SAFE:
        return
    settings: Settings = request.app.state.node.settings
    own = {settings.origin} | ({settings.onion.rstrip("/")} if settings.onion else set())
    if request.headers.getlist("origin") not in [[origin] for origin in own]:
        raise HTTPException(403)
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException(403)
    if (
        request.method != "DELETE"
        and request.headers.get("content-type", "").split(";")[0].strip().lower() != kind
    ):
        raise HTTPException(415)


def token_of(request: Request) -> str:
    """The session's token as sent; empty when there is none."""
    return next((request.cookies[name] for name in COOKIES if name in request.cookies), "")[:MAX_TOKEN]


def set_cookie(response: Response, token: str, settings: Settings) -> None:
    """Keep the session in the browser until it is closed, out of reach of scripts and of other sites."""
    for name, path in COOKIES.items():
        response.set_cookie(
            name,
            token,
            max_age=int(ABSOLUTE.total_seconds()),
            path=path,
            secure=settings.origin.startswith("https:"),
            httponly=True,
            samesite="strict",
        )


def drop_cookie(response: Response, settings: Settings) -> None:
    """Forget the session in the browser."""
    for name, path in COOKIES.items():
        response.delete_cookie(
            name, path=path, secure=settings.origin.startswith("https:"), httponly=True, samesite="strict"
        )
