"""The HTTP client of this server: httpx on our own transport, and the one function everything here sends through.

Nothing follows a redirect by itself, nothing reads proxies from the environment, nothing is decoded.
"""

import ssl
from collections.abc import Sequence

import httpx

from federation import addresses
from federation.connections import Answer
from federation.errors import Forbidden, Oversized, Unreachable
from federation.transport import MAX_BODY_BYTES, Limits, Resolve, Transport


class Client(httpx.AsyncClient):
    """httpx's client, with the wire below it in reach: `exchange` goes straight there, which is what makes it fast."""

    def __init__(self, wire: Transport) -> None:
        """Keep redirects and the environment out."""
        super().__init__(transport=wire, follow_redirects=False, trust_env=False)
        self.wire = wire


def open_client(
    *,
    allow_loopback: bool = False,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    user_agent: str = "social-rights-tracker",
) -> httpx.AsyncClient:
    """Return the client; use it as an asynchronous context manager.

    allow_loopback   for development and tests: plain http, any port, this machine and nowhere else.
    resolve, tls     another resolver or TLS context than the system's.
    """
    return Client(
        Transport(
            allow_loopback=allow_loopback, resolve=resolve, tls=tls, limits=limits, user_agent=user_agent
        )
    )


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    max_body_bytes: int = MAX_BODY_BYTES,
    needs_body: bool = True,
) -> Answer:
    """Send one request and return the whole answer, whatever its status; redirects included.

    http   ours, or any other client of httpx: tests wire several servers together in one process that way.
    Raises Forbidden, Unreachable, Oversized.
    """
    if isinstance(http, Client):
        return await http.wire.exchange(
            method, url, headers=headers, body=body, max_body_bytes=max_body_bytes, needs_body=needs_body
        )
    addresses.parse(url)
    try:
        request = http.build_request(method, url, headers=list(headers), content=body)
        response = await http.send(request, stream=True, follow_redirects=False)
        try:
            content = b""
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > max_body_bytes:
                    if needs_body:
                        raise Oversized(f"an answer of more than {max_body_bytes} bytes", url=url)
                    break
        finally:
            await response.aclose()
    except httpx.InvalidURL as error:
        raise Forbidden(str(error), url=url) from error
    except httpx.HTTPError as error:
        raise Unreachable(f"{type(error).__name__}: {error}", url=url) from error
    except UnicodeError as error:
        # httpx reads what an xn-- name stands for before it is sent; one that stands for nothing leads nowhere.
        raise Unreachable(f"no name of a host: {error}", url=url) from error
    raw = tuple((name.lower(), value) for name, value in response.headers.raw)
    return Answer(response.status_code, raw, content)
