"""What is posted to an inbox in one piece goes a short way, over real sockets: the answers are those of the long one, and as late."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from sqlalchemy import func, select
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from federation import cavage
from federation.digests import BodyDigest
from node.inbox.keeping import Keeper, Received
from node.inbox.receive import MAX_BODY_BYTES
from node.peers.actors import remember_actor
from node.runtime import Node
from tests.rig.keys import rsa_key
from tests.rig.serving import port_of, serving
from vocab.actors import Actor, PublicKey
from web.doorstep import DoorstepProtocol
from web.serve import make_server

pytestmark = pytest.mark.sockets

SAM = "https://stranger.example/users/sam"
TYPE = "application/activity+json"
KEY = rsa_key("stranger")


@pytest.fixture
async def server(node: Node) -> AsyncIterator[uvicorn.Server]:
    """A node that knows Sam's key, served."""
    key = PublicKey(f"{SAM}#main-key", SAM, "rsa", spki_pem=KEY.public.pem)
    sam = Actor(SAM, "Person", "sam", f"{SAM}/inbox", keys=(key,))
    async with node.database.begin() as session:
        await remember_actor(session, sam, now=node.clock.now())
    async with serving(make_server(node)) as server:
        yield server


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    return port_of(server)


@pytest.fixture
def only_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request has a task of its own."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a task")

    monkeypatch.setattr(HttpToolsProtocol, "_start_asgi_task", refuse)


def posting(
    node: Node,
    number: int = 1,
    *,
    path: str = "/inbox",
    version: str = "1.1",
    without: str = "",
    body: bytes | None = None,
    **headers: str,
) -> bytes:
    """A whole signed request: one of Sam's activities, or other bytes. headers, without: what is changed after signing."""
    activity = {"id": f"{SAM}/likes/{number}", "type": "Like", "actor": SAM, "object": "https://a.example/x"}
    content = json.dumps(activity).encode() if body is None else body
    signed = cavage.sign(
        "POST",
        f"https://a.example{path}",
        signer=KEY.signer(f"{SAM}#main-key"),
        now=node.clock.now(),
        digest=BodyDigest.of(content),
        content_type=TYPE.encode(),
    )
    fields: Mapping[str, str] = {
        **{name.decode(): value.decode() for name, value in signed},
        "content-length": str(len(content)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if name != without)
    return f"POST {path} HTTP/{version}\r\n{lines}\r\n".encode() + content


def held_back(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """From now on nothing is committed before the second of these is set; the first says that something waits for it."""
    begun, go_on, write = asyncio.Event(), asyncio.Event(), Keeper._write

    async def slow(self: Keeper, batch: list[Any]) -> set[str]:
        begun.set()
        await go_on.wait()
        return await write(self, batch)

    monkeypatch.setattr(Keeper, "_write", slow)
    return begun, go_on


class Connection:
    """A client that writes what it likes, and reads answers one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> bytes:
        """The next answer, without its date."""
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 100 "):
                # Whoever says first that there will be a body is told to go on.
                head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return re.sub(rb"date: [^\r]+\r\n", b"", head) + await self.reader.readexactly(length)

    async def ask(self, *pieces: bytes) -> bytes:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.02 if len(pieces) > 1 else 0)
        return await self.answer()


Connect = Callable[[], Awaitable[Connection]]


@pytest.fixture
async def connect(port: int) -> AsyncIterator[Connect]:
    """Opens connections, all closed at the end."""
    opened: list[Connection] = []

    async def open_one() -> Connection:
        opened.append(Connection(*await asyncio.open_connection("127.0.0.1", port)))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.writer.transport.abort()


async def kept(node: Node) -> int:
    async with node.database.read() as session:
        return await session.scalar(select(func.count()).select_from(Received)) or 0


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (202, {}),
        (202, {"path": "/actors/cases/inbox"}),
        (202, {"expect": "100-continue"}),
        (400, {"body": b"{}"}),
        (400, {"body": b'{"id": 1'}),
        (401, {"digest": "SHA-256=RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="}),
        (401, {"date": "Sat, 21 Nov 2026 11:59:59 GMT"}),
        (401, {"without": "signature"}),
        (415, {"content_type": "text/plain"}),
        (415, {"without": "content-type"}),
        (415, {"content_encoding": "gzip"}),
    ],
    ids=str,
)
async def test_what_comes_whole_is_answered_like_what_comes_in_pieces(
    node: Node, connect: Connect, monkeypatch: pytest.MonkeyPatch, status: int, how: dict[str, Any]
) -> None:
    first, second = posting(node, 1, **how), posting(node, 2, **how)
    connection = await connect()
    in_pieces = await connection.ask(first[:-1], first[-1:])

    monkeypatch.setattr(HttpToolsProtocol, "_start_asgi_task", None)
    whole = await connection.ask(second)

    assert whole.startswith(b"HTTP/1.1 %d " % status)
    assert whole == in_pieces
    assert await kept(node) == (2 if status == 202 else 0)


@pytest.mark.usefixtures("only_the_short_way")
async def test_nobody_is_told_that_it_was_kept_before_it_was(
    node: Node, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await connect()
    await _know_the_key(node, connection)
    begun, go_on = held_back(monkeypatch)
    connection.writer.write(posting(node, 1))
    answer = asyncio.create_task(connection.answer())
    await begun.wait()
    await asyncio.sleep(0.05)
    was_told = answer.done()
    go_on.set()

    assert (await answer).startswith(b"HTTP/1.1 202 ")
    assert not was_told
    assert await kept(node) == 2


async def _know_the_key(node: Node, connection: Connection) -> None:
    assert (await connection.ask(posting(node, 1000))).startswith(b"HTTP/1.1 202 ")


@pytest.mark.usefixtures("only_the_short_way")
async def test_one_connection_posts_for_as_long_as_it_likes(
    node: Node, server: uvicorn.Server, connect: Connect
) -> None:
    connection = await connect()

    for number in range(20):
        assert (await connection.ask(posting(node, number))).startswith(b"HTTP/1.1 202 ")

    assert await kept(node) == 20
    (open_,) = server.server_state.connections
    assert not vars(open_)["_unanswered"]
    assert not vars(open_)["cycle"].body
    assert server.server_state.total_requests == 20


@pytest.mark.parametrize("is_at_once", [True, False], ids=["in one piece", "one after the other"])
async def test_what_is_posted_before_the_last_was_answered_is_answered_in_its_turn(
    node: Node, connect: Connect, is_at_once: bool
) -> None:
    connection = await connect()
    await _know_the_key(node, connection)
    requests = [posting(node, 1), posting(node, 2, without="signature"), posting(node, 3)]

    if is_at_once:
        connection.writer.write(b"".join(requests))
    else:
        for request in requests:
            connection.writer.write(request)
            await asyncio.sleep(0)
    answers = [await connection.answer() for _ in requests]

    assert [answer[9:12] for answer in answers] == [b"202", b"401", b"202"]
    assert await kept(node) == 3


@pytest.mark.parametrize(
    "behind", [b"\0", b"", b"POST /inbox HTTP/1.1\r\nhost:"], ids=["no request", "nothing", "half"]
)
async def test_what_waits_for_its_commit_is_answered_before_what_comes_behind_it(
    node: Node, connect: Connect, monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    """No request, the end, or half a request and the end."""
    connection = await connect()
    await _know_the_key(node, connection)
    begun, go_on = held_back(monkeypatch)
    connection.writer.write(posting(node, 1))
    await begun.wait()
    connection.writer.write(behind)
    if behind != b"\0":
        connection.writer.write_eof()
    await asyncio.sleep(0.05)
    go_on.set()

    answer = await connection.answer()
    async with asyncio.timeout(30):
        rest = await connection.reader.read()

    assert answer.startswith(b"HTTP/1.1 202 ")
    assert await kept(node) == 2
    assert (rest[9:12], b"\r\nconnection: close\r\n" in (rest or answer)) == (
        b"400" if behind == b"\0" else b"",
        True,
    )


@pytest.mark.usefixtures("only_the_short_way")
@pytest.mark.parametrize(
    "how",
    [
        {"version": "1.0"},
        {"version": "1.0", "connection": "keep-alive"},
        {"connection": "close"},
        {"connection": "close", "without": "signature"},
    ],
)
async def test_who_asks_for_it_is_let_go_after_the_answer(
    node: Node, connect: Connect, how: dict[str, Any]
) -> None:
    connection = await connect()

    answer = await connection.ask(posting(node, 1, **how))

    assert b"\r\nconnection: close\r\n" in answer
    assert await connection.reader.read() == b""


@pytest.mark.usefixtures("only_the_short_way")
async def test_what_somebody_posted_who_is_gone_is_kept(
    node: Node, server: uvicorn.Server, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await connect()
    connection.writer.write(posting(node, 1))
    await connection.writer.drain()
    connection.writer.transport.abort()

    async with asyncio.timeout(30):
        while server.server_state.connections or not await kept(node):
            await asyncio.sleep(0.01)

    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.usefixtures("only_the_short_way")
async def test_what_could_not_be_kept_is_not_acknowledged_and_the_next_is(
    node: Node, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await connect()
    await _know_the_key(node, connection)

    async def fail(*_: Any) -> set[str]:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Keeper, "_write", fail)
        failed = await connection.ask(posting(node, 1))
    taken = await connection.ask(posting(node, 1))

    assert failed.startswith(b"HTTP/1.1 503 ")
    assert b'{"error":"Not now. Try again later."}' in failed
    assert "inbox.failed" in caplog.messages
    assert taken.startswith(b"HTTP/1.1 202 ")
    assert await kept(node) == 2


@pytest.mark.usefixtures("only_the_short_way")
async def test_what_breaks_on_the_way_is_answered(
    node: Node, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("node.inbox.receive.read_signature", fail)
    connection = await connect()

    answer = await connection.ask(posting(node, 1))

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"mistake" not in answer
    assert "inbox.failed" in caplog.messages


@pytest.mark.parametrize("without", ["", "signature"], ids=["what is kept", "what is refused"])
async def test_whoever_cannot_be_answered_is_let_go(
    node: Node,
    server: uvicorn.Server,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    without: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a mistake of ours")

    connection = await connect()
    await _know_the_key(node, connection)
    monkeypatch.setattr(DoorstepProtocol, "write_answer", fail)
    connection.writer.write(posting(node, 1, without=without))

    async with asyncio.timeout(30):
        with suppress(ConnectionError):
            assert await connection.reader.read() == b""
        while server.server_state.connections:
            await asyncio.sleep(0.01)
    assert "RuntimeError: a mistake of ours" in caplog.text


async def test_the_rest_of_what_was_too_long_is_no_posting(node: Node, connect: Connect) -> None:
    """Whoever is refused before they are through may go on with what looks like a request."""
    inner = posting(node, 1)
    connection = await connect()
    head = posting(node, 2, body=b"", content_length=str(MAX_BODY_BYTES + len(inner)))

    refused = await connection.ask(head)
    for _ in range(4):
        connection.writer.write(b" " * (MAX_BODY_BYTES // 4))
        await connection.writer.drain()
        await asyncio.sleep(0.02)
    connection.writer.write(inner)
    await connection.writer.drain()
    await asyncio.sleep(0.05)
    taken = await connection.ask(posting(node, 3))

    assert (refused[9:12], taken[9:12]) == (b"413", b"202")
    assert await kept(node) == 1


async def test_a_length_is_taken_with_however_many_zeros_before_it(node: Node, connect: Connect) -> None:
    """`int` reads 4,300 digits."""
    connection = await connect()
    _, _, body = posting(node, 1).partition(b"\r\n\r\n")
    request = posting(node, 1, content_length="0" * 5_000 + str(len(body)))
    too_large = posting(node, 1, content_length="0" * 5_000 + str(MAX_BODY_BYTES + 1))

    assert (await connection.ask(request)).startswith(b"HTTP/1.1 202 ")
    assert (await connection.ask(request[:-1], request[-1:])).startswith(b"HTTP/1.1 202 ")
    assert (await connection.ask(too_large)).startswith(b"HTTP/1.1 413 ")


async def test_what_begins_within_a_trailer_and_is_not_all_there_is_no_whole_posting(
    node: Node, server: uvicorn.Server, connect: Connect
) -> None:
    """Whoever was answered already may go on with what looks like a request, and be waited for past all limits of bodies."""
    # As long as it would be, were the trailer its head.
    length = len(posting(node, 1, content_length="000"))
    whole = posting(node, 1, content_length=str(length))
    connection = await connect()
    chunked = posting(
        node, 2, body=b"", without="content-length", transfer_encoding="chunked", content_type="text/plain"
    )

    refused = await connection.ask(chunked)
    for piece in (b"0\r\nx: ", b"POST /\r\n\r\n" + whole):
        connection.writer.write(piece)
        await connection.writer.drain()
        await asyncio.sleep(0.05)
    (open_,) = server.server_state.connections

    assert refused.startswith(b"HTTP/1.1 415 ")
    assert isinstance(vars(open_)["cycle"], RequestResponseCycle)
    assert await kept(node) == 0


async def test_a_server_that_stops_answers_first(
    node: Node, server: uvicorn.Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = held_back(monkeypatch)
    connection = await connect()
    connection.writer.write(posting(node, 1))
    await begun.wait()
    server.should_exit = True
    await asyncio.sleep(0.2)
    go_on.set()

    answer = await connection.answer()
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert await kept(node) == 1
