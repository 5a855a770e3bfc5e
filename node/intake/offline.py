"""The list of keys, signed on another machine: the organisation root need not be on a server that somebody could take over.

What is to be signed goes out as a file and comes back signed. What comes back is believed no more than what a client would
believe: the root's signature, its time, the next link of the chain, and nobody who is not here with the same keys.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from federation.keys import Signer
from node import audit
from node.errors import Conflict, Invalid
from node.intake.manifest import (
    MIN_HANDLERS,
    DoorClosed,
    IntakeManifest,
    Terms,
    as_row,
    latest_manifest,
    unsigned,
)
from node.sealing.errors import SealingError
from node.sealing.manifest import LONGEST, named_in, verify_manifest
from node.sealing.signing import sign
from vocab.canonical import canonical

TO_SIGN = "social-rights-tracker/list-to-sign/v1"
WARN_BEFORE = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class ToSign:
    """A list that waits for the root's signature."""

    body: dict[str, Any]

    def people(self) -> list[str]:
        """The ids and signing keys it names, to be compared before it is signed."""
        return [f"{one['id']} {one['ed25519']}" for one in self.body["handlers"]]


async def list_to_sign(session: AsyncSession, terms: Terms, *, root: str, now: datetime) -> bytes:
    """The next list as a file for the machine that has the root. Raises DoorClosed with fewer than two handlers."""
    if len(terms.handlers) < MIN_HANDLERS:
        raise DoorClosed("fewer than two handlers", public="Alerts need two people who can read them.")
    body = unsigned(terms, previous=await latest_manifest(session), root=root, now=now, valid_for=LONGEST)
    return json.dumps({"what": TO_SIGN, "list": body}, indent=2, ensure_ascii=False).encode()


def read_to_sign(data: bytes) -> ToSign:
    """Raises Invalid."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise Invalid("not a list to sign: it is no JSON") from error
    body = document.get("list") if isinstance(document, dict) and document.get("what") == TO_SIGN else None
    if not isinstance(body, dict) or "signature" in body:
        raise Invalid("not a list to sign: `tracker keys root export` writes one")
    return ToSign(body)


def sign_list(waiting: ToSign, root: Signer, *, now: datetime) -> bytes:
    """The signed list, once it holds like any other. Raises Invalid."""
    if waiting.body.get("root") != root.public.multibase:
        raise Invalid(f"this list is for the root {waiting.body.get('root')}, and this key is another")
    signed = canonical(waiting.body | {"signature": sign(waiting.body, root)})
    try:
        verify_manifest(signed, node=str(waiting.body.get("node")), root=root.public.multibase, now=now)
    except SealingError as error:
        raise Invalid(f"this list would not be believed: {error}") from error
    return signed


async def take_signed(
    session: AsyncSession, signed: bytes, terms: Terms, *, root: str, now: datetime
) -> IntakeManifest:
    """Serve this list from now on. Safe to repeat with the same bytes.

    Raises Invalid (unsigned, by another root, expired, of another node), Conflict (a fork, or people changed meanwhile).
    """
    signed = signed.strip()
    try:
        verify_manifest(signed, node=terms.node, root=root, now=now)
    except SealingError as error:
        raise Invalid(f"this list is not believed: {error}") from error
    row, latest = as_row(signed), await latest_manifest(session)
    if latest is not None and latest.sha256 == row.sha256:
        return latest
    epoch, previous = (0, None) if latest is None else (latest.epoch, latest.sha256)
    manifest = named_in(signed)
    # Stricter than a client: nothing may be left out of the chain that this server itself continues.
    if (manifest.epoch, manifest.previous) != (epoch + 1, previous):
        raise Conflict(
            f"this list does not follow the present one (epoch {epoch}): it is an older one or a fork. "
            "Export a list again and sign that"
        )
    if not row.names_only(terms):
        raise Conflict(
            "somebody it names has left or has other keys by now. Export a list again and sign that"
        )
    session.add(row)
    await session.flush()
    await audit.record(session, actor="node", action="manifest.imported", subject=row.sha256, now=now)
    return row
