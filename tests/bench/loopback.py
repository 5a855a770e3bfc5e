"""A load generator and a small server for benchmarks, on asyncio protocols and httptools: the machine's time goes to who is measured."""

import asyncio
import os
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import httptools
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

SERVER_CPU = 0
"""Where the program under test runs; everything else runs on the other processors."""


@dataclass
class Load:
    """What became of a batch of requests: seconds in all, seconds each, and how many answers of each status."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.seconds


class _Client(asyncio.Protocol):
    """One connection that sends the next request when the last one is answered."""

    def __init__(self, requests: Iterator[bytes], load: Load, done: Callable[[], None]) -> None:
        self._requests, self._load, self._done = requests, load, done
        self._transport: asyncio.Transport | None = None
        self._sent_at = 0.0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's class, and do not derive from it.
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._load.latencies.append(time.perf_counter() - self._sent_at)
        self._load.statuses[self._parser.get_status_code()] += 1
        self._parser = httptools.HttpResponseParser(self)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._done()

    def _next(self) -> None:
        assert self._transport is not None
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


async def replay(port: int, requests: Sequence[bytes], *, connections: int = 32) -> Load:
    """Send prepared requests to a loopback port as fast as they are answered."""
    loop = asyncio.get_running_loop()
    load, queue = Load(), iter(requests)
    open_, finished = connections, loop.create_future()

    def done() -> None:
        nonlocal open_
        open_ -= 1
        if open_ == 0 and not finished.done():
            finished.set_result(None)

    started = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: _Client(queue, load, done), "127.0.0.1", port)
    await finished
    load.seconds = time.perf_counter() - started
    if sum(load.statuses.values()) != len(requests):
        raise RuntimeError(
            f"{len(requests)} requests, {sum(load.statuses.values())} answers: {load.statuses}"
        )
    return load


async def pace(port: int, requests: Sequence[bytes], *, per_second: float, connections: int = 64) -> Load:
    """Send prepared requests at a steady rate, whatever the answers do; a latency counts from when its turn was."""
    loop = asyncio.get_running_loop()
    load = Load()
    turns: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (turn := await turns.get()) is not None:
            due, request = turn
            writer.write(request)
            status = await _read_answer(reader)
            load.latencies.append(time.perf_counter() - due)
            load.statuses[status] += 1
        writer.close()

    workers = [loop.create_task(work()) for _ in range(connections)]
    started = time.perf_counter()
    for index, request in enumerate(requests):
        due = started + index / per_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        turns.put_nowait((due, request))
    for _ in workers:
        turns.put_nowait(None)
    await asyncio.gather(*workers)
    load.seconds = time.perf_counter() - started
    return load


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    if length:
        await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


Handler = Callable[[bytes, bytes], bytes]
"""(url, Host) → a whole response; see `answer`."""


class _Server(asyncio.Protocol):
    def __init__(self, handle: Handler, connections: set["_Server"]) -> None:
        self._handle = handle
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._host = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's class, and do not derive from it.
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"host":
            self._host = value

    def on_message_complete(self) -> None:
        self._transport.write(self._handle(self._url, self._host))
        self._url = self._host = b""


def answer(status: int, body: bytes = b"", content_type: bytes = b"application/activity+json") -> bytes:
    """A whole HTTP response."""
    return b"HTTP/1.1 %d OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        content_type,
        len(body),
        body,
    )


@asynccontextmanager
async def listening(handle: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on every loopback address (127.0.0.1, 127.0.0.2, …), at one port: many hosts on one machine."""
    loop = asyncio.get_running_loop()
    connections: set[_Server] = set()
    server = await loop.create_server(
        lambda: _Server(handle, connections),
        "0.0.0.0",  # noqa: S104  # loopback addresses are many
        0,
        backlog=4096,
        ssl=tls,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(connections):
            connection.close()


@contextmanager
def deaf() -> Iterator[int]:
    """A port at which every loopback address lets connect and never answers: hosts that are dead in the worst way."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as silent:  # noqa: S104  # loopback addresses are many
        port: int = silent.getsockname()[1]
        yield port


def certified(directory: Path, addresses: Sequence[str]) -> tuple[ssl.SSLContext, Path]:
    """A TLS context for servers at these addresses, and the file of the certificate that vouches for them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(one)) for one in addresses]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    public, private = directory / "loopback.crt", directory / "loopback.key"
    public.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return context, public


def memory_bytes(pid: int) -> int:
    """What a process holds in memory now, and nobody else with it: its resident set."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def pin(pid: int, processor: int = SERVER_CPU) -> None:
    """Keep every thread of a process on one processor."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {processor})


def stay_off(processor: int = SERVER_CPU) -> None:
    """Keep this process off the processor of the program under test, where there is another."""
    others = os.sched_getaffinity(0) - {processor}
    if others:
        os.sched_setaffinity(0, others)


def processor_seconds(pid: int, *, with_ended: bool = False) -> float:
    """Processor time a process has used so far; with that of those it started that ended, if asked; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / os.sysconf("SC_CLK_TCK")
