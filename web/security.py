"""What every answer carries, and what every request is held to: a strict content policy, no caching of what is private, body caps.

No address of a visitor is read anywhere in this program, so none can be logged.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.peers.ours import ICON

MAX_BODY_BYTES = 5 * 1024 * 1024

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "manifest-src 'self'",
        # No text becomes markup or a script, but for addresses of scripts that pass web/browser/src/trusted.ts.
        "require-trusted-types-for 'script'",
        "trusted-types srt",
    )
)
# What a page of ours never asks a device for; a script that got in could not either.
CLOSED_FEATURES = (
    *("accelerometer", "ambient-light-sensor", "autoplay", "bluetooth", "camera", "clipboard-read"),
    *(
        "display-capture",
        "document-domain",
        "fullscreen",
        "geolocation",
        "gyroscope",
        "hid",
        "idle-detection",
    ),
    *("interest-cohort", "keyboard-map", "local-fonts", "magnetometer", "microphone", "midi", "payment"),
    *("screen-wake-lock", "serial", "speaker-selection", "usb", "web-share", "xr-spatial-tracking"),
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in CLOSED_FEATURES),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noarchive",
}
# What browsers read on documents alone: left off files, of which a page has a dozen, so that the words do not outweigh them.
OF_DOCUMENTS = frozenset(
    {"Cross-Origin-Opener-Policy", "Permissions-Policy", "Referrer-Policy", "X-Frame-Options", "X-Robots-Tag"}
)
# RFC 3986 §2: what an address is made of, so that only what may not stand in one is written anew.
AS_SENT = "%:/?#[]@!$&'()*+,;=~"
PIECES = "/static/built/chunk-"
OF_CODE = frozenset({"Content-Security-Policy", "Cross-Origin-Embedder-Policy"})
# Where servers and scripts of any origin find out whom they may speak with: a refusal there is for them to read as well.
DISCOVERY = ("/.well-known/webfinger", "/.well-known/host-meta", "/.well-known/nodeinfo", "/nodeinfo/")
# Beside our actors' names, on whatever page they are shown.
SHOWN_ELSEWHERE = (ICON,)
OPEN: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
PRIVATE = ("/alert", "/desk", "/api/v1/desk", "/api/v1/mailbox", "/api/v1/alerts", "/api/v1/uploads")


class SecurityHeaders:
    """Adds the headers above, and `Strict-Transport-Security` where the origin is https. Pure ASGI, so streams stay streams."""

    def __init__(self, app: ASGIApp, *, https: bool, onion: str = "") -> None:
        self._app = app
        self._https = https
        self._onion = onion

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        target = _target(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._dress(MutableHeaders(raw=_raw(message)), path, target)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _dress(self, headers: MutableHeaders, path: str, target: str) -> None:
        is_part = path.startswith("/static/")
        # A worker reads a policy of its own; a style none, nor a piece that is fetched into something else.
        is_piece = path.endswith(".css") or path.startswith(PIECES)
        if path.startswith(DISCOVERY) or path in SHOWN_ELSEWHERE:
            headers.update(OPEN)
        for name, value in HEADERS.items():
            if not (is_part and name in OF_DOCUMENTS) and not (is_piece and name in OF_CODE):
                headers.setdefault(name, value)
        if self._https:
            headers.setdefault("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
        if self._onion and not is_part:
            headers.setdefault("Onion-Location", f"{self._onion.rstrip('/')}{target}")
        if path.startswith(PRIVATE):
            headers["Cache-Control"] = "no-store"
            headers["X-Robots-Tag"] = "noindex, noarchive"


def _target(scope: Scope) -> str:
    """The path and the query as they were sent: a decoded path may hold what no header may, a new line above all.

    ASGI servers give the bytes they were sent; where one does not, the path is written anew.
    """
    sent: bytes = scope.get("raw_path") or quote(scope["path"], safe="/:").encode("ascii")
    query: bytes = scope.get("query_string", b"")
    return quote(sent + (b"?" + query if query else b""), safe=AS_SENT)


def _raw(message: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    # Any: ASGI messages are untyped mappings; the specification gives headers this type.
    message["headers"] = list(message.get("headers", []))
    raw: list[tuple[bytes, bytes]] = message["headers"]
    return raw
