"""The intake manifest: who can open what is sealed on a node, signed by the organisation's root key.

This is the reader's side and the bytes; which people stand in it is decided elsewhere. A server that swaps in keys of
its own cannot sign them.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from federation.keys import Signer
from node.sealing.envelope import Document
from node.sealing.errors import (
    ManifestExpired,
    ManifestForked,
    ManifestMalformed,
    ManifestNotHybrid,
    ManifestNotYetValid,
    ManifestOtherNode,
    ManifestTooFewHandlers,
    ManifestWrongRoot,
    ManifestWrongSignature,
)
from node.sealing.objects import Compartment
from node.sealing.recipients import is_hybrid_recipient
from node.sealing.signing import holds, is_key_id, sign
from vocab.canonical import canonical
from vocab.errors import NotCanonical

LONGEST = timedelta(days=30)
FEWEST_HANDLERS = 2
MEMBERS = frozenset(
    {
        *("v", "node", "organisation", "epoch", "not_before", "not_after", "handlers"),
        *("recovery", "bundle_sha256", "previous", "root", "signature"),
    }
)
HANDLER_MEMBERS = frozenset({"id", "age", "ed25519", "custodian"})
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


@dataclass(frozen=True)
class Handler:
    """A member of staff who opens alerts; a custodian opens identities."""

    id: str
    age: str
    ed25519: str
    custodian: bool


@dataclass(frozen=True)
class Manifest:
    """A manifest. `root` is the key id of the organisation's root; times are aware UTC, to the second."""

    node: str
    organisation: str
    epoch: int
    not_before: datetime
    not_after: datetime
    handlers: tuple[Handler, ...]
    recovery: str | None
    bundle_sha256: str | None
    previous: str | None
    root: str

    def holders(self, compartment: Compartment) -> tuple[Handler, ...]:
        """Return who gets a compartment's key: custodians alone hold identities, where any are named."""
        custodians = tuple(handler for handler in self.handlers if handler.custodian)
        return custodians if compartment is Compartment.IDENTITY and custodians else self.handlers


@dataclass(frozen=True)
class VerifiedManifest:
    """A manifest that was verified, with the hash of its exact bytes."""

    manifest: Manifest
    sha256: str


def sign_manifest(manifest: Manifest, root: Signer) -> bytes:
    """Return the canonical bytes with the root's signature."""
    terms = _write(manifest)
    return canonical(terms | {"signature": sign(terms, root)})


def verify_manifest(body: bytes, *, node: str, root: str, now: datetime) -> VerifiedManifest:
    """Read a manifest and believe it only when every condition holds.

    root  key id of the organisation's root, known from elsewhere.
    Raises the family of ManifestRefused, one error for each condition.
    """
    document, manifest = _read(body)
    if manifest.root != root:
        raise ManifestWrongRoot("another root")
    signature = document.pop("signature")
    if not holds(document, signature, root):
        raise ManifestWrongSignature("not signed by its root")
    if manifest.node != node:
        raise ManifestOtherNode("made for another node")
    if not timedelta() < manifest.not_after - manifest.not_before <= LONGEST:
        raise ManifestMalformed("its validity is longer than thirty days")
    if now < manifest.not_before:
        raise ManifestNotYetValid("its time has not come")
    if now >= manifest.not_after:
        raise ManifestExpired("its time is over")
    # Different people, not one person under two names.
    people = manifest.handlers
    distinct = min(len({getattr(one, name) for one in people}) for name in ("id", "age", "ed25519"))
    if distinct < FEWEST_HANDLERS or distinct != len(people):
        raise ManifestTooFewHandlers("fewer than two different people")
    recipients = [*(one.age for one in people), *([manifest.recovery] if manifest.recovery else [])]
    if not all(map(is_hybrid_recipient, recipients)):
        raise ManifestNotHybrid("a recipient that is not hybrid")
    return VerifiedManifest(manifest, hashlib.sha256(body).hexdigest())


def named_in(body: bytes) -> Manifest:
    """Read what a manifest says of itself, before anything of it is believed. Raises ManifestMalformed."""
    return _read(body)[1]


def check_succession(older: VerifiedManifest, newer: VerifiedManifest) -> None:
    """Raise ManifestForked unless `newer` may follow `older`: the same bytes, the next link, or a later epoch."""
    is_same = newer.sha256 == older.sha256
    is_next = newer.manifest.epoch == older.manifest.epoch + 1 and newer.manifest.previous == older.sha256
    is_later = newer.manifest.epoch > older.manifest.epoch + 1
    is_same_line = (newer.manifest.root, newer.manifest.node) == (older.manifest.root, older.manifest.node)
    if not is_same_line or not (is_same or is_next or is_later):
        raise ManifestForked("two lists for one time, or a broken chain")


def _write(manifest: Manifest) -> Document:
    return {
        "v": 1,
        "node": manifest.node,
        "organisation": manifest.organisation,
        "epoch": manifest.epoch,
        "not_before": _spell(manifest.not_before),
        "not_after": _spell(manifest.not_after),
        "handlers": [
            {"id": one.id, "age": one.age, "ed25519": one.ed25519, "custodian": one.custodian}
            for one in manifest.handlers
        ],
        "recovery": manifest.recovery,
        "bundle_sha256": manifest.bundle_sha256,
        "previous": manifest.previous,
        "root": manifest.root,
    }


def _read(body: bytes) -> tuple[Document, Manifest]:
    try:
        document = json.loads(body)
        # One spelling: its hash names it, and repeated members have no place.
        if not isinstance(document, dict) or canonical(document) != body:
            raise ManifestMalformed("not canonical")
    except (ValueError, RecursionError, NotCanonical) as error:
        raise ManifestMalformed("not JSON") from error
    handlers = document.get("handlers")
    if (
        document.keys() != MEMBERS
        or document["v"] != 1
        or type(document["epoch"]) is not int
        or not all(isinstance(document[name], str) for name in ("node", "organisation", "root"))
        or not all(
            document[name] is None or isinstance(document[name], str)
            for name in ("recovery", "bundle_sha256", "previous")
        )
        or not isinstance(handlers, list)
    ):
        raise ManifestMalformed("members are missing, unknown or of the wrong kind")
    return document, Manifest(
        node=document["node"],
        organisation=document["organisation"],
        epoch=document["epoch"],
        not_before=_instant(document["not_before"]),
        not_after=_instant(document["not_after"]),
        handlers=tuple(_handler(one) for one in handlers),
        recovery=document["recovery"],
        bundle_sha256=document["bundle_sha256"],
        previous=document["previous"],
        root=document["root"],
    )


def _handler(value: object) -> Handler:
    if not isinstance(value, dict) or value.keys() != HANDLER_MEMBERS:
        raise ManifestMalformed("a handler")
    identifier, age, ed25519, custodian = (value[name] for name in ("id", "age", "ed25519", "custodian"))
    if not (isinstance(identifier, str) and isinstance(age, str) and isinstance(ed25519, str)):
        raise ManifestMalformed("a handler")
    if not isinstance(custodian, bool) or not is_key_id(ed25519):
        raise ManifestMalformed("a handler")
    return Handler(identifier, age, ed25519, custodian)


def _spell(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(text: object) -> datetime:
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise ManifestMalformed("a time")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ManifestMalformed("a time") from error
