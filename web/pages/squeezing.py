"""Sending less: the bundle as it was compressed when it was built, styles, and pages that hold no secret.

How long a compressed page is tells something of what stands in it. Where a page holds what somebody typed, or a token, a
stranger who can make it repeat guesses would learn the rest (BREACH, 2013): such a page is sent as it is, and nothing is
compressed that did not ask for it by name.
"""

import gzip
import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

from starlette.responses import FileResponse, Response

LEVEL = 9
LEAST_BYTES = 512
STYLES = (".css", ".js", ".svg")
BUILT = {"br": ".br", "gzip": ".gz"}  # the endings that web/browser/build.mjs writes, the smaller one first


def squeezed(response: Response, headers: Mapping[str, str]) -> Response:
    """The same page, compressed for who can read that. Only for what holds no secret and nothing that was typed."""
    response.headers.add_vary_header("Accept-Encoding")
    body = bytes(response.body)
    if "gzip" in _taken(headers) and len(body) >= LEAST_BYTES:
        response.body = gzip.compress(body, LEVEL, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response


def squeezed_file(path: Path, found: os.stat_result, headers: Mapping[str, str]) -> Response:
    """A file of ours as small as whoever asks can read it. It always says which form it has (RFC 9110 §12.5.5)."""
    media_type = guess_type(path.name)[0] or "application/octet-stream"
    readable = _taken(headers)
    vary = {"Vary": "Accept-Encoding"}
    for encoding, ending in BUILT.items():
        built = path.with_name(path.name + ending)
        if encoding in readable and built.is_file():
            encoded = vary | {"Content-Encoding": encoding}
            return FileResponse(built, headers=encoded, media_type=media_type, stat_result=built.stat())
    if "gzip" in readable and path.suffix in STYLES and found.st_size >= LEAST_BYTES:
        content, tag = _gzipped(path, found.st_mtime_ns)
        return Response(
            content, headers=vary | {"Content-Encoding": "gzip", "ETag": tag}, media_type=media_type
        )
    return FileResponse(path, headers=vary, media_type=media_type, stat_result=found)


@lru_cache(maxsize=64)
def _gzipped(path: Path, _changed: int) -> tuple[bytes, str]:
    content = gzip.compress(path.read_bytes(), LEVEL, mtime=0)
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _taken(headers: Mapping[str, str]) -> frozenset[str]:
    """The encodings that are named and not refused by a weight of nothing (RFC 9110 §12.5.3)."""
    found = set()
    for one in headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = one.replace(" ", "").partition(";q=")
        if weight.strip("0.") or not weight:
            found.add(name)
    return frozenset(found)
