"""The API for other programs: published cases to read, and the document that describes this and the sealed-alert API.

The document is made of the very structs the doors read with (`web.pages.sending`, `web.pages.mailbox`), so it cannot say something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from node import __version__
from node.entries.search import Card, Filter, search
from node.intake.uploads import MAX_PARTS
from node.runtime import Node
from node.settings import Settings
from web.pages.mailbox import NewConsent, NewMessage, NewProof
from web.pages.sending import MANIFEST, NewAlert
from web.pages.wire import Wire, taken_by

MAILBOX: list[dict[str, list[str]]] = [{"mailbox": []}]
# Read-only and public: any page of any site may read it, without cookies.
OPEN = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, max-age=60",
}


@dataclass(frozen=True, slots=True)
class Served:
    """One address of the desk's API and what it reads: a struct, the media type of what is no JSON, or nothing."""

    path: str
    method: str
    summary: str
    parameters: tuple[str, ...]
    takes: type[Wire] | str | None


FILTERS = (
    "state",
    "article",
    "provision",
    "group",
    "kind",
    "theme",
    "node",
    "language",
    "verification",
    "status",
    "q",
)


def routes(settings: Settings) -> list[BaseRoute]:
    """The read API and its description."""
    return [Route("/api/v1/cases", cases), Route("/api/openapi.json", description)]


async def cases(request: Request) -> Response:
    """Published cases that match, newest first, with where each came from."""
    node: Node = request.app.state.node
    async with node.database.read() as session:
        found = await search(session, Filter.parse(request.query_params))
    return JSONResponse(
        {
            "total": found.total,
            "page": found.page,
            "pages": found.pages,
            "cases": [_case(card) for card in found.items],
            "counts": {
                facet: [{"value": value, "count": count} for value, count in values]
                for facet, values in found.counts.items()
            },
        },
        headers=OPEN,
    )


async def description(request: Request) -> Response:
    """The OpenAPI document."""
    settings: Settings = request.app.state.node.settings
    served = () if settings.is_hub else tuple(_served_at_the_desk(request.app.routes))
    found = document(intake=not settings.is_hub, desk=served)
    return JSONResponse(found | {"servers": [{"url": settings.origin}]}, headers=OPEN)


@cache
def document(*, intake: bool, desk: tuple[Served, ...] = ()) -> dict[str, Any]:
    """OpenAPI 3.1, without the address of a server; `intake` adds the sealed-alert API, `desk` its own addresses."""
    # Any: a JSON document.
    kinds: list[type[Wire]] = [NewAlert, NewMessage, NewConsent, NewProof]
    kinds += sorted({one.takes for one in desk if isinstance(one.takes, type)} - set(kinds), key=_place)
    # All in one go, so that two structs of one name are told apart.
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    bodies: dict[type[Wire], Mapping[str, object]] = dict(zip(kinds, schemas, strict=True))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Social Rights Tracker",
            "version": __version__,
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
            "description": (
                "Published cases to read, and the door for sealed alerts. Everything of a source is an age file for one "
                "hybrid recipient (age1pq1…), padded to 4096 bytes, with an Ed25519 signature inside. A client reads the "
                "signed manifest first, checks it against the organisation's root key, and seals to the people it names. "
                "Nothing here knows a source: no cookie, no account, no address is kept."
            ),
        },
        "paths": {
            "/api/v1/cases": {
                "get": {
                    "operationId": "listCases",
                    "summary": "Published cases, newest first",
                    "parameters": [
                        *(
                            {"name": name, "in": "query", "schema": {"type": "string", "maxLength": 120}}
                            for name in FILTERS
                        ),
                        {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1}},
                    ],
                    "responses": {"200": _json("A page of cases", {"type": "object"})},
                }
            },
        }
        | (_intake(*schemas[:4]) if intake else {})
        | _desk(desk, bodies),
        **({"components": _components(components)} if intake else {}),
    }


def _intake(
    alert: Mapping[str, object],
    message: Mapping[str, object],
    consent: Mapping[str, object],
    proof: Mapping[str, object],
) -> dict[str, object]:
    """The sealed-alert API, the whole of what a client of a source needs: a hub has none."""
    error = _error()
    nobody = _json("No such mailbox, or a wrong token: which of them is not said", error)
    unpaid = _json("Much is arriving, and work is asked for first: `bits` leading zero bits of it", error)
    full = _json("Too much is arriving; try again in an hour", error)
    upload = _path("upload", {"type": "string", "pattern": "^[0-9a-f]{32}$"})
    part = _path("part", {"type": "integer", "minimum": 0, "maximum": MAX_PARTS - 1})
    octets = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    work = {
        "name": "Work",
        "in": "header",
        "description": "A day, a full stop and a nonce that show the bits `/api/v1/work` asks for; on an ordinary day nothing",
        "schema": {"type": "string"},
    }
    return {
        MANIFEST: {
            "get": {
                "operationId": "readManifest",
                "summary": "The signed list of people alerts are sealed to",
                "responses": {
                    "200": _json("The manifest, in the bytes that were signed", {"type": "object"}),
                    "503": _json("The door is closed: fewer than two people could read an alert", error),
                },
            }
        },
        "/api/v1/forms/{sha256}": {
            "get": {
                "operationId": "readForm",
                "summary": "What a source was asked, by the hash that an alert names",
                "parameters": [_path("sha256", {"type": "string", "pattern": "^[0-9a-f]{64}$"})],
                "responses": {
                    "200": _json("The form, in its canonical form", {"type": "object"}),
                    "404": _json("No such form", error),
                },
            }
        },
        "/api/v1/work": {
            "get": {
                "operationId": "readWork",
                "summary": "What sending costs at the moment: nothing on an ordinary day",
                "responses": {"200": _json("The price", {"type": "object"})},
            }
        },
        "/api/v1/uploads/{upload}/{part}": {
            "put": {
                "operationId": "putPart",
                "summary": "One part of a sealed file, at most 4 MiB; repeating it is harmless",
                "parameters": [upload, part],
                "requestBody": {"required": True, "content": octets},
                "responses": {
                    "204": {"description": "Kept"},
                    "409": _json("Other bytes are here under this name", error),
                    "413": _json("Too large", error),
                    "429": _json("Too much is waiting; try again later", error),
                },
            }
        },
        "/api/v1/alerts": {
            "post": {
                "operationId": "sendAlert",
                "summary": "A sealed alert",
                "parameters": [work],
                "requestBody": _body(alert),
                "responses": {
                    "201": _json("Received", _received()),
                    "200": _json("Received before: the same bytes", _received()),
                    "400": _json("Not sealed as it must be", error),
                    "409": _json("`manifest`: read the list of keys again. Otherwise the id is taken", error),
                    "413": _json("Too large", error),
                    "428": unpaid,
                    "429": full,
                    "503": _json("The door is closed", error),
                },
            }
        },
        "/api/v1/mailbox": {
            "get": {
                "operationId": "readMailbox",
                "summary": "What a receipt opens",
                "security": MAILBOX,
                "responses": {"200": _json("The dialogue, sealed", {"type": "object"}), "404": nobody},
            },
            "delete": {
                "operationId": "burnMailbox",
                "summary": "Delete everything of this source, keys first. It cannot be undone",
                "security": MAILBOX,
                "responses": {
                    "204": {"description": "Deleted: the token finds nothing any more"},
                    "404": nobody,
                },
            },
        },
        "/api/v1/mailbox/messages": {
            "post": {
                "operationId": "answerQuestion",
                "summary": "A message of the source",
                "security": MAILBOX,
                "parameters": [work],
                "requestBody": _body(message),
                "responses": {
                    "201": {"description": "Kept"},
                    "404": nobody,
                    "409": _json("The place is taken: read again, then try again", error),
                    "428": unpaid,
                    "429": full,
                },
            }
        },
        "/api/v1/mailbox/attachments/{upload}/{part}": {
            "get": {
                "operationId": "readPart",
                "summary": "One part of a sealed file of the exchange, of either side",
                "security": MAILBOX,
                "parameters": [upload, part],
                "responses": {"200": {"description": "Ciphertext", "content": octets}, "404": nobody},
            }
        },
        "/api/v1/mailbox/consents": {
            "post": {
                "operationId": "answerConsent",
                "summary": "Yes or no to a use, or to one exact text, signed with the key of the receipt",
                "security": MAILBOX,
                "requestBody": _body(consent),
                "responses": {
                    "201": _json("Every answer so far", {"type": "object"}),
                    "400": _json("Not signed by this source, or of another day", error),
                    "404": nobody,
                    "409": _json("The place is taken: read again, then try again", error),
                },
            }
        },
        "/api/v1/mailbox/proof": {
            "post": {
                "operationId": "proveFiling",
                "summary": "This node's signed word that it received something on a day",
                "security": MAILBOX,
                "requestBody": _body(proof),
                "responses": {"200": _json("The statement", {"type": "object"}), "404": nobody},
            }
        },
    }


def _served_at_the_desk(routes: Sequence[BaseRoute]) -> Iterator[Served]:
    for route in routes:
        if not isinstance(route, Route) or not route.path.startswith("/api/v1/desk/"):
            continue
        # One function behind several addresses is bound to each.
        handler = route.endpoint.func if isinstance(route.endpoint, partial) else route.endpoint
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield Served(
                route.path_format,
                method.lower(),
                (handler.__doc__ or "").partition("\n")[0],
                tuple(sorted(route.param_convertors)),
                taken_by(handler),
            )


def _desk(
    served: Sequence[Served], bodies: Mapping[type[Wire], Mapping[str, object]]
) -> dict[str, dict[str, object]]:
    """The desk's addresses, as they are served: for its own page, which alone holds keys. Bodies may change with each version."""
    paths: dict[str, dict[str, object]] = {}
    for one in served:
        operation: dict[str, object] = {
            "operationId": f"{one.method} {one.path.removeprefix('/api/v1/')}",
            "summary": one.summary,
            "tags": ["desk"],
            "security": [{"desk": []}],
            "responses": {
                "2XX": {"description": "Done"},
                "401": _json("Nobody is signed in", _error()),
                "4XX": _json("Refused", _error()),
            },
        }
        if one.parameters:
            operation["parameters"] = [_path(name, {"type": "string"}) for name in one.parameters]
        if isinstance(one.takes, str):
            binary = {"schema": {"type": "string", "format": "binary"}}
            operation["requestBody"] = {"required": True, "content": {one.takes: binary}}
        elif one.takes is not None:
            operation["requestBody"] = _body(bodies[one.takes])
        paths.setdefault(one.path, {})[one.method] = operation
    return paths


def _place(kind: type[Wire]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _components(schemas: Mapping[str, object]) -> dict[str, object]:
    return {
        "schemas": schemas,
        "securitySchemes": {
            "mailbox": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Mailbox ` and the 64 hex digits of the mailbox token",
            },
            "desk": {
                "type": "apiKey",
                "in": "cookie",
                "name": "srt-desk",
                "description": "Set by signing in. What changes something has to come from a page of this origin",
            },
        },
    }


def _case(card: Card) -> Mapping[str, object]:
    return {
        "id": card.url,
        "publisher": {"name": card.publisher_name, "origin": card.publisher_origin, "actor": card.actor},
        "published": card.published_at.isoformat(),
        "updated": card.updated_at.isoformat() if card.updated_at else None,
        "sha256": card.sha256,
        "proof_key": card.proof_key,
        "case": card.case.fields() if card.case else None,
    }


def _json(description: str, schema: Mapping[str, object]) -> dict[str, object]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _body(schema: Mapping[str, object]) -> dict[str, object]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _path(name: str, schema: Mapping[str, object]) -> dict[str, object]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _error() -> dict[str, object]:
    return {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def _received() -> dict[str, object]:
    return {
        "type": "object",
        "required": ["received_on", "state"],
        "properties": {"received_on": {"type": "string", "format": "date"}, "state": {"const": "received"}},
    }
