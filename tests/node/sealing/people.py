"""Made-up people, manifests and records for the sealing tests. All of it is fictional."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from federation.keys import PrivateKey, Signer, generate_ed25519
from node.sealing.alerts import ComposedAlert
from node.sealing.manifest import Handler, Manifest, VerifiedManifest, sign_manifest, verify_manifest
from node.sealing.recipients import generate_identity, recipient_of
from node.sealing.signing import generate_signing_key
from node.sealing.vault import HandlerKeys

NODE = "https://a.example"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = date(2026, 11, 21)


@dataclass(frozen=True)
class Root:
    key: PrivateKey

    @property
    def id(self) -> str:
        return self.key.public.multibase

    @property
    def signer(self) -> Signer:
        return self.key.signer(self.id)


def a_root() -> Root:
    return Root(generate_ed25519())


def a_person() -> HandlerKeys:
    identity = generate_identity()
    return HandlerKeys(identity, recipient_of(identity), generate_signing_key())


def handler(name: str, keys: HandlerKeys, *, custodian: bool = False) -> Handler:
    return Handler(name, keys.recipient, keys.signing.id, custodian)


def terms(handlers: Sequence[Handler], root: Root, /, **changes: Any) -> Manifest:
    manifest = Manifest(
        node=NODE,
        organisation="An association (fictional)",
        epoch=1,
        not_before=datetime(2026, 11, 20, tzinfo=UTC),
        not_after=datetime(2026, 12, 11, tzinfo=UTC),
        handlers=tuple(handlers),
        recovery=None,
        bundle_sha256=None,
        previous=None,
        root=root.id,
    )
    return replace(manifest, **changes)


def a_manifest(handlers: Sequence[Handler], root: Root, /, **changes: Any) -> VerifiedManifest:
    body = sign_manifest(terms(handlers, root, **changes), root.signer)
    return verify_manifest(body, node=NODE, root=root.id, now=NOW)


def as_record(
    composed: ComposedAlert, holder: str, later: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """What the server hands a holder of an alert: its own wraps, every object, and the dialogue since."""
    body = json.loads(composed.body)
    added = [{"compartment": "dialogue"} | dict(one) for one in later]
    return {
        "id": body["id"],
        "state": "received",
        "received_on": DAY.isoformat(),
        "source": body["source"],
        "compartments": body["compartments"],
        "wraps": [wrap for wrap in body["wraps"] if wrap["holder"] == holder],
        "objects": [*body["objects"], *added],
        "attachments": body["attachments"],
    }
