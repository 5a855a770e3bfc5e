"""One HTTP/1.1 connection to one server: writes a request, reads its answer under caps, and can be used again.

No pipelining, no upgrade, no content decoding. What a peer sends beyond the answer closes the connection.
Spec: RFC 9112.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools
import msgspec

from federation.errors import FetchError, Oversized, Unreachable

MAX_HEADER_BYTES = 32_768
MAX_HEADERS = 128
# 100, 102, 103: nobody has more to say before it answers. Each costs us more to read than to send.
MAX_INTERIM = 16


class Answer(msgspec.Struct, frozen=True):
    """What a server answered. Header names are in lower case."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header of that name, or None."""
        wanted = name.lower().encode("ascii")
        return next((value.decode("latin-1").strip() for key, value in self.headers if key == wanted), None)

    @property
    def is_redirect(self) -> bool:
        """Tell whether the answer points elsewhere."""
        return self.status in (301, 302, 303, 307, 308)


class Connection(asyncio.Protocol):
    """A connection: made by the transport, lent to one exchange at a time."""

    def __init__(self, on_lost: Callable[["Connection"], None]) -> None:
        """`on_lost` is called once, when the connection has ended for whatever reason."""
        self.idle_since = 0.0
        self.is_reusable = True
        self.has_answered = False
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._max_body_bytes = 0
        self._needs_body = True
        self._is_head = False
        self._status = 0
        self._is_until_close = False
        self._is_complete = False
        self._interim = 0

    async def exchange(
        self, request: bytes, max_body_bytes: int, needs_body: bool = True, is_head: bool = False
    ) -> Answer:
        """Send one request and return its answer. Raises Unreachable, Oversized.

        needs_body   False when the status is all that counts: a body over the cap is then cut off, not refused.
        After any error or cancellation the connection is closed.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise Unreachable("the connection was closed")
        self._waiter = self._loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._reset()
        self._max_body_bytes, self._needs_body, self._is_head = max_body_bytes, needs_body, is_head
        self._is_complete = self.has_answered = False
        self._interim = 0
        transport.write(request)
        try:
            return await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = self._parser = None

    @property
    def is_open(self) -> bool:
        """Tell whether another exchange may be tried."""
        return self.is_reusable and self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close at once; what was not sent is dropped."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # create_connection makes no other kind; uvloop's are not subclasses, so there is nothing to ask them.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._parser is None or self._waiter is None or self._waiter.done():
            # Nobody asked: an answer to a request that was never sent would be read as the next one's.
            self.close()
            return
        self.has_answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._waiter.done():
                self._fail(Unreachable(f"not HTTP: {type(error).__name__}"))
            return
        if self._is_complete:
            self._finish()

    def eof_received(self) -> None:
        """An answer without a length ends here; any other is cut short."""
        if self._waiter is not None and not self._waiter.done() and self._is_until_close:
            self.is_reusable = False
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits, and the pool."""
        self.is_reusable = False
        if self._is_until_close and error is None:
            self.eof_received()
        self._fail(Unreachable("the connection was closed before the answer was complete"))
        self._on_lost(self)

    # ---- httptools -------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Something follows a complete answer: nobody asked for it."""
        if self._is_complete:
            self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, or a trailer, under the caps."""
        if self._is_complete:
            return
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES or len(self._headers) >= MAX_HEADERS:
            self._fail(Oversized("too many headers"))
            return
        if self._status == 0:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Learn the status, and how the body will end."""
        if self._parser is None or self._is_complete:
            return
        self._status = self._parser.get_status_code()
        names = {name: value for name, value in self._headers}
        length = names.get(b"content-length")
        self._is_until_close = length is None and b"transfer-encoding" not in names
        if self._is_head:
            self.is_reusable = False
            self._is_complete = True
        elif length is not None and length.isdigit() and int(length) > self._max_body_bytes:
            self._overflow()

    def on_body(self, data: bytes) -> None:
        """Collect a piece of the body, under the cap."""
        if self._is_complete:
            return
        self._body_bytes += len(data)
        if self._body_bytes > self._max_body_bytes:
            self._overflow()
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """The answer is complete, unless it was an interim one (1xx)."""
        if self._is_complete or self._parser is None:
            return
        if self._status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._fail(Oversized("too many interim answers"))
            self._reset()
            return
        self.is_reusable = self.is_reusable and self._parser.should_keep_alive()
        self._is_complete = True

    # ---- ends ------------------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._headers, self._body = [], []
        self._header_bytes = self._body_bytes = self._status = 0
        self._is_until_close = False

    def _overflow(self) -> None:
        self.is_reusable = False
        if self._needs_body:
            self._fail(Oversized(f"an answer of more than {self._max_body_bytes} bytes"))
        else:
            self._is_complete = True

    def _finish(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answer(self._status, tuple(self._headers), b"".join(self._body)))

    def _fail(self, error: FetchError) -> None:
        self.is_reusable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
