"""How long a client is waited for, for how many, and how much one may say before it says anything: uvicorn alone waits for all for ever.

Slow headers and bodies cost a client nothing and hold a connection here (slowloris); a header without end holds memory. What a
client sends whole, in one piece, costs no timer. Of who reads nothing of an answer the system loses patience, without any timer here.
However it ends: what was asked in full before is answered first, in its order.
"""

import asyncio
import logging
import socket
from collections import OrderedDict, deque
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from web.doorstep import DoorstepProtocol

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 4_096
# Then it is said again that there is no room.
SAID_AGAIN_SECONDS = 60.0
MAX_HEAD_BYTES = 32 * 1024
# However short it is, each takes more than a hundred bytes of memory.
MOST_HEADERS = 128
# Asked before the first of them was answered. Neither browsers nor servers do that; twenty bytes of such a request take a kilobyte.
MOST_AHEAD = 128
# On all connections together: else four thousand of them would take a gigabyte.
MOST_AHEAD_OF_ALL = 8_192
_OVER_TCP = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one connection is waited for.

    head_seconds  from the first byte of a request to the last of its headers.
    body_seconds  the time in which at least so much of a body has to come. No body has a deadline here: a sealed file may be
                  hours on its way through Tor.
    least_bytes   so much.
    read_seconds  the time in which a client has to make room for more of an answer (TCP_USER_TIMEOUT, RFC 5482 §3.1). Long, because a
                  client behind a slow line, or a proxy, makes room in large steps; who makes some goes on for as long as it takes.
                  Also the time in which one that sends nothing more shows that it reads: perhaps it is gone altogether.
    linger_seconds  how long what is still sent is read, and dropped, behind a refusal.
    """

    head_seconds: float = 15.0
    body_seconds: float = 60.0
    least_bytes: int = 1_000
    read_seconds: float = 600.0
    linger_seconds: float = 2.0


class TooMuchBefore(Exception):
    """More headers than anybody needs, or more requests before the first was answered."""


class BodyBehindUpgrade(Exception):
    """A request for another protocol with a body."""


class UnknownCoding(Exception):
    """A body that is something else than chunks on its way (RFC 9112 §6.1), or twice that."""


class NoHost(Exception):
    """A request of HTTP/1.1 that does not say for whom it is, or any that says it twice (RFC 9112 §3.2)."""


class _Flow(FlowControl):
    """Who asks ahead is read no further until all that has come is begun: with each answer uvicorn would let thousands more in."""

    def __init__(self, transport: asyncio.Transport, ahead: Sized) -> None:
        super().__init__(transport)
        self._ahead = ahead

    def resume_reading(self) -> None:
        if not self._ahead:
            super().resume_reading()


class Room(ServerState):
    """The connections of one server, and those on which it is the client's turn (to ask, to go on, to read), or which it has left.

    ahead  how many requests wait on them behind one that is not answered yet.

    When there is no place for one more, who has been silent for longest in its turn is let go: else a few thousand connections that
    say nothing would shut all others out, and take the files and sockets that the node itself needs.
    """

    def __init__(self, places: int = MOST_CONNECTIONS) -> None:
        super().__init__()
        self.places = places
        self.ahead = 0
        self._silent: OrderedDict[PatientProtocol, None] = OrderedDict()
        self._said_at: float | None = None

    def wait_for(self, connection: "PatientProtocol") -> None:
        """It is its turn, from now on: it was heard, or answered, a moment ago."""
        self._silent[connection] = None
        self._silent.move_to_end(connection)

    def wait_no_more(self, connection: "PatientProtocol") -> None:
        """It is ours, or nobody's."""
        self._silent.pop(connection, None)

    def has_place(self, *, at: float) -> bool:
        """Whether the connection that was made last may stay; another goes for it where that is needed.

        at  the loop's time.
        """
        if len(self.connections) <= self.places:
            return True
        if self._said_at is None or at - self._said_at >= SAID_AGAIN_SECONDS:
            self._said_at = at
            log.warning("connections.full", extra={"places": self.places, "silent": len(self._silent)})
        if not self._silent:
            return False
        longest, _ = self._silent.popitem(last=False)
        longest.transport.abort()
        return True


class PatientProtocol(DoorstepProtocol):
    """HTTP/1.1 as uvicorn speaks it, for clients that may mean harm.

    A connection on which nothing has come yet is closed like one on which nothing comes any more. Not sooner: a proxy opens some to
    have them ready, and would lose the request that it sends on one just closed.
    """

    patience: ClassVar[Patience] = Patience()
    _brought = 0  # bytes of the body since they were counted last
    _ahead = 0  # requests that wait behind another, as the room was told last
    _beside = 0  # bytes since the request began, or since its body last went on: headers, trailers, extensions of chunks
    _is_begun = False
    _is_body = False
    _is_ended = False  # what comes is heard no more, and what was asked in full is not answered yet
    _refusal = ""  # what is said behind those answers
    _is_left = False  # nothing more is sent
    _waiting: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # Any: as uvicorn has it
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if not isinstance(server_state, Room):
            raise TypeError("a server of this protocol counts its connections in a Room")
        self._room = server_state
        self._unanswered: deque[RequestResponseCycle] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        if not self._room.has_place(at=self.loop.time()):
            transport.abort()
            return
        self._room.wait_for(self)
        opened: socket.socket | None = transport.get_extra_info("socket")
        if opened is not None and opened.family in _OVER_TCP and hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = int(1000 * self.patience.read_seconds)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.wait_no_more(self)
        self._wait_no_more()
        self._unset_keepalive_if_required()
        # uvicorn tells only the last of several that nobody is there: an answer to one before it would be made to its end, and each
        # piece of it told in the log.
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)
        # Each leads back here: what was never begun would wait, with its body, for the collector, which comes seldom.
        self.pipeline.clear()
        self._count_ahead()
        self._unanswered.clear()
        self.cycle = None  # type: ignore[assignment]  # as before the first

    def data_received(self, data: bytes) -> None:
        if self._is_ended:
            # Read all the same: what is left unread when the connection is closed takes the answers with it (RFC 9112 §9.6).
            return
        self._beside += len(data)
        if not self._is_ours():
            self._room.wait_for(self)
        super().data_received(data)
        if self._is_ended or self.transport.is_closing():
            return
        # Empty lines before a request begin one too: they end the wait for it.
        if not (self._is_begun or self._beside):
            self._wait_no_more()
        elif self._beside > MAX_HEAD_BYTES:
            self.send_400_response("Too much beside the body.")
        elif self._waiting is None:
            self._wait()

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """Nothing more is sent, though answers are read perhaps: whoever asked in full has theirs, and the others are dropped."""
        self._is_left = True
        if not self._end():
            return False
        if not self._refusal:
            self.cycle.keep_alive = False
        self._room.wait_for(self)
        self._wait_for_the_end()
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, in its turn: before the answer to another it would be taken for that (RFC 9112 §9.3.2)."""
        if self._end():
            self._refusal = msg
        elif self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self._refuse(msg)
        else:
            # Its own answer is begun.
            self.transport.close()

    def on_message_begin(self) -> None:
        self._is_begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # uvicorn puts what comes behind a body among the headers, where no proxy in front has looked at it: who asks for whom
        # (X-Forwarded-For), from where (Origin), signed by whom. RFC 9110 §6.5.1 leaves trailers out.
        if self._is_body:
            return
        if len(self.headers) >= MOST_HEADERS:
            raise TooMuchBefore
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        # What was read at once may hold the body as well.
        if self._beside > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            raise TooMuchBefore
        if self.pipeline and (len(self.pipeline) >= MOST_AHEAD or self._room.ahead >= MOST_AHEAD_OF_ALL):
            raise TooMuchBefore
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            raise NoHost
        is_coded = b"transfer-encoding" in names
        if is_coded and not self._is_in_chunks():
            # httptools looks at the last alone, and would hand a compressed body on as if that were what was sent.
            raise UnknownCoding
        upgrades = self.parser.should_upgrade()
        if upgrades and (is_coded or self._has_length()):
            # httptools takes it for the other protocol's, and what comes of it later for the next request; a proxy in front, for a body.
            # Request smuggling: the answer to what stands there is told to whoever asks next on its connection.
            raise BodyBehindUpgrade
        self._wait_no_more()
        self._is_body = True
        super().on_headers_complete()
        if upgrades:
            # To nothing else, so it is answered as it stands; what comes behind it is nobody's request.
            self.cycle.keep_alive = False
        self._unanswered.append(self.cycle)
        self._count_ahead()

    def on_body(self, body: bytes) -> None:
        self._beside = 0
        self._brought += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_begun = self._is_body = False
        self._beside = self._brought = 0
        super().on_message_complete()
        # Who takes nothing of one answer is waited for, however many more they ask for.
        if self._is_ours() and not self.flow.write_paused:
            self._room.wait_no_more(self)

    def on_response_complete(self) -> None:
        # In their order. Of a body that was posted, or that nobody read, nothing is kept on a connection that says nothing more.
        while self._unanswered and self._unanswered[0].response_complete:
            self._unanswered.popleft().body = bytearray()
        super().on_response_complete()
        self._count_ahead()
        if not self.transport.is_closing():
            # The last of those that were asked ahead is begun, perhaps.
            self.flow.resume_reading()
        self._reads_on()
        if not self._is_ours():
            self._room.wait_for(self)
            if self._refusal and not self.transport.is_closing():
                self._refuse(self._refusal)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._room.wait_for(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reads_on()
        if self._is_ours():
            self._room.wait_no_more(self)
        else:
            self._room.wait_for(self)

    def _count_ahead(self) -> None:
        self._room.ahead += len(self.pipeline) - self._ahead
        self._ahead = len(self.pipeline)

    def _is_ours(self) -> bool:
        """Whether there is a whole request that was not answered yet."""
        return self.cycle is not None and not (self.cycle.more_body or self.cycle.response_complete)

    def _end(self) -> bool:
        """Hear nothing more; whether something that was asked in full is to be answered before the connection is closed."""
        self._wait_no_more()
        if self.pipeline and self.cycle.more_body:
            # It never comes to its end, and was not begun here.
            self.pipeline.popleft()
            self._count_ahead()
            self._unanswered.pop()
            self.cycle = self._unanswered[-1]
        self._is_ended = self._is_ours()
        return self._is_ended

    def _refuse(self, msg: str) -> None:
        """Say what is wrong, and hear whoever still sends to their end, for a while: who is cut off in the middle never reads it."""
        if self.cycle is not None and not self.cycle.response_complete:
            # There is no other answer to it.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        lines = [STATUS_LINE[400], *(b"%s: %s\r\n" % header for header in self.server_state.default_headers)]
        lines.append(b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(msg))
        lines += (b"connection: close\r\n\r\n", msg.encode("ascii"))
        self.transport.write(b"".join(lines))
        if self._is_left or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._is_ended = True
        self._wait_for_the_end()

    def _wait_for_the_end(self) -> None:
        patience = self.patience
        # Who was refused has nothing more to say that matters.
        seconds = patience.read_seconds if self._is_left else patience.linger_seconds
        self._waiting = self.loop.call_later(seconds, self.transport.abort)

    def _reads_on(self) -> None:
        """Who sends nothing more and goes on reading is still there."""
        if self._is_ended and self._waiting is not None:
            self._wait_no_more()
            self._wait_for_the_end()

    def _is_in_chunks(self) -> bool:
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        return codings == [b"chunked"]

    def _has_length(self) -> bool:
        return any(name == b"content-length" and value.strip(b"0 \t") for name, value in self.headers)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _wait(self) -> None:
        patience = self.patience
        seconds = patience.body_seconds if self._is_body else patience.head_seconds
        self._waiting = self.loop.call_later(seconds, self._look)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _look(self) -> None:
        """Time is up: go on waiting when enough has come, or when it is us who do not read; else close."""
        self._waiting = None
        is_ours = self.flow.read_paused or not (
            self._is_body or self.cycle is None or self.cycle.response_complete
        )
        if is_ours or (self._is_body and self._brought >= self.patience.least_bytes):
            self._brought = 0
            self._wait()
        else:
            # Not close: that would wait for a client that does not read either.
            self.transport.abort()
