"""The sealed-alert API: the signed list of keys, the forms by their hash, uploads in parts, and the alert itself.

Bodies are ciphertext; nothing here decides about them, and nobody who sends is known. The structs are what is documented at
/api/openapi.json.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from node import audit
from node.casework.team import intake_terms
from node.intake import uploads
from node.intake.alerts import Alert, Mode
from node.intake.forms import form_of
from node.intake.manifest import (
    DoorClosed,
    IntakeManifest,
    Terms,
    current_manifest,
    latest_manifest,
    manifest_of,
    served_manifest,
)
from node.intake.parts import store_part
from node.intake.pressure import Pressure, WorkNeeded
from node.intake.receive import SealedAlert, SealedPiece, SealedWrap, judge_alert, receive_alert
from node.intake.tickets import Tickets
from node.intake.uploads import MAX_FILE_BYTES, MAX_FILES, MAX_PART_BYTES, MAX_PARTS, SealedFile
from node.runtime import Node
from node.settings import Settings
from web.pages.squeezing import squeezed
from web.pages.wire import (
    MAX_JSON_BYTES,
    NO_STORE,
    Holder,
    Id,
    KeyId,
    Recipient,
    Sealed,
    Seq,
    Sha256,
    Wire,
    answer,
    parse,
    path_id,
    read_bytes,
    takes,
)

MANIFEST = "/.well-known/social-rights-tracker/intake"
MAX_WRAPS = 400


class Source(Wire, frozen=True):
    """The keys a receipt derives to: they open answers, and prove that a message is the source's."""

    age: Recipient
    ed25519: KeyId


class Compartments(Wire, frozen=True):
    """The recipients of the two compartments every alert has."""

    dialogue: Recipient
    identity: Recipient


class NewWrap(Wire, frozen=True):
    """A compartment's identity, sealed to one holder: a handler's id, `source` or `recovery`."""

    compartment: Annotated[str, msgspec.Meta(pattern="^(dialogue|identity)$", max_length=8)]
    holder: Holder
    sealed: Sealed


class NewPiece(Wire, frozen=True):
    """The submission (dialogue) or the identity fields (identity), sealed to that compartment."""

    compartment: Annotated[str, msgspec.Meta(pattern="^(dialogue|identity)$", max_length=8)]
    seq: Seq
    sealed: Sealed


class NewAttachment(Wire, frozen=True):
    """A sealed file that was uploaded in parts; size and hash are of the ciphertext."""

    upload: Id
    parts: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)]
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_FILE_BYTES)]
    sha256: Sha256


class NewAlert(Wire, frozen=True):
    """A sealed alert."""

    v: Annotated[int, msgspec.Meta(ge=1, le=1)]
    id: Id
    manifest: Sha256
    mailbox: Sha256
    source: Source
    compartments: Compartments
    wraps: Annotated[tuple[NewWrap, ...], msgspec.Meta(max_length=MAX_WRAPS)]
    objects: Annotated[tuple[NewPiece, ...], msgspec.Meta(max_length=2)]
    attachments: Annotated[tuple[NewAttachment, ...], msgspec.Meta(max_length=MAX_FILES)] = ()
    urgent: Annotated[
        bool,
        msgspec.Meta(
            description="Said in clear by the short form of an organisation that promises an answer within hours; "
            "kept with the hour of arrival where one does, and else passed over."
        ),
    ] = False


def routes(_settings: Settings) -> list[BaseRoute]:
    """The addresses a client of a source sends to."""
    return [
        Route(MANIFEST, manifest),
        Route("/api/v1/uploads/{upload}/{part:int}", put_part, methods=["PUT"]),
        Route("/api/v1/work", work_now),
        Route("/api/v1/forms/{sha256}", show_form),
        Route("/api/v1/alerts", post_alert, methods=["POST"]),
    ]


async def manifest(request: Request) -> Response:
    """The signed list of people alerts are sealed to; 503 while the door is closed.

    With `?sha256=` an earlier list by its hash: who wrote to a source may have left since. With `?latest` the last one that was
    signed, also while the door is closed: a mailbox stays, and is read with it.
    """
    node: Node = request.app.state.node
    wanted = request.query_params.get("sha256")
    if wanted is not None:
        async with node.database.read() as session:
            earlier = await manifest_of(session, wanted)
        if earlier is None:
            raise HTTPException(404)
        return Response(earlier.body, media_type="application/json", headers=NO_STORE)
    try:
        current = await manifest_now(node)
    except DoorClosed as error:
        last = await _last_manifest(node) if "latest" in request.query_params else None
        if last is None:
            return _closed(error)
        current = last
    return squeezed(Response(current.body, media_type="application/json", headers=NO_STORE), request.headers)


async def show_form(request: Request) -> Response:
    """A form by its hash: what an alert that names it was asked."""
    node: Node = request.app.state.node
    async with node.database.read() as session:
        found = await form_of(session, request.path_params["sha256"])
    # Its hash is its address, so it never changes.
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.body, media_type="application/json", headers=headers)


async def put_part(request: Request) -> Response:
    """One part of a sealed file. Repeating it is harmless."""
    node: Node = request.app.state.node
    upload, part = path_id(request, "upload"), int(request.path_params["part"])
    if part >= MAX_PARTS:
        raise HTTPException(413)
    body = await read_bytes(request, max_bytes=MAX_PART_BYTES)
    waiting = await store_part(node, upload=upload, part=part, body=body)
    pressure: Pressure = request.app.state.pressure
    pressure.weigh(waiting, now=node.clock.now())
    return Response(status_code=204, headers=NO_STORE)


@takes(NewAlert)
async def post_alert(request: Request) -> Response:
    """A sealed alert: 201, or 200 with the same answer when these bytes are known already."""
    node: Node = request.app.state.node
    body = await read_bytes(request, max_bytes=MAX_JSON_BYTES)
    pressure: Pressure = request.app.state.pressure
    now = node.clock.now()
    try:
        given = parse(body, NewAlert)
        pressure.require(
            request.headers.get("work", ""), node=node.settings.origin, alert_id=given.id, now=now
        )
        alert, is_new = await take_in(node, body)
    except DoorClosed as error:
        return _closed(error)
    except WorkNeeded as error:
        return work_asked(error)
    if is_new:
        pressure.count(now=now)
    return answer({"received_on": alert.received_on.isoformat(), "state": "received"}, 201 if is_new else 200)


async def work_now(request: Request) -> Response:
    """What a sending costs at present, nothing on an ordinary day: leading zero bits of work; at the doors without scripts a ticket
    that has waited for so many seconds."""
    node: Node = request.app.state.node
    pressure: Pressure = request.app.state.pressure
    now = node.clock.now()
    tickets: Tickets = request.app.state.tickets
    wait = int(pressure.wait(now=now).total_seconds())
    return answer({"bits": pressure.bits(now=now), "ticket": tickets.issue(now=now), "wait_seconds": wait})


async def take_in(
    node: Node, body: bytes, *, mode: Mode = Mode.SEALED, urgent: bool = False, by: str | None = None
) -> tuple[Alert, bool]:
    """Judge and store the JSON of an alert, by whatever door it came; returns it, and whether it is new.

    urgent  the door knows that it is, whether or not the JSON says so.
    by      who of the staff entered it: put on record with the alert, or neither is kept.
    Raises DoorClosed, UnknownManifest, Conflict, Invalid, TooLarge.
    """
    given = parse(body, NewAlert)
    sealed = _sealed_alert(
        given, request_sha256=hashlib.sha256(body).hexdigest(), urgent=urgent or given.urgent
    )
    async with node.database.read() as session:
        known = await judge_alert(session, sealed, await terms_now(session, node), now=node.clock.now())
        if known is None:
            await uploads.check_files(session, node.blobs, sealed.attachments)
    async with node.database.begin() as session:
        terms = await terms_now(session, node)
        now = node.clock.now()
        alert, is_new = await receive_alert(session, sealed, terms, now=now, mode=mode)
        if is_new and by is not None:
            await audit.record(session, actor=by, action="alert.entered", subject=alert.id, now=now)
    await node.bell.ring()
    return alert, is_new


async def manifest_now(node: Node) -> IntakeManifest:
    """The list of keys to seal to now. Raises DoorClosed.

    Read first: a page that everybody may ask for takes the database's one place to write only when a list is due.
    """
    now = node.clock.now()
    async with node.database.read() as session:
        terms = await terms_now(session, node)
        root_id = node.keyring.root_id if node.keyring.has_root else None
        served = await served_manifest(session, terms, root=root_id, now=now)
    if served is not None:
        return served
    root = node.keyring.root() if node.keyring.has_root else None
    async with node.database.begin() as session:
        return await current_manifest(session, await terms_now(session, node), root=root, now=now)


async def _last_manifest(node: Node) -> IntakeManifest | None:
    async with node.database.read() as session:
        return await latest_manifest(session)


async def terms_now(session: AsyncSession, node: Node) -> Terms:
    """What a list of keys would say now."""
    return await intake_terms(session, node.settings, bundle_sha256=bundle_sha256())


def sealed_files(given: Sequence[NewAttachment]) -> list[SealedFile]:
    """The files a body names, as `node.intake.uploads` takes them."""
    return [SealedFile(file.upload, file.parts, file.size, file.sha256) for file in given]


def work_asked(error: WorkNeeded) -> JSONResponse:
    """428, with how much work is asked for."""
    return answer({"error": error.public, "bits": error.bits}, 428)


@cache
def bundle_sha256() -> str | None:
    """SHA-256 of the list of the browser bundle's files, which names each one's own hash; None before it is built."""
    listing = files("web").joinpath("static", "built", "manifest.json")
    return hashlib.sha256(listing.read_bytes()).hexdigest() if listing.is_file() else None


def _sealed_alert(alert: NewAlert, *, request_sha256: str, urgent: bool) -> SealedAlert:
    return SealedAlert(
        id=alert.id,
        request_sha256=request_sha256,
        manifest=alert.manifest,
        mailbox=alert.mailbox,
        source_age=alert.source.age,
        source_ed25519=alert.source.ed25519,
        dialogue=alert.compartments.dialogue,
        identity=alert.compartments.identity,
        wraps=[SealedWrap(wrap.compartment, wrap.holder, wrap.sealed) for wrap in alert.wraps],
        objects=[SealedPiece(piece.compartment, piece.seq, piece.sealed) for piece in alert.objects],
        attachments=sealed_files(alert.attachments),
        urgent=urgent,
    )


def _closed(error: DoorClosed) -> JSONResponse:
    return JSONResponse({"error": error.public, "code": "door-closed"}, 503, NO_STORE)
