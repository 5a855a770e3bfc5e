"""A form with files, read while it arrives: no file is spooled to a disk and no field is kept here.

The parser of the web framework writes what is larger than a mebibyte into a temporary file. At the source's door that would
be a copy of what was sent, so the bytes go through this one, which holds no more than one chunk.
Spec: RFC 7578; RFC 2046 §5.1; HTML §"Multipart form data" (names carry %22 for a quotation mark).
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from node.errors import Invalid

MAX_HEADER_BYTES = 8 * 1024
# Each box that is ticked is a part: every one in the form that comes along makes some four hundred.
MAX_PARTS = 1000
_BOUNDARY = re.compile(
    r"""multipart/form-data\s*;.*?\bboundary=(?:"([0-9A-Za-z'()+_,./:=?-]{1,70})"|([0-9A-Za-z'()+_,./:=?-]{1,70}))""",
    re.IGNORECASE | re.ASCII,
)
_NAME = re.compile(r';\s*name="([^"\r\n]*)"', re.IGNORECASE)
_FILENAME = re.compile(r';\s*filename="([^"\r\n]*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Begin:
    """A field begins. `filename` is None for one that is not a file."""

    name: str
    filename: str | None
    media_type: str


@dataclass(frozen=True, slots=True)
class Data:
    """Some bytes of the present field."""

    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class End:
    """The present field is whole."""


Event = Begin | Data | End


class MultipartParser:
    """Bytes in, events out. Raises Invalid for whatever is not a form."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        # The first boundary has no line before it.
        self._buffer = bytearray(b"\r\n")
        self._state = "preamble"
        self._parts = 0

    @property
    def is_whole(self) -> bool:
        """Whether the last boundary has come."""
        return self._state == "end"

    def feed(self, piece: bytes) -> Iterator[Event]:
        """What more bytes bring. Must be read to its end before the next call."""
        if self._state == "end":
            return
        self._buffer += piece
        moved = True
        while moved:
            match self._state:
                case "preamble":
                    moved = self._find_first()
                case "boundary":
                    moved = self._after_boundary()
                case "headers":
                    begin = self._headers()
                    moved = begin is not None
                    if begin is not None:
                        yield begin
                case "data":
                    moved, content = self._data()
                    if content:
                        yield Data(content)
                    if moved:
                        yield End()
                case _:
                    moved = False

    def _find_first(self) -> bool:
        if len(self._buffer) < len(self._delimiter):
            return False
        # Browsers write nothing before the first boundary; nothing else is taken there.
        if not self._buffer.startswith(self._delimiter):
            raise _not_a_form("it does not begin with its boundary")
        del self._buffer[: len(self._delimiter)]
        self._state = "boundary"
        return True

    def _after_boundary(self) -> bool:
        if len(self._buffer) < 2:
            return False
        mark = bytes(self._buffer[:2])
        del self._buffer[:2]
        if mark == b"--":
            self._state = "end"
            self._buffer.clear()
            return False
        if mark != b"\r\n":
            raise _not_a_form("a boundary that goes on")
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _not_a_form("too many fields")
        self._state = "headers"
        return True

    def _headers(self) -> Begin | None:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_HEADER_BYTES:
                raise _not_a_form("headers without an end")
            return None
        try:
            lines = bytes(self._buffer[:end]).decode("utf-8").split("\r\n")
        except UnicodeDecodeError:
            raise _not_a_form("headers that are no text") from None
        del self._buffer[: end + 4]
        headers = {name.strip().lower(): value for name, _, value in (line.partition(":") for line in lines)}
        disposition = headers.get("content-disposition", "")
        name = _NAME.search(disposition)
        if not disposition.strip().lower().startswith("form-data") or name is None:
            raise _not_a_form("a field without a name")
        filename = _FILENAME.search(disposition)
        self._state = "data"
        return Begin(
            _plain(name[1]),
            None if filename is None else _plain(filename[1]),
            headers.get("content-type", "").strip().lower(),
        )

    def _data(self) -> tuple[bool, bytes]:
        at = self._buffer.find(self._delimiter)
        if at >= 0:
            content = bytes(self._buffer[:at])
            del self._buffer[: at + len(self._delimiter)]
            self._state = "boundary"
            return True, content
        # What may be the beginning of a boundary waits.
        safe = max(0, len(self._buffer) - len(self._delimiter) + 1)
        content = bytes(self._buffer[:safe])
        del self._buffer[:safe]
        return False, content


async def read_form(request: Request) -> AsyncIterator[Event]:
    """The events of a request's body. Raises Invalid: no form, or one that breaks off; HTTPException 415."""
    match = _BOUNDARY.match(request.headers.get("content-type", ""))
    if match is None or "content-encoding" in request.headers:
        raise HTTPException(415)
    parser = MultipartParser((match[1] or match[2]).encode("ascii"))
    try:
        async for piece in request.stream():
            for event in parser.feed(piece):
                yield event
    except ClientDisconnect:
        raise _not_a_form("the connection broke off") from None
    if not parser.is_whole:
        raise _not_a_form("it breaks off")


def _plain(name: str) -> str:
    return name.replace("%22", '"').replace("%0D", "").replace("%0A", "")


def _not_a_form(why: str) -> Invalid:
    return Invalid(f"not a form: {why}", public="What was sent is not whole. Please send it again.")
