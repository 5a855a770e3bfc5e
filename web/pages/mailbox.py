"""What a source may do with its mailbox besides reading and answering: say yes or no, prove that it wrote, take everything back."""

from datetime import date
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from node.intake import mailbox
from node.intake.burning import burn
from node.intake.consent import Answer, consents_of, keep_consent
from node.intake.filing import prove_filing
from node.intake.receive import notify_desk
from node.runtime import Node
from node.settings import Settings
from web.pages.intake import consents_shown, token_of
from web.pages.wire import NO_STORE, Seq, Sha256, Wire, answer, read_json, takes


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
    """The addresses beside the mailbox's own."""
    return [
        Route("/api/v1/mailbox", burn_mailbox, methods=["DELETE"]),
        Route("/api/v1/mailbox/consents", post_consent, methods=["POST"]),
        Route("/api/v1/mailbox/proof", post_proof, methods=["POST"]),
    ]


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
