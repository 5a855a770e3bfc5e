"""A tiny server on loopback that answers as it is told, byte for byte: for what no well-behaved server does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Peer:
    """What came, and what is answered: one entry per request, the last one again and again."""

    answers: list[bytes]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    origin: str = ""
    port: int = 0
    closes_after: bool = False
    delay: float = 0.0

    def url(self, path: str = "/") -> str:
        """An address of this peer."""
        return f"{self.origin}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until either side has had enough."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                self.requests.append(head + await reader.readexactly(length))
                await asyncio.sleep(self.delay)
                answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if self.closes_after:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def a_peer(*answers: bytes, closes_after: bool = False, delay: float = 0.0) -> AsyncIterator[Peer]:
    """A peer that gives these answers."""
    peer = Peer(list(answers), closes_after=closes_after, delay=delay)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    peer.origin = f"http://127.0.0.1:{peer.port}"
    try:
        yield peer
    finally:
        server.close()
        await asyncio.sleep(0)


def an_answer(
    status: int = 200, body: bytes = b"", *headers: bytes, content_type: bytes = b"application/activity+json"
) -> bytes:
    """One answer in HTTP/1.1."""
    lines = [
        b"HTTP/1.1 %d X" % status,
        b"content-length: %d" % len(body),
        b"content-type: " + content_type,
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def resolving(*found: str) -> tuple[Callable[[str, int], Awaitable[Sequence[str]]], list[str]]:
    """A resolver that gives these addresses, and the list of names it was asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return found

    return resolve, asked
