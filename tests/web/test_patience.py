"""Over real sockets: who sends slowly, without end, or not at all, is let go; who sends slowly and goes on is not."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

import web
from node.runtime import Node
from web.patience import MAX_HEAD_BYTES, Patience, PatientProtocol
from web.serve import make_server

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
    patience = Patience(head_seconds=0.3, body_seconds=0.3, least_bytes=50, read_seconds=0.5)


@pytest.fixture
async def server(node: Node) -> AsyncIterator[uvicorn.Server]:
    """A node that has little patience, served."""
    server = make_server(node, protocol=Hasty)
    server.config.port, server.config.timeout_keep_alive = 0, 1
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server
    server.should_exit = server.force_exit = True
    await serving


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    """Where it is served."""
    return int(server.servers[0].sockets[0].getsockname()[1])


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
        pytest.param(b"GET /healthz HTTP/1.1\r\n" + CHUNKED, b"1\r\n \r\n", id="a body that nobody reads"),
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


async def test_a_large_body_that_comes_with_its_headers_is_no_header(port: int) -> None:
    size = str(3 * MAX_HEAD_BYTES).encode()

    heard, _ = await told(port, INBOX + b"content-length: " + size + b"\r\n\r\n" + b" " * 3 * MAX_HEAD_BYTES)

    assert b'"This is not an activity."' in heard


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
