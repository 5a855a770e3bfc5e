"""POST to an inbox: a raw ASGI endpoint, because it is the one hot door, and a door for what is all there. Everything else is Starlette."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

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
TYPES = (b"application/activity+json", b"application/ld+json", b"application/json")


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of this door, as HTTP has it. lines: its headers as they stand on the wire."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    lines: bytes

    @classmethod
    def of(cls, status: int, error: str = "", *more: tuple[bytes, bytes]) -> "Said":
        """With one safe sentence, where something is to be said."""
        body = json.dumps({"error": error}, separators=(",", ":")).encode() if error else b""
        headers = [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
        if body:
            headers.append((b"content-type", b"application/json"))
        headers += more
        return cls(status, tuple(headers), body, b"".join(b"%s: %s\r\n" % header for header in headers))


LATER = (b"retry-after", b"30")
SAID = {
    Answer.ACCEPTED: Said.of(202),
    Answer.MALFORMED: Said.of(400, "This is not an activity."),
    Answer.UNAUTHORISED: Said.of(401, "The signature was not accepted.", (FIELD.encode("ascii"), FOR_A_BODY)),
    Answer.FORBIDDEN: Said.of(403, "This server does not take this."),
    Answer.BUSY: Said.of(429, "Too much at once. Try again later.", LATER),
    Answer.LATER: Said.of(503, "The key could not be had just now. Try again later.", LATER),
    Answer.FAILED: Said.of(503, "Not now. Try again later.", LATER),
}
NOT_READ = Said.of(405, "Activities are posted here; nobody reads them here.", (b"allow", b"POST"))
OTHER_TYPE = Said.of(415, "Activities come as application/activity+json.")
ENCODED = Said.of(415, "Activities come without an encoding.")
TOO_LARGE = Said.of(413, "This is larger than an activity may be.")
# RFC 9110 §15.5.9: the rest of the body would be read as the next request.
TOO_SLOW = Said.of(408, "This took too long.", (b"connection", b"close"))


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
        return scope["type"] == "http" and self._is_here(scope["path"])

    def takes(self, target: bytes) -> bool:
        """True when what is posted to that target, as it stands in the request line, may be given to `take`."""
        return self._is_here(target.decode("latin-1"))

    def take(
        self,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        tell: Callable[[Said], None],
    ) -> None:
        """Put in line what was posted and is all there; `tell` is called once, perhaps within this call."""
        unfit = TOO_LARGE if len(body) > MAX_BODY_BYTES else _unfit(headers)
        if unfit is not None:
            tell(unfit)
            return
        request = SignedRequest(method="POST", path_with_query=target, headers=headers, body=body)
        self._inbox.take(request, lambda answer: tell(SAID[answer]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read under a cap, hand over, answer with one of few answers. Nothing but POST is taken."""
        if scope["method"] != "POST":
            await _answer(send, NOT_READ)
            return
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        if (unfit := _unfit(headers)) is not None:
            await _answer(send, unfit)
            return
        try:
            body = await _read(headers, receive, self._unfinished, seconds=self._body_seconds)
        except TooLarge:
            await _answer(send, TOO_LARGE)
            return
        except TimeoutError:
            await _answer(send, TOO_SLOW)
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
            answer = await self._inbox.receive(request)
        except Exception:
            log.exception("inbox.failed")
            answer = Answer.FAILED
        await _answer(send, SAID[answer])

    def _is_here(self, path: str) -> bool:
        found = PATH.fullmatch(path)
        return found is not None and (found[1] is None or local_actor(self._settings, found[1]) is not None)


def _unfit(headers: list[tuple[bytes, bytes]]) -> Said | None:
    """What is said to whoever posts something else than an activity as it is."""
    kind = b""
    for name, value in headers:
        if name == b"content-encoding" and value.lower() != b"identity":
            return ENCODED
        if name == b"content-type" and not kind:
            kind = value
    return None if kind.split(b";", 1)[0].strip().lower() in TYPES else OTHER_TYPE


async def _read(
    headers: list[tuple[bytes, bytes]], receive: Receive, unfinished: _Unfinished, *, seconds: float
) -> bytes | None:
    """The whole body, or None when the client left. Raises TooLarge as soon as that is known, TimeoutError."""
    declared = next((value for name, value in headers if name == b"content-length"), b"")
    # Zeros may stand before it, more of them than `int` reads.
    if (digits := declared.lstrip(b"0")).isdigit() and int(digits) > MAX_BODY_BYTES:
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


async def _answer(send: Send, said: Said) -> None:
    await send({"type": "http.response.start", "status": said.status, "headers": list(said.headers)})
    await send({"type": "http.response.body", "body": said.body})
