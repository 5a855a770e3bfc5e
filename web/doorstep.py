"""What is posted to an inbox comes in one piece, nearly always: it is handed over as it is read, and answered without a task of its own.

uvicorn makes of each request a scope, a cycle, an event and a task, and of each answer two messages: a quarter of all that verifying and
keeping an activity costs. What comes in pieces, or behind something else, goes that way still, through the same door.
"""

from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from web.fediverse.inbox import InboxDoor, Said

# Longer ones are read as they come: how much may wait unfinished is counted there.
MOST_BYTES = 256 * 1024
_END_OF_HEAD = b"\r\n\r\n"


class Site:
    """The application of one node: the hot door, and its pages."""

    def __init__(self, door: InboxDoor, pages: ASGIApp) -> None:
        """Hold both."""
        self.door = door
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead each request where it belongs."""
        if self.door.serves(scope):
            await self.door(scope, receive, send)
        else:
            await self._pages(scope, receive, send)


class _Nobody:
    """Nobody waits for anything to happen to a posting."""

    def set(self) -> None:
        """Tell nobody."""


class _Posting:
    """What was posted in one piece, from its headers to its answer; to uvicorn it looks like one of its cycles.

    more_body          its body was not read to the end.
    response_complete  it was answered.
    disconnected       whoever sent it is gone.
    """

    __slots__ = (
        "_connection",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
    )
    message_event = _Nobody()

    def __init__(self, connection: "DoorstepProtocol", *, keep_alive: bool) -> None:
        self._connection = connection
        self.body = b""
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_complete = self.disconnected = False

    def answer(self, said: Said) -> None:
        """Write the answer, and let the connection go on."""
        if self.response_complete:
            return
        self.response_complete = True
        if self.disconnected:
            return
        try:
            self._connection.write_answer(said, keep_alive=self.keep_alive)
        except Exception:
            # Whoever waits would wait for ever, in a place that nobody else gets.
            self._connection.transport.abort()
            raise


class DoorstepProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with a short way for what is posted to an inbox."""

    _piece: bytes | None = None  # what is being read, where a request may begin with it that is answered next
    _posting: _Posting | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # Any: as uvicorn has it
        _loop: Any = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door = config.app.door if isinstance(config.app, Site) else None

    def data_received(self, data: bytes) -> None:
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and data.startswith(b"POST ") and not self.flow.write_paused:
            self._piece = data
        super().data_received(data)
        self._piece = None

    def on_headers_complete(self) -> None:
        piece, self._piece = self._piece, None
        if piece is None or not self._is_whole_posting(piece):
            super().on_headers_complete()
            return
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        self.cycle = self._posting = _Posting(self, keep_alive=keep_alive)  # type: ignore[assignment]  # looks like one

    def on_body(self, body: bytes) -> None:
        if self._posting is not None:
            self._posting.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        posting, self._posting = self._posting, None
        if posting is None or self._door is None:
            # The end of another request, its body or a trailer, may look like the beginning of one.
            self._piece = None
            super().on_message_complete()
            return
        posting.more_body = False
        self._door.take(self.url, self.headers, posting.body, posting.answer)

    def write_answer(self, said: Said, *, keep_alive: bool) -> None:
        """Answer what was posted."""
        lines = [STATUS_LINE[said.status]]
        lines += [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        lines.append(said.lines)
        if not keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (b"\r\n", said.body)
        self.transport.write(b"".join(lines))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _is_whole_posting(self, piece: bytes) -> bool:
        """Whether what was just read is one request to an inbox, from its first byte to its last."""
        if self._door is None or not self._door.takes(self.url) or self.parser.should_upgrade():
            return False
        length = next((value for name, value in self.headers if name == b"content-length"), b"")
        rest = len(piece) - piece.find(_END_OF_HEAD) - len(_END_OF_HEAD)
        return rest <= MOST_BYTES and length == b"%d" % rest
