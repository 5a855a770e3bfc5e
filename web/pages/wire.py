"""JSON at the doors, read strictly: sizes first, then one spelling of JSON, then exactly the fields that are named.

The same structs describe the API in /api/openapi.json, so what is documented is what is read.
"""

import base64
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from node.errors import Invalid, TooLarge
from vocab import jsonld
from vocab.errors import VocabError

MAX_JSON_BYTES = 1024 * 1024
NO_STORE = {"Cache-Control": "no-store"}

# The lengths are part of each pattern's meaning: `$` alone would let a line feed in.
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$", min_length=32, max_length=32)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64)]
Recipient = Annotated[str, msgspec.Meta(pattern="^age1pq1[0-9a-z]+$", max_length=2100)]
KeyId = Annotated[str, msgspec.Meta(pattern="^z6Mk[1-9A-HJ-NP-Za-km-z]+$", max_length=64)]
Holder = Annotated[str, msgspec.Meta(pattern="^[0-9a-z]+$", min_length=1, max_length=26)]
Seq = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Sealed = Annotated[bytes, msgspec.Meta(description="An age file, base64.", max_length=768 * 1024)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]

ID = re.compile(r"[0-9a-f]{32}")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
TAKES = "__takes__"


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body: these fields, no others."""


class Nothing(Wire, frozen=True):
    """An empty object."""


def takes(body: type[Wire] | str) -> Callable[[F], F]:
    """Say what a handler reads, for the description of the API: a struct, or the media type of what is no JSON."""

    def say(handler: F) -> F:
        setattr(handler, TAKES, body)
        return handler

    return say


def taken_by(handler: object) -> type[Wire] | str | None:
    """What a handler said that it reads; None for one that reads nothing."""
    found: type[Wire] | str | None = getattr(handler, TAKES, None)
    return found


async def read_bytes(request: Request, *, max_bytes: int) -> bytes:
    """The body, refused as soon as it is longer. Raises TooLarge."""
    # Zeros may stand before it, more of them than `int` reads.
    announced = request.headers.get("content-length", "").lstrip("0")
    if announced.isascii() and announced.isdigit() and int(announced) > max_bytes:
        raise TooLarge("the body says it is too large")
    if "content-encoding" in request.headers:
        # A small body that unfolds into a large one.
        raise HTTPException(415)
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge("the body is too large")
        parts.append(chunk)
    return b"".join(parts)


def parse(body: bytes, kind: type[T]) -> T:
    """A body as `kind`. Raises Invalid, whose words never repeat what was sent."""
    try:
        return msgspec.convert(jsonld.parse(body, max_bytes=MAX_JSON_BYTES), kind, strict=True)
    except VocabError as error:
        raise Invalid(
            f"not strict JSON: {type(error).__name__}", public="This is not JSON as it is taken here."
        ) from error
    except msgspec.ValidationError as error:
        place = str(error).rpartition(" - at `$.")[2].rstrip("`") if " - at `$." in str(error) else ""
        raise Invalid(
            "unexpected fields or values",
            public="This is not what is taken at this address.",
            problems={place: "This is not what is expected here."} if place else {},
        ) from error


async def read_json(request: Request, kind: type[T], *, max_bytes: int = MAX_JSON_BYTES) -> T:
    """The body as `kind`; no body at all is read as an empty object. Raises TooLarge, Invalid."""
    return parse(await read_bytes(request, max_bytes=max_bytes) or b"{}", kind)


def path_id(request: Request, name: str) -> str:
    """A random id in the path; anything else is answered as if it named nothing."""
    value: str = request.path_params[name]
    if not ID.fullmatch(value):
        raise HTTPException(404)
    return value


def answer(value: Any, status: int = 200) -> JSONResponse:
    """A JSON answer that nobody keeps."""
    # Any: JSONResponse takes whatever json can write.
    return JSONResponse(value, status, NO_STORE)


def b64(data: bytes) -> str:
    """Base64, standard alphabet, padded."""
    return base64.b64encode(data).decode()
