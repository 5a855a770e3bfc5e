"""POST to an inbox: a raw ASGI endpoint, because it is the one hot door. Everything else is ordinary Starlette."""

import asyncio
import logging
import re

from starlette.types import Message, Receive, Scope, Send

from federation.negotiation import FIELD, FOR_A_BODY
from federation.requests import SignedRequest
from node.inbox.receive import MAX_BODY_BYTES, Answer, Inbox
from node.peers.ours import local_actor
from node.settings import Settings

log = logging.getLogger(__name__)

PATH = re.compile(r"/inbox|/actors/([a-z0-9.-]{1,100})/inbox")
# SemApps, and ActivityPods on it, say no more than that it is JSON. What is fetched has to say more: there a file that somebody
# uploaded could pass for a document of its server, and here a signature covers what is posted.
TYPES = ("application/activity+json", "application/ld+json", "application/json")
STATUS = {
    Answer.ACCEPTED: (202, b""),
    Answer.MALFORMED: (400, b'{"error":"This is not an activity."}'),
    Answer.UNAUTHORISED: (401, b'{"error":"The signature was not accepted."}'),
    Answer.FORBIDDEN: (403, b'{"error":"This server does not take this."}'),
    Answer.BUSY: (429, b'{"error":"Too much at once. Try again later."}'),
    Answer.LATER: (503, b'{"error":"The key could not be had just now. Try again later."}'),
}


# From the moment its headers are read. Before the first byte of it has come, web/patience.py waits.
BODY_SECONDS = 30.0
# Of bodies that have begun to come and are not all there. Whoever may send a megabyte unsigned can do so a thousand times at once.
MAX_UNFINISHED_BYTES = 64 * 1_048_576


class TooLarge(Exception):
    """More bytes than an activity may have."""


class _Unfinished:
    """What has come of bodies that are not all there. When it is too much, whoever has been at it longest is let go: others need a moment."""

    def __init__(self) -> None:
        self._bytes: dict[asyncio.Timeout, int] = {}
        self._all = 0

    def add(self, reading: asyncio.Timeout, size: int) -> None:
        """So much more has come of one of them."""
        self._bytes[reading] = self._bytes.get(reading, 0) + size
        self._all += size
        while self._all > MAX_UNFINISHED_BYTES:
            longest = next(iter(self._bytes))
            self.end(longest)
            if not longest.expired():
                longest.reschedule(asyncio.get_running_loop().time())

    def end(self, reading: asyncio.Timeout) -> None:
        """It is all there, or given up."""
        self._all -= self._bytes.pop(reading, 0)


class InboxDoor:
    """Answers at `/inbox` and at the inboxes of our actors."""

    def __init__(self, inbox: Inbox, settings: Settings, *, body_seconds: float = BODY_SECONDS) -> None:
        self._inbox = inbox
        self._body_seconds = body_seconds
        self._settings = settings
        self._unfinished = _Unfinished()

    def serves(self, scope: Scope) -> bool:
        """True when this request is for an inbox of ours."""
        if scope["type"] != "http":
            return False
        found = PATH.fullmatch(scope["path"])
        return found is not None and (found[1] is None or local_actor(self._settings, found[1]) is not None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read under a cap, hand over, answer with one of five answers. Nothing but POST is taken."""
        if scope["method"] != "POST":
            await _answer(send, 405, b'{"error":"Activities are posted here; nobody reads them here."}')
            return
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        kind = next((value for name, value in headers if name == b"content-type"), b"").decode("latin-1")
        if kind.split(";")[0].strip().lower() not in TYPES:
            await _answer(send, 415, b'{"error":"Activities come as application/activity+json."}')
            return
        if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers):
            await _answer(send, 415, b'{"error":"Activities come without an encoding."}')
            return
        try:
            body = await _read(headers, receive, self._unfinished, seconds=self._body_seconds)
        except TooLarge:
            await _answer(send, 413, b'{"error":"This is larger than an activity may be."}')
            return
        except TimeoutError:
            await _answer(send, 408, b'{"error":"This took too long."}')
            return
        if body is None:
            return
        query: bytes = scope["query_string"]
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        path = path.partition(b"?")[0]
        request = SignedRequest(
            method="POST",
            path_with_query=path + b"?" + query if query else path,
            headers=headers,
            body=body,
        )
        try:
            status, said = STATUS[await self._inbox.receive(request)]
        except Exception:
            log.exception("inbox.failed")
            status, said = 503, b'{"error":"Not now. Try again later."}'
        await _answer(send, status, said)


async def _read(
    headers: list[tuple[bytes, bytes]], receive: Receive, unfinished: _Unfinished, *, seconds: float
) -> bytes | None:
    """The whole body, or None when the client left. Raises TooLarge as soon as that is known, TimeoutError."""
    declared = next((value for name, value in headers if name == b"content-length"), b"0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise TooLarge
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    message = await receive()
    if not message.get("more_body", False):
        # Nearly always: all of it was there.
        return _part(message)
    parts: list[bytes] = []
    size = 0
    # One deadline for all of it, for each byte could come just in time.
    async with asyncio.timeout_at(deadline) as reading:
        try:
            while (part := _part(message)) is not None:
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise TooLarge
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
                unfinished.add(reading, len(part))
                message = await receive()
        finally:
            unfinished.end(reading)
    return None


def _part(message: Message) -> bytes | None:
    if message["type"] == "http.disconnect":
        return None
    part: bytes = message.get("body", b"")
    if len(part) > MAX_BODY_BYTES:
        raise TooLarge
    return part


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    if body:
        headers.append((b"content-type", b"application/json"))
    if status == 401:
        headers.append((FIELD.encode("ascii"), FOR_A_BODY))
    if status == 405:
        headers.append((b"allow", b"POST"))
    if status == 408:
        # RFC 9110 §15.5.9: the rest of the body would be read as the next request.
        headers.append((b"connection", b"close"))
    if status in {429, 503}:
        headers.append((b"retry-after", b"30"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
