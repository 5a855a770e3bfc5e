"""A source's mailbox, as an API: read it, answer, fetch files, say yes or no, prove that it wrote, take everything back."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from node.intake import mailbox, uploads
from node.intake.alerts import Consent
from node.intake.burning import burn
from node.intake.consent import Answer, consents_of, keep_consent
from node.intake.filing import prove_filing
from node.intake.pressure import Pressure, WorkNeeded
from node.intake.receive import notify_desk
from node.intake.uploads import MAX_FILES
from node.runtime import Node
from node.settings import Settings
from web.pages.sending import NewAttachment, sealed_files, work_asked
from web.pages.wire import NO_STORE, Sealed, Seq, Sha256, Wire, answer, b64, path_id, read_json, takes

TOKEN = re.compile(r"Mailbox ([0-9a-f]{64})")


class NewMessage(Wire, frozen=True):
    """One more message of a dialogue, and the files it brings; `seq` is the place after the last one."""

    seq: Seq
    sealed: Sealed
    attachments: Annotated[tuple[NewAttachment, ...], msgspec.Meta(max_length=MAX_FILES)] = ()


class NewConsent(Wire, frozen=True):
    """An answer about a use, signed with the key of the receipt."""

    seq: Seq
    use: Annotated[str, msgspec.Meta(pattern="^(publish|share)$", max_length=8)]
    answer: Annotated[str, msgspec.Meta(pattern="^(yes|no)$", max_length=3)]
    day: date
    signature: Annotated[str, msgspec.Meta(min_length=88, max_length=88)]
    text_sha256: Sha256 | None = None


class NewProof(Wire, frozen=True):
    """A nonce of the source's own: it hides which alert a proof is about."""

    nonce: Sha256


def routes(settings: Settings) -> list[BaseRoute]:
    """The mailbox's addresses."""
    return [
        Route("/api/v1/mailbox", get_mailbox),
        Route("/api/v1/mailbox/messages", post_message, methods=["POST"]),
        Route("/api/v1/mailbox/attachments/{upload}/{part:int}", get_part),
        Route("/api/v1/mailbox", burn_mailbox, methods=["DELETE"]),
        Route("/api/v1/mailbox/consents", post_consent, methods=["POST"]),
        Route("/api/v1/mailbox/proof", post_proof, methods=["POST"]),
    ]


async def get_mailbox(request: Request) -> Response:
    """What a receipt opens: the source's own wraps, and the dialogue so far."""
    node: Node = request.app.state.node
    async with node.database.read() as session:
        found = await mailbox.open_mailbox(session, token_of(request))
        consents = await consents_of(session, found.alert.id)
    return answer(
        {
            "id": found.alert.id,
            "state": found.alert.state,
            "received_on": found.alert.received_on.isoformat(),
            "mode": found.alert.mode,
            "is_blocked": found.alert.is_blocked,
            "consents": consents_shown(consents),
            **sealed_parts(found),
        }
    )


@takes(NewMessage)
async def post_message(request: Request) -> Response:
    """A message of the source; 409 when its place is taken. Files cost the same work as an alert does."""
    node: Node = request.app.state.node
    pressure: Pressure = request.app.state.pressure
    message = await read_json(request, NewMessage)
    files = sealed_files(message.attachments)
    token, now = token_of(request), node.clock.now()
    if files:
        async with node.database.read() as session:
            alert = await mailbox.find_alert(session, token)
            try:
                pressure.require(
                    request.headers.get("work", ""), node=node.settings.origin, alert_id=alert.id, now=now
                )
            except WorkNeeded as error:
                return work_asked(error)
            await uploads.check_files(session, node.blobs, files)
    async with node.database.begin() as session:
        await mailbox.answer(session, token, seq=message.seq, sealed=message.sealed, files=files, now=now)
    if files:
        pressure.count(now=now)
    await node.bell.ring()
    return Response(status_code=201, headers=NO_STORE)


async def get_part(request: Request) -> Response:
    """One part of a sealed file of the exchange; 404 for another mailbox's, as for one that never was."""
    node: Node = request.app.state.node
    upload, part = path_id(request, "upload"), int(request.path_params["part"])
    async with node.database.read() as session:
        alert = await mailbox.find_alert(session, token_of(request))
        names = await uploads.part_blobs(session, alert.id, upload)
    if part >= len(names):
        raise HTTPException(404)
    return StreamingResponse(
        node.blobs.stream(names[part]), media_type="application/octet-stream", headers=NO_STORE
    )


async def burn_mailbox(request: Request) -> Response:
    """Delete everything of this source, keys first: 204. Afterwards the words find nothing, as words that never were."""
    await burn_all(request.app.state.node, token_of(request))
    return Response(status_code=204, headers=NO_STORE)


async def burn_all(node: Node, token: bytes) -> None:
    """Delete what a token opens: keys first, then what they opened, then its files. Raises NotFound."""
    async with node.database.begin() as session:
        alert = await mailbox.find_alert(session, token, for_update=True)
        blobs = await burn(session, alert)
        await notify_desk(session, now=node.clock.now())
    for name in blobs:
        await node.blobs.delete(name)
    await node.database.cut_log()
    await node.bell.ring()


@takes(NewConsent)
async def post_consent(request: Request) -> Response:
    """Yes or no: 201 with every answer so far; 409 when its place is taken."""
    node: Node = request.app.state.node
    given = await read_json(request, NewConsent, max_bytes=4096)
    now = node.clock.now()
    async with node.database.begin() as session:
        alert = await mailbox.find_alert(session, token_of(request), for_update=True)
        stated = Answer(given.seq, given.use, given.answer, given.text_sha256, given.day, given.signature)
        await keep_consent(session, alert, stated, node=node.settings.origin, now=now)
        await notify_desk(session, now=now)
        shown = consents_shown(await consents_of(session, alert.id))
    await node.bell.ring()
    return answer({"consents": shown}, 201)


@takes(NewProof)
async def post_proof(request: Request) -> Response:
    """A signed statement that something was filed, for the source to keep or to throw away."""
    node: Node = request.app.state.node
    given = await read_json(request, NewProof, max_bytes=4096)
    async with node.database.read() as session:
        alert = await mailbox.find_alert(session, token_of(request))
    settings = node.settings
    proof = prove_filing(
        alert,
        bytes.fromhex(given.nonce),
        node=settings.origin,
        organisation=settings.organisation,
        signer=node.keyring.signer(settings.main_actor, "ed25519"),
    )
    return answer(proof)


def sealed_parts(found: mailbox.Contents) -> dict[str, Sequence[dict[str, object]]]:
    """Wraps, objects and attachments as both doors hand them out."""
    return {
        "wraps": [
            {"compartment": wrap.compartment, "epoch": wrap.epoch, "sealed": b64(wrap.sealed)}
            for wrap in found.wraps
        ],
        "objects": [
            {
                "compartment": piece.compartment,
                "seq": piece.seq,
                "author": piece.author,
                "posted_on": piece.posted_on.isoformat(),
                "sealed": b64(piece.sealed),
            }
            for piece in found.objects
        ],
        "attachments": [
            {"upload": file.upload, "parts": file.parts, "size": file.size, "sha256": file.sha256}
            for file in found.attachments
        ],
    }


def consents_shown(consents: Sequence[Consent]) -> list[dict[str, object]]:
    """What a source answered, first to last, with what proves it."""
    return [
        {
            "seq": one.seq,
            "use": one.use,
            "answer": one.answer,
            "text_sha256": one.text_sha256,
            "day": one.answered_on.isoformat(),
            "signature": one.signature,
        }
        for one in consents
    ]


def token_of(request: Request) -> bytes:
    # A header that is not well formed is one more wrong token: the same work, the same answer.
    match = TOKEN.fullmatch(request.headers.get("authorization", ""))
    return bytes.fromhex(match[1]) if match else b""
