"""Over real sockets: who sends slowly, without end, or not at all, is let go; who sends slowly and goes on is not."""

import asyncio
import gc
import logging
import re
import resource
import socket
import struct
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

import web
from node.runtime import Node
from tests.rig.serving import port_of, serving
from web.patience import (
    MAX_HEAD_BYTES,
    MOST_AHEAD,
    MOST_CONNECTIONS,
    MOST_HEADERS,
    SAID_AGAIN_SECONDS,
    Patience,
    PatientProtocol,
    Room,
)
from web.serve import AT_ONCE, OWN_FILES, ROUNDS, Rarely, count_places, make_server

pytestmark = pytest.mark.sockets

HEAD = b"GET /healthz HTTP/1.1\r\nhost: a.example\r\n"
PART = b"PUT /api/v1/uploads/" + b"e" * 32 + b"/0 HTTP/1.1\r\nhost: a.example\r\n"
INBOX = b"POST /inbox HTTP/1.1\r\nhost: a.example\r\ncontent-type: application/activity+json\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
SOON = 3.0
BUILT = Path(web.__file__).parent / "static" / "built"
# Tens of megabytes: more than the two systems between us hold.
TIMES = 60


class Hasty(PatientProtocol):
    patience = Patience(
        head_seconds=0.3, body_seconds=0.3, least_bytes=50, read_seconds=0.5, linger_seconds=0.5
    )


@pytest.fixture
async def server(node: Node) -> AsyncIterator[uvicorn.Server]:
    """A node that has little patience, served."""
    server = make_server(node, protocol=Hasty)
    server.config.timeout_keep_alive = 1
    async with serving(server):
        yield server


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    """Where it is served."""
    return port_of(server)


async def told(port: int, first: bytes, *drips: bytes, every: float = 0.02) -> tuple[bytes, float]:
    """What is answered until the connection is closed, and after how long; the last drip falls again and again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    start = time.monotonic()

    async def drip() -> None:
        writer.write(first)
        for one in drips[:-1]:
            await asyncio.sleep(every)
            writer.write(one)
        while drips:
            await asyncio.sleep(every)
            writer.write(drips[-1])
            await writer.drain()

    dripping = asyncio.create_task(drip())
    heard = b""
    try:
        async with asyncio.timeout(SOON):
            while piece := await reader.read(65536):
                heard += piece
    except ConnectionError:
        pass
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.transport.abort()
    return heard, time.monotonic() - start


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        pytest.param(HEAD, b"x: y\r\n", id="headers one by one"),
        pytest.param(HEAD + b"x: ", b"y", id="a header letter by letter"),
        pytest.param(b"", b"\r\n", id="empty lines"),
        pytest.param(HEAD + b"\r\n", b"\r\n", id="empty lines after a request"),
        pytest.param(HEAD + b"\r\n" + HEAD, b"x: y\r\n", id="headers of a second request"),
        pytest.param(INBOX + b"content-length: 1000\r\n\r\n", b" ", id="a body letter by letter"),
        pytest.param(INBOX + CHUNKED, b"1\r\n \r\n", id="chunks of one letter"),
        pytest.param(PART + b"content-length: 1000\r\n\r\n", b" ", id="a part of a file letter by letter"),
        pytest.param(HEAD + CHUNKED, b"1\r\n \r\n", id="a body that nobody reads"),
    ],
)
async def test_who_sends_a_byte_now_and_then_is_let_go(port: int, first: bytes, drip: bytes) -> None:
    _, seconds = await told(port, first, drip)

    assert 0.2 < seconds < SOON


BEHIND = {
    b"signature": b'keyId="https://b.example/x#k",headers="(request-target) host date digest",signature="AAAA"',
    b"date": b"Sat, 21 Nov 2026 12:00:00 GMT",
    b"digest": b"SHA-256=RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=",
}
ACTIVITY = b'{"id":"https://b.example/1","type":"Follow","actor":"https://b.example/x","object":"https://a.example/"}'


@pytest.mark.parametrize("first", [INBOX, HEAD], ids=["a posting", "a page"])
async def test_a_body_that_is_more_than_chunks_is_refused(port: int, first: bytes) -> None:
    """A proxy in front that knows the other coding, and a server behind it that does not, disagree about what was sent."""
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ACTIVITY), ACTIVITY)

    async def status(*codings: bytes) -> bytes:
        fields = b"".join(b"transfer-encoding: " + one + b"\r\n" for one in codings)
        heard, _ = await told(port, first + b"connection: close\r\n" + fields + b"\r\n" + chunk)
        return b"/".join(re.findall(rb"HTTP/1\.1 (\d+)", heard))

    allowed = b"401" if first == INBOX else b"200"
    assert [await status(one) for one in (b"chunked", b"Chunked", b" chunked ")] == [allowed] * 3
    for one in (
        b"gzip, chunked",
        b"identity, chunked",
        b"chunked, chunked",
        b"chunked, gzip",
        b"\x0bchunked",
    ):
        assert await status(one) == b"400", one
    assert [await status(one, b"chunked") for one in (b"gzip", b"chunked")] == [b"400"] * 2


async def test_a_request_says_once_for_whom_it_is(port: int) -> None:
    """A proxy in front may have looked at the other one."""
    a, b = b"host: a.example\r\n", b"host: b.example\r\n"

    async def status(version: bytes, *hosts: bytes) -> bytes:
        heard, _ = await told(
            port, b"GET /healthz HTTP/" + version + b"\r\nconnection: close\r\n" + b"".join(hosts) + b"\r\n"
        )
        return heard.split(b" ")[1]

    assert [await status(b"1.1", a), await status(b"1.0", a), await status(b"1.0")] == [b"200"] * 3
    assert [await status(b"1.1"), await status(b"1.1", a, b), await status(b"1.1", a, a)] == [b"400"] * 3
    assert await status(b"1.0", a, b) == b"400"
    posted = INBOX + b"%scontent-length: %d\r\n\r\n" % (b, len(ACTIVITY)) + ACTIVITY
    assert (await told(port, posted))[0].startswith(b"HTTP/1.1 400 ")


NO_REQUEST = b"GET / HTTP/1.1\r\nwhat is this\r\n\r\n"
TWO_HOSTS = INBOX + b"host: b.example\r\ncontent-length: 3000000\r\n\r\n"
BROKEN = INBOX + CHUNKED + b"no chunk\r\n"


@pytest.mark.parametrize("first", [NO_REQUEST, TWO_HOSTS, BROKEN], ids=["nothing", "two hosts", "no chunk"])
async def test_who_is_refused_in_the_middle_may_end_and_reads_why(port: int, first: bytes) -> None:
    """Closed with something unread, the connection is cut, and the refusal lost with it (RFC 9112 §9.6)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    for _ in range(20):
        await asyncio.sleep(0.01)
        writer.write(b"x" * 65_536)
        await writer.drain()

    async with asyncio.timeout(SOON):
        heard = await reader.read()
        writer.write_eof()
        await writer.drain()
    writer.close()

    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"HTTP/1.1") == 1
    assert b"\r\nconnection: close\r\n" in heard


async def test_who_goes_on_behind_a_refusal_is_cut(server: uvicorn.Server, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(NO_REQUEST)

    with suppress(ConnectionError):
        async with asyncio.timeout(SOON):
            while True:
                await asyncio.sleep(0.01)
                writer.write(b"x" * 1000)
                await writer.drain()
    writer.transport.abort()

    assert not server.server_state.connections


@pytest.mark.parametrize("is_behind", [False, True], ids=["before the body", "behind it"])
async def test_what_comes_behind_a_body_is_no_header(
    port: int, caplog: pytest.LogCaptureFixture, is_behind: bool
) -> None:
    """A proxy in front sets or strips headers, and lets trailers through."""
    caplog.set_level(logging.INFO)
    fields = b"".join(name + b": " + value + b"\r\n" for name, value in BEHIND.items())
    chunk = b"%x\r\n%s\r\n0\r\n" % (len(ACTIVITY), ACTIVITY)
    whole = (
        INBOX + CHUNKED + chunk + fields + b"\r\n"
        if is_behind
        else INBOX + fields + CHUNKED + chunk + b"\r\n"
    )

    heard, _ = await told(port, whole)

    assert heard.startswith(b"HTTP/1.1 401")
    named = [str(vars(record)["reason"]) for record in caplog.records if "reason" in vars(record)]
    assert named == ["missing" if is_behind else "digest-mismatch"]


async def test_a_request_behind_one_with_trailers_has_its_own_headers(port: int) -> None:
    first = b"GET /cases HTTP/1.1\r\nhost: a.example\r\n" + CHUNKED + b"0\r\naccept: text/html\r\n\r\n"
    second = b"GET /actors/cases HTTP/1.1\r\nhost: a.example\r\naccept: application/activity+json\r\n\r\n"

    heard, _ = await told(port, first + second)

    assert heard.count(b"HTTP/1.1 200 OK") == 2
    assert b"content-type: application/activity+json" in heard


@pytest.mark.parametrize(
    "first", [pytest.param(b"", id="at first"), pytest.param(HEAD + b"\r\n", id="after a request")]
)
async def test_who_sends_nothing_is_let_go(port: int, first: bytes) -> None:
    heard, seconds = await told(port, first)

    assert heard.startswith(b"HTTP/1.1 200 OK") is bool(first)
    assert 0.8 < seconds < SOON


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        pytest.param(HEAD + b"x: ", b"y" * 1000, id="one header"),
        pytest.param(HEAD, b"x: y\r\n" * 500, id="many headers"),
        pytest.param(b"GET /", b"y" * 1000, id="an address"),
        pytest.param(INBOX + CHUNKED + b"0\r\n", b"x: y\r\n" * 500, id="trailers"),
        pytest.param(INBOX + CHUNKED + b"1;", b"y" * 1000, id="an extension of a chunk"),
    ],
)
async def test_what_goes_on_without_a_body_is_cut(port: int, first: bytes, drip: bytes) -> None:
    heard, seconds = await told(port, first, drip, every=0.0)

    assert heard.startswith(b"HTTP/1.1 400 ")
    assert seconds < SOON


async def test_headers_that_come_at_once_are_held_to_the_same(port: int) -> None:
    long = HEAD + b"x: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n"
    fit = HEAD + b"x: " + b"y" * (MAX_HEAD_BYTES - 1000) + b"\r\n\r\n"

    assert (await told(port, long))[0].startswith(b"HTTP/1.1 400 ")
    assert (await told(port, fit))[0].startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("framing", [b"content-length: 36\r\n", CHUNKED[:-2]], ids=["a length", "chunks"])
@pytest.mark.parametrize("kind", [b"h2c", b"websocket"])
async def test_what_comes_behind_a_wish_for_another_protocol_is_no_request(
    port: int, framing: bytes, kind: bytes
) -> None:
    """A proxy takes it for a body, and whoever asks next on its connection would be told the answer to what stands there."""
    upgrading = b"connection: upgrade\r\nupgrade: " + kind + b"\r\n"
    inner = HEAD + b"\r\n"

    with_body, _ = await told(port, INBOX + upgrading + framing + b"\r\n", inner)
    without, _ = await told(port, HEAD + upgrading + b"content-length: 0\r\n\r\n", inner)

    assert with_body.startswith(b"HTTP/1.1 400 ")
    assert without.startswith(b"HTTP/1.1 200 OK")
    assert [answer.count(b"HTTP/1.1 ") for answer in (with_body, without)] == [1, 1]
    assert [b"\r\nconnection: close\r\n" in answer for answer in (with_body, without)] == [True, True]


async def test_a_flood_of_what_is_no_request_fills_no_log(
    port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    uvicorns = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(uvicorns, "filters", [Rarely()])

    for _ in range(20):
        assert (await told(port, b"\0"))[0].startswith(b"HTTP/1.1 400 ")
    (said,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    later = logging.makeLogRecord(vars(said) | {"created": said.created + SAID_AGAIN_SECONDS})

    assert uvicorns.filter(later)
    assert (vars(said)["count"], vars(later)["count"]) == (1, 20)


async def test_no_request_has_more_headers_than_anybody_needs(port: int) -> None:
    """Six bytes of them take a hundred here."""
    more = MOST_HEADERS - HEAD.count(b": ")

    assert (await told(port, HEAD + b"a: b\r\n" * more + b"\r\n"))[0].startswith(b"HTTP/1.1 200 OK")
    assert (await told(port, HEAD + b"a: b\r\n" * (more + 1) + b"\r\n"))[0].startswith(b"HTTP/1.1 400 ")


async def test_who_asks_far_ahead_is_answered_no_more(port: int) -> None:
    """Twenty bytes of a request take a kilobyte here: ten megabytes of them took six hundred."""
    request = HEAD + b"\r\n"

    fit, _ = await told(port, request * (MOST_AHEAD + 1))
    far, _ = await told(port, request * (MOST_AHEAD + 2))

    assert [answers.count(b"HTTP/1.1 200 OK") for answers in (fit, far)] == [MOST_AHEAD + 1] * 2
    assert [answers.count(b"HTTP/1.1 400 ") for answers in (fit, far)] == [0, 1]


async def test_many_who_ask_ahead_together_fill_no_memory(
    server: uvicorn.Server, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each far less than one may: what one asks ahead is refused to the others, and nobody who asks one thing at a time."""
    monkeypatch.setattr("web.patience.MOST_AHEAD_OF_ALL", 40)
    room, request = server.server_state, HEAD + b"\r\n"
    assert isinstance(room, Room)
    most = 0
    counted = Room.wait_no_more

    def noting(self: Room, connection: PatientProtocol) -> None:
        nonlocal most
        most = max(most, self.ahead)
        counted(self, connection)

    monkeypatch.setattr(Room, "wait_no_more", noting)
    heard = await asyncio.gather(*(told(port, request * 21) for _ in range(8)), told(port, request))
    refused = [answers.count(b"HTTP/1.1 400 ") for answers, _ in heard]

    # One more on each, for without it nobody would know whether more is asked.
    assert 40 <= most <= 40 + 8
    assert sum(refused[:8]) > 0
    assert refused[8] == 0
    assert heard[8][0].count(b"HTTP/1.1 200 OK") == 1
    assert room.ahead == 0


async def test_a_large_body_that_comes_with_its_headers_is_no_header(port: int) -> None:
    size = str(3 * MAX_HEAD_BYTES).encode()

    heard, _ = await told(port, INBOX + b"content-length: " + size + b"\r\n\r\n" + b" " * 3 * MAX_HEAD_BYTES)

    assert b'"This is not an activity."' in heard


async def test_a_large_body_that_comes_in_pieces_is_no_header(port: int) -> None:
    piece = b" " * (MAX_HEAD_BYTES // 2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    writer.write(INBOX + f"content-length: {6 * len(piece)}\r\n\r\n".encode())
    for _ in range(6):
        await asyncio.sleep(0.02)
        writer.write(piece)
    answer = await reader.readuntil(b"}")
    writer.close()

    assert b'"This is not an activity."' in answer


async def test_a_body_that_goes_on_takes_as_long_as_it_takes(port: int) -> None:
    """Four times longer than anybody may stand still."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    writer.write(INBOX + b"content-length: 1200\r\n\r\n")
    for _ in range(60):
        await asyncio.sleep(0.02)
        writer.write(b" " * 20)
    answer = await reader.readline()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_requests_that_come_whole_are_answered_on_one_connection_for_as_long_as_they_come(
    port: int,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    for _ in range(10):
        await asyncio.sleep(0.1)
        writer.write(HEAD + b"\r\n" + HEAD + b"\r\n")
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_of_what_was_answered_on_a_connection_nothing_is_kept(
    server: uvicorn.Server, port: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    for _ in range(20):
        # Nobody reads that body.
        writer.write(HEAD + b"content-length: 50000\r\n\r\n" + b" " * 50_000)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    (connection,) = server.server_state.connections
    assert isinstance(connection, PatientProtocol)

    assert not connection._unanswered
    assert not connection.cycle.body
    writer.close()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD, id="half a head"),
        pytest.param(PART + b"content-length: 1000\r\n\r\n" + b" " * 100, id="half a body"),
        pytest.param(PART + CHUNKED + b"1\r\n \r\n", id="a body without an end"),
    ],
)
async def test_who_sends_no_more_in_the_middle_of_a_request_is_let_go_at_once(
    node: Node, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    async with serving(make_server(node)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(said)
        writer.write_eof()

        async with asyncio.timeout(SOON):
            assert await reader.read() == b""
    writer.close()

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("said", [b"", HEAD], ids=["nothing", "half a head"])
async def test_nobody_is_waited_for_whose_connection_was_cut(
    server: uvicorn.Server, port: int, said: bytes
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    await asyncio.sleep(0.1)
    (connection,) = server.server_state.connections
    assert isinstance(connection, PatientProtocol)
    waits = (connection._waiting, connection.timeout_keep_alive_task)
    assert waits != (None, None)

    # Reset, not closed.
    client = writer.get_extra_info("socket")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    while server.server_state.connections:
        await asyncio.sleep(0.01)

    assert (connection._waiting, connection.timeout_keep_alive_task) == (None, None)
    assert all(wait is None or wait.cancelled() for wait in waits)


async def test_where_a_system_has_no_such_patience_everybody_is_answered_all_the_same(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")

    assert (await told(port, HEAD + b"\r\n"))[0].startswith(b"HTTP/1.1 200 OK")
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_who_comes_by_a_socket_of_this_machine_is_answered(
    node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server(node, protocol=Hasty)
    server.config.uds = str(tmp_path / "socket")
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)

    reader, writer = await asyncio.open_unix_connection(server.config.uds)
    writer.write(HEAD + b"\r\n")
    answer = await reader.readline()
    writer.close()
    server.should_exit = server.force_exit = True
    await serving

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_no_server_speaks_so_that_does_not_count_its_connections(server: uvicorn.Server) -> None:
    with pytest.raises(TypeError):
        PatientProtocol(server.config, ServerState(), {})


async def asked_for_much(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that asked for more than a system holds for anybody, and did not read it yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    longest = max(BUILT.glob("*.js"), key=lambda file: file.stat().st_size).name
    writer.write(f"GET /static/built/{longest} HTTP/1.1\r\nhost: a.example\r\n\r\n".encode() * TIMES)
    return reader, writer


async def test_who_reads_nothing_of_a_long_answer_is_let_go(server: uvicorn.Server, port: int) -> None:
    _, writer = await asked_for_much(port)
    while not server.server_state.connections:
        await asyncio.sleep(0.01)
    connections = server.server_state.connections

    async with asyncio.timeout(4 * SOON):
        while connections:
            await asyncio.sleep(0.05)

    writer.transport.abort()


async def test_who_reads_slowly_and_goes_on_is_told_everything(port: int) -> None:
    """Four times longer than anybody may read nothing."""
    reader, writer = await asked_for_much(port)
    start, left = time.monotonic(), TIMES

    for _ in range(TIMES):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        left -= 1
        await asyncio.sleep(2.0 / TIMES)
    writer.close()

    assert left == 0
    assert time.monotonic() - start > 2.0


PLACES = 3
PIECE, LARGE = 1_000_000, 60_000_000


@dataclass
class Slow:
    """An application that answers when it is told to; /large and /rest with more than anybody takes unread; /gone never."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    heard: list[str] = field(default_factory=list)
    gone: int = 0

    @property
    def asked(self) -> int:
        return len(self.heard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.heard.append(scope["path"])
        size = LARGE if scope["path"] in ("/large", "/rest", "/whole") else 2
        if scope["path"] == "/slow":
            await self.go_on.wait()
        while scope["path"] == "/gone":
            if (await receive())["type"] == "http.disconnect":
                self.gone += 1
                return
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == "/whole":
            await send({"type": "http.response.body", "body": bytes(size)})
            return
        if scope["path"] == "/rest":
            # All but the end in one piece: it is made, and not taken yet.
            await send({"type": "http.response.body", "body": bytes(size - 1), "more_body": True})
            if scope["query_string"] == b"slowly":
                await self.go_on.wait()
            await send({"type": "http.response.body", "body": b"\0"})
            return
        for _ in range(0, size, PIECE):
            await send({"type": "http.response.body", "body": bytes(min(size, PIECE)), "more_body": True})
            # Who is gone is found out by a first write; then others have their turn.
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def is_answered(self) -> bool:
        """Whether a whole answer comes, to what it has asked."""
        try:
            async with asyncio.timeout(SOON):
                await self.reader.readuntil(b"\r\n\r\n")
                return await self.reader.readexactly(2) == b"\0\0"
        except (ConnectionError, asyncio.IncompleteReadError):
            return False

    async def asks(self) -> bool:
        """Ask, and tell whether an answer comes."""
        self.writer.write(b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n")
        return await self.is_answered()


@dataclass
class House:
    """A server with few places, and who came."""

    server: uvicorn.Server
    application: Slow
    clients: list[Client] = field(default_factory=list)

    async def let_in(self, said: bytes = b"") -> Client:
        """One more, who says this."""
        address = self.server.servers[0].sockets[0].getsockname()
        client = Client(*await asyncio.open_connection(*address))
        self.clients.append(client)
        client.writer.write(said)
        await asyncio.sleep(0.05)
        return client


@pytest.fixture
async def house(node: Node) -> AsyncIterator[House]:
    """An application that is served to three at once."""
    application = Slow()
    server = make_server(node, protocol=PatientProtocol, places=PLACES)
    server.config.port, server.config.app = 0, application
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    house = House(server, application)
    yield house
    application.go_on.set()
    for client in house.clients:
        client.writer.transport.abort()
    server.should_exit = server.force_exit = True
    await serving


GET = b"GET %s HTTP/1.1\r\nhost: a.example\r\n\r\n"
POST = b"POST /gone HTTP/1.1\r\nhost: a.example\r\n"
NO_REQUESTS = [
    pytest.param(b"\0", id="a letter"),
    pytest.param(POST + b"content-length: x\r\n\r\n", id="headers"),
    pytest.param(POST + b"x: y\r\n" * MOST_HEADERS + b"\r\n", id="many headers"),
    pytest.param(POST + b"x: " + b"y" * MAX_HEAD_BYTES, id="a header without end"),
    pytest.param(POST + CHUNKED + b"x\r\n", id="a body"),
    pytest.param(POST + CHUNKED + b"0\r\nx: " + b"y" * MAX_HEAD_BYTES, id="trailers without end"),
]


async def everything(client: Client) -> bytes:
    """All that is said until the connection is closed."""
    async with asyncio.timeout(SOON):
        return await client.reader.read()


@pytest.mark.parametrize("said", NO_REQUESTS)
@pytest.mark.parametrize("is_at_once", [True, False], ids=["in one piece", "later"])
@pytest.mark.parametrize("is_left", [False, True], ids=["and stays", "and sends no more"])
async def test_what_is_no_request_is_refused_behind_the_answers_to_what_was_asked_before(
    house: House, said: bytes, is_at_once: bool, is_left: bool
) -> None:
    """A client, or a proxy, takes the first answer for that to its first request (RFC 9112 §9.3.2)."""
    asked = [GET % path for path in (b"/slow", b"/")]
    client = await house.let_in(b"".join(asked) + (said if is_at_once else b""))
    if not is_at_once:
        client.writer.write(said)
    client.writer.write(b"y" * 2 * MAX_HEAD_BYTES)
    if is_left:
        client.writer.write_eof()
    await asyncio.sleep(0.05)
    had_said = len(house.application.heard)
    house.application.go_on.set()

    heard = await everything(client)

    assert re.findall(rb"HTTP/1.1 (\d+)", heard) == [b"200", b"200", b"400"]
    assert had_said == 1
    assert house.application.heard[:2] == ["/slow", "/"]


async def test_who_is_refused_behind_a_long_answer_reads_it_and_stays_no_longer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientProtocol, "patience", replace(Hasty.patience, read_seconds=10 * SOON))
    client = await house.let_in(GET % b"/whole" + b"\0")

    heard = await everything(client)

    assert len(heard) > LARGE
    async with asyncio.timeout(SOON):
        while house.server.server_state.connections:
            await asyncio.sleep(0.05)


async def test_no_refusal_stands_in_the_middle_of_an_answer(house: House) -> None:
    client = await house.let_in(GET % b"/rest?slowly")
    client.writer.write(b"\0")
    await client.reader.readuntil(b"\r\n\r\n")
    await client.reader.readexactly(LARGE - 1)
    house.application.go_on.set()

    heard = await everything(client)

    assert heard.startswith(b"\0HTTP/1.1 400 ")


async def test_nor_in_that_to_the_very_request_that_breaks_off(house: House) -> None:
    request = b"POST /rest?slowly HTTP/1.1\r\nhost: a.example\r\n" + CHUNKED
    client = await house.let_in(request)
    await client.reader.readuntil(b"\r\n\r\n")
    await client.reader.readexactly(LARGE - 1)
    client.writer.write(b"x\r\n")

    assert await everything(client) == b""


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(b"", id="nothing more"),
        pytest.param(b"GET / HTTP/1.1\r\nhost:", id="half a head"),
        pytest.param(POST + b"content-length: 5\r\n\r\n", id="half a body"),
    ],
)
async def test_who_sends_no_more_is_answered_all_that_was_asked_in_full(house: House, more: bytes) -> None:
    asked = [GET % path for path in (b"/", b"/slow", b"/")]
    client = await house.let_in(b"".join(asked) + more)
    client.writer.write_eof()
    await asyncio.sleep(0.05)
    house.application.go_on.set()

    heard = await everything(client)

    assert heard.count(b"HTTP/1.1 200 OK") == heard.count(b"\0\0") == 3
    assert house.application.heard[:3] == ["/", "/slow", "/"]
    assert not house.server.server_state.connections


async def test_who_sends_no_more_and_is_never_answered_is_waited_for_no_longer_than_for_who_reads_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientProtocol, "patience", Hasty.patience)
    client = await house.let_in(GET % b"/slow")
    client.writer.write_eof()

    with suppress(ConnectionError):
        assert await everything(client) == b""
    await asyncio.sleep(0.05)
    assert not house.server.server_state.connections


async def test_who_sends_no_more_and_reads_slowly_is_told_everything(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientProtocol, "patience", Hasty.patience)
    client = await house.let_in(GET % b"/large")
    client.writer.write_eof()

    await client.reader.readuntil(b"\r\n\r\n")
    for _ in range(0, LARGE, 4 * PIECE):
        await client.reader.readexactly(4 * PIECE)
        await asyncio.sleep(Hasty.patience.read_seconds / 5)

    assert await client.reader.read() == b""


async def test_who_sends_no_more_is_let_go_before_others_whose_request_is_being_worked_on(
    house: House,
) -> None:
    """Perhaps they are gone altogether."""
    working = [await house.let_in(GET % b"/slow") for _ in range(PLACES)]
    working[1].writer.write_eof()
    await asyncio.sleep(0.05)

    assert await (await house.let_in()).asks()

    house.application.go_on.set()
    assert [await one.is_answered() for one in working] == [True, False, True]


async def test_when_there_is_no_place_who_has_been_silent_for_longest_is_let_go(house: House) -> None:
    first, second, third = [await house.let_in() for _ in range(PLACES)]
    assert await first.asks()

    assert await (await house.let_in()).asks()

    assert not await second.asks()
    assert await third.asks()
    assert await first.asks()


async def test_whoever_was_answered_is_silent_from_then_on(house: House) -> None:
    for _ in range(PLACES):
        assert await (await house.let_in()).asks()

    assert await (await house.let_in()).asks()


@pytest.mark.parametrize("piece", [b"x: y\r\n", b"\r\nbody"], ids=["headers", "a body"])
async def test_who_goes_on_sending_is_not_the_one(house: House, piece: bytes) -> None:
    sending = await house.let_in(b"POST /slow HTTP/1.1\r\nhost: a.example\r\ncontent-length: 30\r\n")
    silent = [await house.let_in() for _ in range(PLACES - 1)]
    sending.writer.write(piece)
    await asyncio.sleep(0.05)

    await house.let_in()

    assert not await silent[0].asks()
    assert not sending.reader.at_eof()


async def test_whose_request_is_being_worked_on_keeps_their_place(house: House) -> None:
    working = [await house.let_in(b"GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n") for _ in range(PLACES)]

    assert not await (await house.let_in()).asks()

    house.application.go_on.set()
    assert [await one.is_answered() for one in working] == [True] * PLACES
    assert house.application.asked == PLACES


async def test_who_takes_nothing_of_an_answer_keeps_no_place(house: House) -> None:
    for _ in range(PLACES):
        await house.let_in(b"GET /large HTTP/1.1\r\nhost: a.example\r\n\r\n")

    assert await (await house.let_in()).asks()


async def test_who_took_an_answer_that_goes_on_keeps_their_place_until_its_end(house: House) -> None:
    one = await house.let_in(b"GET /rest?slowly HTTP/1.1\r\nhost: a.example\r\n\r\n")
    await one.reader.readuntil(b"\r\n\r\n")
    await one.reader.readexactly(LARGE - 1)
    for _ in range(PLACES - 1):
        await house.let_in(b"GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n")

    assert not await (await house.let_in()).asks()

    house.application.go_on.set()
    assert await one.reader.readexactly(1) == b"\0"


async def test_nor_who_asks_for_more_meanwhile(house: House) -> None:
    for _ in range(PLACES):
        reading_nothing = await house.let_in(b"GET /large HTTP/1.1\r\nhost: a.example\r\n\r\n")
        reading_nothing.writer.write(b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n")
        await asyncio.sleep(0.05)

    assert await (await house.let_in()).asks()


async def test_who_is_gone_takes_nobodys_turn_to_be_let_go(house: House) -> None:
    gone = await house.let_in(b"GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n")
    # A second request begins behind the first: it is never whole.
    gone.writer.write(b"POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n")
    await asyncio.sleep(0.05)
    gone.writer.transport.abort()
    await asyncio.sleep(0.05)
    house.application.go_on.set()
    await asyncio.sleep(0.05)
    first, second, third = [await house.let_in() for _ in range(PLACES)]

    assert await (await house.let_in()).asks()

    assert not await first.asks()
    assert [await one.asks() for one in (second, third)] == [True, True]


async def test_to_whom_is_gone_no_answer_is_made_to_its_end(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    gone = await house.let_in(b"GET /large HTTP/1.1\r\nhost: a.example\r\n\r\n")
    gone.writer.write(b"POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n")
    await asyncio.sleep(0.05)

    gone.writer.transport.abort()
    await asyncio.sleep(0.3)

    assert house.application.asked == 1
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_of_what_was_asked_ahead_by_whom_is_gone_nothing_is_kept(
    house: House,
) -> None:
    """The collector of cycles comes seldom: thousands of requests with their bodies waited for it."""
    ahead = POST + b"content-length: 5000\r\n\r\n" + b" " * 4_000
    client = await house.let_in(GET % b"/slow" + GET % b"/" + ahead)
    (connection,) = house.server.server_state.connections
    assert isinstance(connection, PatientProtocol)
    kept = [weakref.ref(cycle) for cycle, _ in connection.pipeline]
    gc.disable()
    try:
        connection.transport.abort()
        while house.server.server_state.connections:
            await asyncio.sleep(0.01)
        left = [cycle() for cycle in kept]
    finally:
        gc.enable()

    assert left == [None, None]
    assert await everything(client) == b""


async def test_who_asked_ahead_is_read_no_further_until_all_of_it_is_begun(house: House) -> None:
    """With each answer another piece was read, of thousands of requests."""
    ahead = [b"GET %s HTTP/1.1\r\nhost: a.example\r\n\r\n" % path for path in (b"/", b"/slow", b"/", b"/")]
    client = await house.let_in(b"".join(ahead))
    (connection,) = house.server.server_state.connections
    assert isinstance(connection, PatientProtocol)
    assert await client.is_answered()

    client.writer.write(b"".join(ahead) * 2)
    await asyncio.sleep(0.1)
    were_ahead = len(connection.pipeline)
    house.application.go_on.set()

    assert were_ahead == 2
    assert [await client.is_answered() for _ in range(11)] == [True] * 11
    assert house.application.asked == 12


async def test_who_waits_for_them_to_be_gone_is_told_also_when_more_was_asked_behind_it(house: House) -> None:
    gone = await house.let_in(b"GET /gone HTTP/1.1\r\nhost: a.example\r\n\r\n")
    gone.writer.write(b"POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n")
    await asyncio.sleep(0.05)

    # By us: of who is asked for nothing more, nothing is heard.
    (connection,) = house.server.server_state.connections
    assert isinstance(connection, PatientProtocol)
    connection.transport.abort()
    await asyncio.sleep(0.05)

    assert house.application.gone == 1


async def test_that_there_is_no_place_is_said_once_in_a_while(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(PLACES + 5):
        await house.let_in()

    assert [record.message for record in caplog.records].count("connections.full") == 1


class Counting(PatientProtocol):
    most: ClassVar[int] = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        Counting.most = max(Counting.most, len(self.connections))


async def test_of_many_who_come_at_once_few_are_let_in_before_others_have_gone_for_them(node: Node) -> None:
    """Each has a file: asyncio alone lets in 2,048 at once, and then nobody for a second where there are no files left."""
    Counting.most, at_once = 0, 8
    server = make_server(node, protocol=Counting, places=PLACES, at_once=at_once)
    server.config.port, server.config.app = 0, Slow()
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    came = [socket.socket() for _ in range(200)]
    for one in came:
        one.setblocking(False)
        one.connect_ex(address)
    await asyncio.sleep(0.3)
    for one in came:
        one.close()
    server.should_exit = server.force_exit = True
    await serving

    assert PLACES < Counting.most <= PLACES + ROUNDS * at_once


WISHED = MOST_CONNECTIONS + ROUNDS * AT_ONCE + OWN_FILES


@pytest.mark.parametrize(
    ("soft", "hard", "asked", "places", "at_once"),
    [
        pytest.param(1024, 524_288, WISHED, MOST_CONNECTIONS, 448, id="Debian's default"),
        pytest.param(1024, -1, WISHED, MOST_CONNECTIONS, 448, id="no end"),
        pytest.param(-1, -1, None, MOST_CONNECTIONS, AT_ONCE, id="no end at all"),
        pytest.param(8192, 8192, None, MOST_CONNECTIONS, AT_ONCE, id="as the unit has it"),
        pytest.param(256, 3000, 3000, 1502, 187, id="less than wished"),
        pytest.param(256, 256, 256, 128, 16, id="very few"),
    ],
)
def test_the_node_keeps_files_for_itself(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, asked: int | None, places: int, at_once: int
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.append(wanted))

    assert count_places() == (places, at_once)

    assert [first for first, _ in limits[1:]] == ([] if asked is None else [asked])
    left = limits[-1][0] - places - ROUNDS * at_once
    assert limits[-1][0] < 0 or left >= min(OWN_FILES, limits[-1][0] // 4)
