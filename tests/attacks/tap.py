"""Stands where connections would be opened: remembers every address, and answers for the few that are meant to be there.

The real transport runs above it, with its guard, its resolver and its parser; below it there is no network at all.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from federation.client import open_client
from federation.connections import Connection

PUBLIC_ADDRESS = "93.184.216.34"
Answer = bytes | Callable[[str], bytes]


@dataclass
class Tap:
    """Names with their addresses, hosts with their answers, and what was connected to and asked for."""

    names: dict[str, Sequence[str]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    connected: list[tuple[str, int]] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    def client(self) -> httpx.AsyncClient:
        """The client that the program uses, asking this tap for names."""
        return open_client(resolve=self.resolve, tls=_no_tls())

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        found = self.names.get(host, [PUBLIC_ADDRESS] if host in self.answers else [])
        if not found:
            raise OSError("no such name")
        return found

    async def create_connection(
        self, factory: Callable[[], Connection], host: str, port: int, **more: Any
    ) -> tuple[asyncio.Transport, Connection]:
        """In the place of the event loop's."""
        self.connected.append((host, port))
        protocol = factory()
        wire = _Wire(self, protocol)
        protocol.connection_made(wire)
        return wire, protocol

    def answer_to(self, request: bytes) -> bytes:
        self.requests.append(request)
        head = request.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        host = next(line.split(": ", 1)[1] for line in head if line.lower().startswith("host: "))
        answer = self.answers.get(host, an_answer(404))
        return answer if isinstance(answer, bytes) else answer(path)


@cache
def _no_tls() -> ssl.SSLContext:
    # Made once: reading the certificates of the system takes longer than the test. No byte goes through it.
    return ssl.create_default_context()


class _Wire(asyncio.Transport):
    def __init__(self, tap: Tap, protocol: Connection) -> None:
        super().__init__()
        self._tap = tap
        self._protocol = protocol
        self._is_closed = False

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        answer = self._tap.answer_to(bytes(data))
        asyncio.get_running_loop().call_soon(self._protocol.data_received, answer)

    def is_closing(self) -> bool:
        return self._is_closed

    def abort(self) -> None:
        self._is_closed = True

    close = abort


def an_answer(
    status: int = 200, body: bytes = b"", *, kind: str = "application/activity+json", **headers: str
) -> bytes:
    """The bytes of an answer."""
    fields = {"content-type": kind, "content-length": str(len(body))} | headers
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def to(location: str) -> bytes:
    """A redirect."""
    return an_answer(302, location=location)
