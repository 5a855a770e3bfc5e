"""The wire below the HTTP client: the guard against inward connections and the pool of warm ones, in one place.

A name is resolved once, every address it has is checked, and the connection goes to a checked address: what a name
means a moment later (DNS rebinding) does not matter. No redirects, no proxies from the environment, no decoding.
"""

import asyncio
import ipaddress
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from federation import addresses
from federation.addresses import Address
from federation.connections import Answer, Connection
from federation.errors import FetchError, Forbidden, Oversized, Unreachable
from federation.resolving import Resolver
from federation.sites import site_of
from federation.turns import Deadline, Lines, Turn

MAX_BODY_BYTES = 1_048_576
MAX_ADDRESSES_TRIED = 3

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_Host = tuple[str, str, int]
"""Scheme, name and port."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept open, and for how long anything may take. Seconds."""

    deadline: float = 30.0
    """From the name to the last byte of the answer."""
    connect: float = 5.0
    """For one address: TCP and TLS."""
    per_host: int = 8
    per_site: int = 64
    """Of hosts below one name, which cost nothing: who owns it must not hold what there is for all."""
    at_once: int = 512
    idle: int = 256
    idle_seconds: float = 60.0
    ports: frozenset[int] = frozenset((443,))


class Transport(httpx.AsyncBaseTransport):
    """Carries requests to public https servers; with `allow_loopback`, to this machine and nowhere else."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        user_agent: str = "social-rights-tracker",
    ) -> None:
        """
        allow_loopback   for development and tests: plain http, any port, loopback addresses only.
        resolve          name and port → addresses as text; the system's resolver without it.
        tls              the verifying default context without it.
        """
        self._allow_loopback = allow_loopback
        self._system = Resolver()
        self._resolve = resolve or self._system
        self._tls = tls if tls is not None else ssl.create_default_context()
        self._limits = limits or Limits()
        self._deadline = Deadline(self._limits.deadline)
        self._hosts, self._sites, self._all = (
            Lines(places) for places in (self._limits.per_host, self._limits.per_site, self._limits.at_once)
        )
        self._warm: dict[_Host, list[Connection]] = {}
        self._idle: OrderedDict[Connection, _Host] = OrderedDict()
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._common = (f"user-agent: {user_agent}".encode("ascii"), b"accept-encoding: identity")

    # ---- exchange --------------------------------------------------------------------------------------------------

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        max_body_bytes: int = MAX_BODY_BYTES,
        needs_body: bool = True,
    ) -> Answer:
        """Send one request and return the whole answer; no redirect is followed.

        headers   as signed: a `host` among them is sent as it is, else one is made.
        Raises Forbidden before anything is connected, Unreachable, Oversized.
        """
        address = addresses.parse(url)
        self._permit(address)
        request = self._request(method, address, headers, body)
        task, is_over = self._deadline.begin(), False
        try:
            try:
                return await self._send(address, request, max_body_bytes, needs_body, method == "HEAD")
            finally:
                is_over = self._deadline.end(task)
        except asyncio.CancelledError as error:
            if not is_over:
                raise
            raise Unreachable(f"no complete answer in {self._limits.deadline:g} seconds", url=url) from error
        except FetchError as error:
            error.url = error.url or url
            raise

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request of the HTTP client; what goes wrong is told in its words."""
        body = await request.aread()
        skipped = (b"accept-encoding", b"connection", b"user-agent", b"content-length", b"transfer-encoding")
        headers = [
            (name.lower(), value) for name, value in request.headers.raw if name.lower() not in skipped
        ]
        try:
            answer = await self.exchange(request.method, str(request.url), headers=headers, body=body)
        except Oversized as error:
            raise httpx.ReadError(str(error), request=request) from error
        except Forbidden as error:
            raise httpx.UnsupportedProtocol(str(error), request=request) from error
        except FetchError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        if (answer.header("content-encoding") or "identity").lower() != "identity":
            # The client would unpack it without a cap, and it was told not to send any.
            raise httpx.DecodingError("an encoded answer, though none was asked for", request=request)
        return httpx.Response(answer.status, headers=list(answer.headers), content=answer.body)

    async def aclose(self) -> None:
        """Close every connection."""
        self._deadline.close()
        self._system.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in tuple(self._open):
            connection.close()
        self._idle.clear()
        self._warm.clear()
        # Let the event loop run their last callbacks.
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close."""
        await self.aclose()

    # ---- the guard -------------------------------------------------------------------------------------------------

    def _permit(self, address: Address) -> None:
        if self._allow_loopback:
            return
        if address.scheme != "https":
            raise Forbidden("only https leaves this server", url=address.url)
        if address.port not in self._limits.ports:
            raise Forbidden(f"port {address.port} is not one of the web's", url=address.url)
        if addresses.is_local_name(address.host):
            raise Forbidden("a name of the local network", url=address.url)

    async def _find(self, address: Address) -> list[addresses.IPAddress]:
        """Resolve once and check every address: one private among public ones is a trap, not a choice."""
        literal = addresses.ip_literal(address.host)
        if literal is not None:
            found = [literal]
        else:
            try:
                names = await self._resolve(address.host, address.port)
                found = list(dict.fromkeys(ipaddress.ip_address(name) for name in names))
            except (OSError, ValueError, UnicodeError) as error:
                raise Unreachable(f"{address.host} has no address", url=address.url) from error
        if not found:
            raise Unreachable(f"{address.host} has no address", url=address.url)
        allowed = addresses.is_loopback if self._allow_loopback else addresses.is_public
        if not all(allowed(ip) for ip in found):
            raise Forbidden(f"{address.host} leads to an address that is not connected to", url=address.url)
        return found

    # ---- the pool --------------------------------------------------------------------------------------------------

    async def _send(
        self, address: Address, request: bytes, max_body_bytes: int, needs_body: bool, is_head: bool
    ) -> Answer:
        """First the host's own line: a slow host keeps its own waiting, not everybody. Then that of its site, and at last that of all."""
        host = (address.scheme, address.host, address.port)
        # This machine is no site: its ports are what servers are told apart by in development.
        site = address.authority if self._allow_loopback else site_of(address.host)
        async with Turn((self._hosts, host), (self._sites, site), (self._all, None)):
            return await self._use(host, address, request, max_body_bytes, needs_body, is_head)

    async def _use(
        self,
        host: _Host,
        address: Address,
        request: bytes,
        max_body_bytes: int,
        needs_body: bool,
        is_head: bool,
    ) -> Answer:
        """Exchange over a warm connection, or else over a fresh one."""
        connection = self._take_idle(host)
        answer: Answer | None = None
        if connection is not None:
            try:
                answer = await connection.exchange(request, max_body_bytes, needs_body, is_head)
            except Unreachable:
                # The server closed a warm connection just as it was taken; nothing of an answer came.
                if connection.has_answered:
                    raise
        if connection is None or answer is None:
            connection = await self._connect(address)
            answer = await connection.exchange(request, max_body_bytes, needs_body, is_head)
        self._put_idle(connection, host)
        return answer

    async def _connect(self, address: Address) -> Connection:
        loop = asyncio.get_running_loop()
        context = self._tls if address.scheme == "https" else None
        last: Exception | None = None
        for ip in (await self._find(address))[:MAX_ADDRESSES_TRIED]:
            try:
                async with asyncio.timeout(self._limits.connect):
                    _, connection = await loop.create_connection(
                        lambda: Connection(self._lose),
                        str(ip),
                        address.port,
                        ssl=context,
                        server_hostname=address.host if context is not None else None,
                    )
            except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
                last = error
                continue
            self._open.add(connection)
            return connection
        raise Unreachable(f"{address.host}: {type(last).__name__}", url=address.url) from last

    def _take_idle(self, host: _Host) -> Connection | None:
        earliest = time.monotonic() - self._limits.idle_seconds
        while warm := self._warm.get(host):
            connection = warm[-1]
            self._forget_idle(connection)
            if connection.is_open and connection.idle_since > earliest:
                return connection
            connection.close()
        return None

    def _put_idle(self, connection: Connection, host: _Host) -> None:
        """Keep it warm, unless it was the last time."""
        if not connection.is_open:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        self._warm.setdefault(host, []).append(connection)
        self._idle[connection] = host
        if len(self._idle) > self._limits.idle:
            self._drop(next(iter(self._idle)))
        if self._sweeper is None:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(self._limits.idle_seconds, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long; the oldest come first."""
        self._sweeper = None
        while self._idle:
            oldest = next(iter(self._idle))
            left = oldest.idle_since + self._limits.idle_seconds - time.monotonic()
            if left > 0:
                loop = asyncio.get_running_loop()
                self._sweeper = loop.call_later(left, self._sweep)
                return
            self._drop(oldest)

    def _drop(self, connection: Connection) -> None:
        self._forget_idle(connection)
        connection.close()

    def _lose(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._forget_idle(connection)

    def _forget_idle(self, connection: Connection) -> None:
        host = self._idle.pop(connection, None)
        if host is None:
            return
        warm = self._warm[host]
        warm.remove(connection)
        if not warm:
            del self._warm[host]

    # ---- bytes -----------------------------------------------------------------------------------------------------

    def _request(
        self, method: str, address: Address, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> bytes:
        lines = [f"{method} {address.target} HTTP/1.1".encode("ascii"), *map(b": ".join, headers)]
        if not any(name == b"host" for name, _ in headers):
            lines.append(f"host: {address.authority}".encode("ascii"))
        lines += self._common
        if body or method not in ("GET", "HEAD"):
            lines.append(b"content-length: %d" % len(body))
        head = b"\r\n".join((*lines, b"", b""))
        # It splits at every CR and every LF: with one more of either there are more lines than were joined.
        if len(head.splitlines()) != len(lines) + 1:
            raise ValueError("a header with a line break")
        return head + body
