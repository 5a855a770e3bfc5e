"""The people of the demonstration, as clients of the documented API: a source who seals and sends, staff who open, check and publish.

What they hold in their hands (receipts, passphrases, keys) stays in these objects, as it would stay in their browsers.
"""

import asyncio
import base64
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import httpx

from node.errors import NodeError
from node.sealing.alerts import (
    ComposedAlert,
    OpenedAlert,
    OpenedMailbox,
    compose_alert,
    compose_message,
    open_alert,
    open_attachment,
    open_mailbox,
)
from node.sealing.attachments import File
from node.sealing.manifest import verify_manifest
from node.sealing.objects import ObjectType
from node.sealing.receipts import new_receipt, source_keys
from node.sealing.records import begin_case, compose_record, open_case
from node.sealing.vault import HandlerKeys, derive_login, enrol, open_vault
from vocab.sourceform import Purpose, bundled
from web.demo.sites import Site

MANIFEST = "/.well-known/social-rights-tracker/intake"
VERDICT = re.compile(r'<li data-verdict="([a-z-]+)">.*?#/alerts/([0-9a-f]+)"', re.DOTALL)
LOOK_EVERY = 0.1
Json = dict[str, Any]


class Unexpected(NodeError):
    """A server answered something else than the story expects."""


def today() -> date:
    """The day that sealed objects carry."""
    return datetime.now(UTC).date()


async def _json(response: httpx.Response, *expected: int) -> Any:
    # Any: whatever JSON the API answers; each caller knows its shape.
    if response.status_code not in expected:
        raise Unexpected(
            f"{response.request.method} {response.url} answered {response.status_code}: {response.text[:300]}"
        )
    return response.json() if response.content else None


@dataclass
class Source:
    """Somebody who sends an alert and comes back with the receipt."""

    site: Site
    http: httpx.AsyncClient
    receipt: str = ""
    composed: ComposedAlert | None = None

    async def send(
        self,
        answers: Mapping[str, object],
        identity: Mapping[str, object],
        files: list[File],
        language: str,
        *,
        root: str,
        urgent: bool = False,
    ) -> str:
        """Check who it will be sealed for, seal it, send it; returns the alert's id.

        urgent  through the short form of an organisation that promises an answer: said in clear beside what is sealed.
        """
        origin = self.site.origin
        served = await self.http.get(f"{origin}{MANIFEST}")
        await _json(served, 200)
        manifest = verify_manifest(served.content, node=origin, root=root, now=datetime.now(UTC))
        self.receipt = new_receipt()
        self.composed = compose_alert(
            manifest,
            origin,
            answers,
            identity,
            files,
            self.receipt,
            today(),
            language=language,
            form=bundled(Purpose.URGENT).sha256 if urgent else None,
        )
        for part in self.composed.parts:
            put = await self.http.put(
                f"{origin}/api/v1/uploads/{part.upload}/{part.number}", content=part.data
            )
            await _json(put, 204)
        body = self.composed.body
        if urgent:
            body = json.dumps(json.loads(body) | {"urgent": True}).encode()
        sent = await self.http.post(
            f"{origin}/api/v1/alerts", content=body, headers={"Content-Type": "application/json"}
        )
        await _json(sent, 201)
        return self.composed.id

    async def come_back(self, desk: list[str]) -> tuple[str, OpenedMailbox]:
        """Enter the twelve words: the state, and what the desk asked."""
        keys = source_keys(self.receipt, self.site.origin)
        answered = await self.http.get(f"{self.site.origin}/api/v1/mailbox", headers=self._authorization())
        record = await _json(answered, 200)
        return record["state"], open_mailbox(record, keys, desk=desk)

    async def answer(self, opened: OpenedMailbox, text: str) -> None:
        """Write back."""
        keys = source_keys(self.receipt, self.site.origin)
        message = compose_message(opened, text, by=keys.signing, day=today())
        posted = await self.http.post(
            f"{self.site.origin}/api/v1/mailbox/messages", json=message, headers=self._authorization()
        )
        await _json(posted, 201)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Mailbox {source_keys(self.receipt, self.site.origin).mailbox_token}"}


class Colleague:
    """A member of staff at the desk, with keys that only their own device holds."""

    def __init__(self, site: Site, name: str, roles: list[str], passphrase: str) -> None:
        self.site = site
        self.name = name
        self.roles = roles
        self.passphrase = passphrase
        self.id = ""
        self.keys: HandlerKeys | None = None
        self.http = httpx.AsyncClient(
            base_url=f"{site.origin}/api/v1/desk",
            headers={"Origin": site.origin},
            timeout=60,
            trust_env=False,
        )

    async def join(self, link: str) -> None:
        """Follow a one-time link: keys are made here, the server gets sealed vaults."""
        made = enrol(self.passphrase)
        joined = await self.http.post(
            "/welcome",
            json={
                "token": link.partition("#")[2],
                "name": self.name,
                "salt": _b64(made.salt),
                "auth": _b64(made.auth),
                "vault": _b64(made.vault),
                "recovery_vault": _b64(made.recovery_vault),
                "recovery_auth": _b64(made.recovery_auth),
                "age": made.keys.recipient,
                "ed25519": made.keys.signing.id,
            },
        )
        self.id = (await _json(joined, 201))["id"]

    async def sign_in(self) -> None:
        """Prove the passphrase without sending it, and open the vault."""
        salt = await _json(await self.http.get("/salt", params={"name": self.name}), 200)
        login = derive_login(self.passphrase, base64.b64decode(salt["salt"]))
        session = await _json(
            await self.http.post("/session", json={"name": self.name, "auth": _b64(login.auth)}), 200
        )
        self.id = session["staff"]["id"]
        self.keys = open_vault(base64.b64decode(session["vault"]), login.vault_identity)

    async def invite(self, roles: list[str]) -> str:
        """A one-time link for a colleague."""
        link: str = (await _json(await self.http.post("/staff", json={"roles": roles}), 201))["link"]
        return link

    async def team(self) -> list[Json]:
        """Everybody at the desk, with their public keys."""
        people: list[Json] = await _json(await self.http.get("/staff"), 200)
        return people

    async def promise(self, hours: int) -> None:
        """Promise, by the form of the duty report, that a person answers what is urgent within these hours."""
        form = {"do": "promise", "hours": str(hours)}
        promised = await self.http.post(f"{self.site.origin}/desk/duty", data=form)
        if promised.status_code != 303 or not promised.headers["Location"].endswith("?done=promise"):
            raise Unexpected(f"{self.site.name} could not promise {hours} hours: {promised.status_code}")

    async def verdicts(self) -> dict[str, str]:
        """What the duty report says became of each urgent alert."""
        report = await self.http.get(f"{self.site.origin}/desk/duty", headers={"Accept": "text/html"})
        return {alert: verdict for verdict, alert in VERDICT.findall(report.raise_for_status().text)}

    async def open_alert(self, alert: str) -> OpenedAlert:
        """Open an alert here."""
        record = await _json(await self.http.get(f"/alerts/{alert}"), 200)
        return open_alert(record, self._keys(), node=self.site.origin, staff=await self._voices())

    async def open_attachments(self, alert: str, opened: OpenedAlert) -> list[bytes]:
        """Open the files of an alert here."""
        files = []
        for attachment in opened.submission.attachments if opened.submission else ():
            sealed = await self.http.get(f"/alerts/{alert}/attachments/{attachment.upload}")
            files.append(open_attachment(opened, attachment, sealed.content))
        return files

    async def ask(self, alert: str, text: str) -> None:
        """Ask the source a question."""
        opened = await self.open_alert(alert)
        message = compose_message(opened, text, by=self._keys().signing, day=today())
        await _json(await self.http.post(f"/alerts/{alert}/messages", json=message), 201)

    async def take(self, alert: str) -> str:
        """Take an alert into a case."""
        holders = {one["id"]: one["age"] for one in await self.team() if _works_on_cases(one)}
        case = begin_case(self._keys(), holders, node=self.site.origin)
        await _json(await self.http.post(f"/alerts/{alert}/case", json=case), 201)
        return str(case["id"])

    async def record(self, case: str, kind: ObjectType, body: Mapping[str, object]) -> None:
        """Write a sealed record."""
        shown = await self.case(case)
        opened = open_case(shown, self._keys(), node=self.site.origin, staff=await self._voices())
        record = compose_record(opened, kind, body, by=self._keys().signing, day=today())
        await self.move(case, "records", record, expected=201)

    async def case(self, case: str) -> Json:
        """A case as the desk shows it."""
        shown: Json = await _json(await self.http.get(f"/cases/{case}"), 200)
        return shown

    async def add_picture(self, case: str, data: bytes) -> str:
        """Add a picture to the text that is being written; returns the hash of what the server drew of it."""
        added = await self.http.post(
            f"/cases/{case}/pictures", content=data, headers={"Content-Type": "application/octet-stream"}
        )
        return str((await _json(added, 201))["sha256"])

    async def draft(self, case: str, fields: Mapping[str, object]) -> str:
        """Write the public text; returns its hash."""
        drafted = await _json(await self.http.put(f"/cases/{case}/draft", json={"fields": fields}), 200)
        sha256: str = drafted["draft"]["sha256"]
        return sha256

    async def move(
        self, case: str, move: str, body: Mapping[str, object] | None = None, *, expected: int = 200
    ) -> Json:
        """Make a move on a case."""
        moved: Json = await _json(await self.http.post(f"/cases/{case}/{move}", json=body or {}), expected)
        return moved

    async def write_position(self, url: str, kind: str, text: str) -> str:
        """Write down what the organisation thinks of another's case; returns its id."""
        given = {"case": url, "kind": kind, "language": "en", "text": text}
        drafted: Json = await _json(await self.http.post("/positions", json=given), 200)
        return str(drafted["id"])

    async def publish_position(self, id: str, *, expected: int = 200) -> None:
        """Stand behind it, as a second person."""
        await _json(await self.http.post(f"/positions/{id}/publish", json={}), expected)

    async def show_reply(self, id: str, *, within: float) -> None:
        """Read a reply to a case once it has come, and agree to show it."""
        end = time.monotonic() + within
        while not any(one["id"] == id for one in await _json(await self.http.get("/replies"), 200)):
            if time.monotonic() >= end:
                raise Unexpected(f"{id} did not arrive")
            await asyncio.sleep(LOOK_EVERY)
        text: Json = await _json(await self.http.get("/replies/text", params={"id": id}), 200)
        await _json(await self.http.post("/replies/show", json={"id": id, "sha256": text["sha256"]}), 200)

    async def leave(self) -> None:
        """Sign out."""
        await self.http.delete("/session", headers={"Content-Type": "application/json"})
        await self.http.aclose()

    async def _voices(self) -> list[str]:
        return [one["ed25519"] for one in await self.team()]

    def _keys(self) -> HandlerKeys:
        if self.keys is None:
            raise Unexpected(f"{self.name} is not signed in")
        return self.keys


def _works_on_cases(person: Mapping[str, Any]) -> bool:
    return not {"intake", "verifier"}.isdisjoint(person["roles"])


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
