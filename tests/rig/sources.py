"""Sources who wrote, each with the keys of their receipt, and how far their case has come. All of it is fictional."""

import json
from typing import Any

import httpx

from node.casework import consenting, desk, triage
from node.casework.cases import Case
from node.casework.gates import Clearances
from node.intake import consent
from node.intake.manifest import ever_named
from node.intake.receive import SealedWrap
from node.sealing.alerts import ComposedAlert, compose_alert, compose_consent_request, open_mailbox
from node.sealing.attachments import File, SealedUpload
from node.sealing.envelope import from_base64
from node.sealing.manifest import verify_manifest
from node.sealing.receipts import new_receipt
from node.sealing.signing import signing_key
from tests.rig.alerts import a_recipient, case_fields, sealed_to
from tests.rig.keys import ed25519_seed

MANIFEST = "/.well-known/social-rights-tracker/intake"
CASE = "c" * 32


class Source:
    """Somebody who sent an alert, with the words of its receipt."""

    def __init__(self, node: Any, visitor: httpx.AsyncClient, alert: ComposedAlert) -> None:
        self.node, self.visitor, self.alert = node, visitor, alert
        self.headers = {
            "authorization": f"Mailbox {alert.source.mailbox_token}",
            "content-type": "application/json",
        }

    async def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        return await self.visitor.request(
            method, f"/api/v1/mailbox{path}", content=json.dumps(body or {}).encode(), headers=self.headers
        )

    async def say(
        self, answer: str, /, seq: int = 1, text: str | None = None, **changes: Any
    ) -> httpx.Response:
        given = consent.Answer(seq, "publish", answer, text, self.node.clock.now().date(), "")
        signed = consent.statement(given, node=self.node.settings.origin, alert_id=self.alert.id)
        body = {
            "seq": seq,
            "use": "publish",
            "answer": answer,
            "text_sha256": text,
            "day": given.day.isoformat(),
            "signature": self.alert.source.signing.sign(signed),
        }
        return await self.send("POST", "/consents", body | changes)


async def sent(node: Any, visitor: httpx.AsyncClient, *files: File, receipt: str | None = None) -> Source:
    """A source whose alert has arrived."""
    alert = await composed(node, visitor, *files, receipt=receipt)
    for part in alert.parts:
        await visitor.put(f"/api/v1/uploads/{part.upload}/{part.number}", content=part.data)
    assert (await visitor.post("/api/v1/alerts", content=alert.body)).status_code == 201
    return Source(node, visitor, alert)


async def put_parts(visitor: httpx.AsyncClient, file: SealedUpload) -> None:
    """Bring the parts of one sealed file."""
    for part in file.parts:
        await visitor.put(f"/api/v1/uploads/{part.upload}/{part.number}", content=part.data)


async def composed(
    node: Any, visitor: httpx.AsyncClient, *files: File, receipt: str | None = None
) -> ComposedAlert:
    body = (await visitor.get(MANIFEST)).content
    origin = node.settings.origin
    manifest = verify_manifest(body, node=origin, root=node.keyring.root_id, now=node.clock.now())
    return compose_alert(
        manifest,
        origin,
        {"summary": "Fictional"},
        {},
        files,
        receipt or new_receipt(),
        node.clock.now().date(),
    )


async def draft_sha256(session: Any) -> str:
    case = await session.get(Case, CASE)
    return str(case.draft_sha256)


async def in_review(node: Any, people: list[Any], source: Source, *, submit: bool = True) -> None:
    ana, boris = people
    now = node.clock.now()
    internal = a_recipient("internal")
    async with node.database.begin() as session:
        wraps = [SealedWrap("internal", one.id, sealed_to(one.age, {})) for one in people]
        await triage.open_case(
            session, source.alert.id, case_id=CASE, internal=internal, wraps=wraps, by=ana, now=now
        )
        await desk.put_record(
            session, CASE, seq=1, kind="check", sealed=sealed_to(internal, {}), by=ana, now=now
        )
        await desk.propose(session, CASE, "P3", by=ana, now=now)
        await desk.confirm(session, CASE, by=boris, now=now)
        await desk.save_draft(session, CASE, case_fields(), by=ana, now=now)
        if submit:
            await desk.submit(session, CASE, Clearances(consent=True), by=ana, now=now)


async def asks_about_the_draft(node: Any, by: Any, source: Source) -> str:
    """Somebody of the desk asks, in their own hand, about the draft as it reads now; returns the hash of the text."""
    async with node.database.begin() as session:
        record = (await source.send("GET", "")).json()
        opened = open_mailbox(record, source.alert.source, desk=await ever_named(session))
        draft = (await session.get(Case, CASE)).draft
        now = node.clock.now()
        own = signing_key(ed25519_seed(f"person {by.name}"))
        asked = compose_consent_request(opened, draft, by=own, day=now.date())
        await consenting.ask_about_text(
            session,
            CASE,
            seq=opened.at.seq,
            sealed=from_base64(asked["sealed"]),
            text_sha256=str(asked["text_sha256"]),
            by=by,
            now=now,
        )
    return str(asked["text_sha256"])
