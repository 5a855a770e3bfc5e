"""Builders for what people send: members of staff with real keys, sealed objects, whole alerts. All of it is fictional."""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from federation.keys import PrivateKey
from node.casework.access import GivenWrap, statement_of
from node.casework.team import intake_terms
from node.database import Database
from node.intake.manifest import IntakeManifest, Terms, current_manifest, required_holders
from node.intake.receive import SealedAlert, SealedPiece, SealedWrap
from node.intake.uploads import SealedFile
from node.sealing.age import seal
from node.sealing.recipients import identity_from_seed, recipient_of
from node.sealing.signing import sign
from node.settings import Settings
from node.staff.accounts import Enrolment, Staff, enrol, invite
from tests.rig.clock import NOON
from tests.rig.keys import ed25519_key, keyring
from vocab.canonical import canonical

PAD = 4096


@dataclass(frozen=True)
class Person:
    """A member of staff, seen from their own browser: the server never has `identity` or `signing`."""

    name: str
    identity: str
    recipient: str
    signing: PrivateKey

    @property
    def auth(self) -> bytes:
        return seeded(f"auth {self.name}")

    @property
    def recovery_auth(self) -> bytes:
        return seeded(f"recovery auth {self.name}")


@cache
def a_person(name: str = "Ana") -> Person:
    """A person with keys of their own, always the same for a name."""
    identity = identity_from_seed(seeded(f"age {name}"))
    return Person(name, identity, recipient_of(identity), ed25519_key(f"person {name}"))


def an_enrolment(name: str = "Ana", /, **changes: Any) -> Enrolment:
    """What that person's browser hands in at the welcome page."""
    person = a_person(name)
    vault = sealed_to(person.recipient, {"v": 1})
    enrolment = Enrolment(
        name=name,
        salt=seeded(f"salt {name}")[:16],
        auth=person.auth,
        vault=vault,
        recovery_vault=vault,
        age=person.recipient,
        ed25519=person.signing.public.multibase,
        recovery_auth=person.recovery_auth,
    )
    return replace(enrolment, **changes)


async def a_member(
    session: AsyncSession,
    name: str = "Ana",
    roles: Iterable[str] = ("intake", "verifier"),
    *,
    now: datetime = NOON,
) -> Staff:
    """A member of staff, invited and enrolled."""
    token = await invite(session, roles=roles, by=None, now=now)
    return await enrol(session, an_enrolment(name), token=token, now=now)


@dataclass(frozen=True)
class Door:
    """An open door: its database, the people behind it, and the list of their keys."""

    database: Database
    ana: Staff
    boris: Staff
    terms: Terms
    manifest: IntakeManifest


async def an_open_door(database: Database, *, now: datetime = NOON) -> Door:
    """Two people who read alerts, and the manifest that names them."""
    async with database.begin() as session:
        ana, boris = await a_member(session, "Ana", now=now), await a_member(session, "Boris", now=now)
        terms = await intake_terms(session, Settings(origin="https://a.example", name="Sample (fictional)"))
        manifest = await current_manifest(session, terms, root=keyring("a").root(), now=now)
    return Door(database, ana, boris, terms, manifest)


def seeded(label: str) -> bytes:
    """32 bytes that look random and are always the same for a label."""
    return hashlib.sha256(f"a fictional secret: {label}".encode()).digest()


@cache
def a_recipient(label: str = "a compartment") -> str:
    """A hybrid recipient, always the same for a label."""
    return recipient_of(identity_from_seed(seeded(label)))


def padded(value: object) -> bytes:
    """Canonical JSON and spaces up to the next step of 4096 bytes."""
    plain = canonical(value)
    return plain + b" " * (-len(plain) % PAD)


def sealed_to(recipient: str, value: object) -> bytes:
    """An age file of padded canonical JSON."""
    return seal(padded(value), recipient)


def an_alert(manifest: IntakeManifest, label: str = "one", /, **changes: Any) -> SealedAlert:
    """A sealed alert to the people of this manifest; `label` makes ids and keys, `changes` replace fields."""
    dialogue, identity = a_recipient(f"dialogue {label}"), a_recipient(f"identity {label}")
    people = {handler.id: handler.age for handler in manifest.handlers()} | {
        "source": a_recipient(f"source {label}"),
        "recovery": manifest.terms()["recovery"],
    }
    alert = SealedAlert(
        id=seeded(f"id {label}").hex()[:32],
        request_sha256="",
        manifest=manifest.sha256,
        mailbox=hashlib.sha256(mailbox_token(label)).hexdigest(),
        source_age=people["source"],
        source_ed25519=ed25519_key(f"source {label}").public.multibase,
        dialogue=dialogue,
        identity=identity,
        wraps=tuple(
            SealedWrap(compartment, holder, sealed_to(people[holder], {"of": compartment}))
            for compartment, holders in required_holders(manifest).items()
            for holder in sorted(holders)
        ),
        objects=(
            SealedPiece("dialogue", 1, sealed_to(dialogue, {"body": f"submission {label}"})),
            SealedPiece("identity", 1, sealed_to(identity, {"body": {}})),
        ),
    )
    alert = replace(alert, **changes)
    return replace(alert, request_sha256=hashlib.sha256(json.dumps(as_request(alert)).encode()).hexdigest())


def as_request(alert: SealedAlert) -> dict[str, Any]:
    """The JSON of POST /api/v1/alerts."""
    return {
        "v": 1,
        "id": alert.id,
        "manifest": alert.manifest,
        "mailbox": alert.mailbox,
        "source": {"age": alert.source_age, "ed25519": alert.source_ed25519},
        "compartments": {"dialogue": alert.dialogue, "identity": alert.identity},
        "wraps": [
            {"compartment": wrap.compartment, "holder": wrap.holder, "sealed": b64(wrap.sealed)}
            for wrap in alert.wraps
        ],
        "objects": [
            {"compartment": piece.compartment, "seq": piece.seq, "sealed": b64(piece.sealed)}
            for piece in alert.objects
        ],
        "attachments": [
            {"upload": file.upload, "parts": file.parts, "size": file.size, "sha256": file.sha256}
            for file in alert.attachments
        ],
    }


def mailbox_token(label: str = "one") -> bytes:
    """The token that opens the mailbox of that alert."""
    return seeded(f"token {label}")


def a_file(parts: Sequence[bytes], label: str = "a file") -> SealedFile:
    """The attachment these parts make."""
    whole = b"".join(parts)
    return SealedFile(
        upload=seeded(f"upload {label}").hex()[:32],
        parts=len(parts),
        size=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
    )


def case_fields(**changes: Any) -> dict[str, Any]:
    """The public fields of a fictional case that passes every gate under P3."""
    day = date(2026, 3, 2).isoformat()
    return {
        "kind": "violation",
        "language": "en",
        "title": {"en": "Families kept for years in emergency rooms"},
        "summary": {
            "en": "In one region families with children stay in a single room for more than two years. "
            "The placement was meant to last three months. No larger flats are offered."
        },
        "state": "IE",
        "provisions": ["16", "31.2"],
        "violation_types": ["availability", "delay"],
        "groups": ["people-in-poverty"],
        "scale": "100-999",
        "actors": ["local-authority"],
        "started_on": "2024-09",
        "ongoing": True,
        "evidence_types": ["testimony", "statistics"],
        "standard": "P3",
        "verification": "documented",
        "verification_statement": {
            "en": "Checked by two people against published figures and separate interviews."
        },
        "status": "active",
        "status_date": day,
        "fictional": True,
    } | changes


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def a_given_wrap(
    of: str,
    compartment: str,
    holder: Staff,
    *,
    by: Person,
    origin: str = "https://a.example",
    day: date | None = None,
    **changes: Any,
) -> GivenWrap:
    """One key on its way from one person to another, with its signed grant."""
    wrap = GivenWrap(
        compartment=compartment,
        epoch=1,
        holder=holder.id,
        sealed=sealed_to(holder.age, {"of": compartment}),
        day=day or NOON.date(),
        signature="",
    )
    wrap = replace(wrap, **changes)
    by_key = by.signing.public.multibase
    statement = statement_of(origin, of, wrap, recipient=holder.age, given_by=by_key)
    return replace(wrap, signature=sign(statement, by.signing.signer(by_key)))
