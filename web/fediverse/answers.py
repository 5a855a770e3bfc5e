"""Content negotiation and the answers that servers read."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from vocab.terms import ACTIVITY_JSON
from web.caching import listed

# The last stands for those before it, and for no page.
KINDS = ("application/activity+json", "application/ld+json", "application/json", "application/*")


def wants_activity(request: Request) -> bool:
    """True when the client asks for ActivityPub rather than for a page: by weight, of equal ones by what is named first."""
    activity = page = (0.0, 0)
    for place, part in enumerate(listed(request, "accept")):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((_weight(p) for p in parameters if p.startswith("q=")), 1.0)
        if kind in KINDS:
            activity = max(activity, (weight, -place))
        elif kind in {"text/html", "application/xhtml+xml"}:
            page = max(page, (weight, -place))
    return activity > page


def activity_answer(
    document: bytes | Mapping[str, Any], status: int = 200, *, max_age: int = 180
) -> Response:
    """An ActivityPub document: signed bytes as they are, or a mapping written now; with a tag that stands for its bytes."""
    body = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
    return Response(
        body,
        status,
        media_type=ACTIVITY_JSON,
        headers={
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Vary": "Accept",
            "Cache-Control": f"public, max-age={max_age}",
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Link": '<https://www.w3.org/TR/activitypub/>; rel="type"',
        },
    )


def _weight(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0
