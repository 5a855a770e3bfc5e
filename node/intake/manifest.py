"""The intake manifest: the signed list of the people alerts are sealed to, in numbered epochs chained by hash.

Clients check it before they seal, so a swapped key needs the organisation's root key. With fewer than two handlers there
is no manifest and the door is closed: nobody may be the only reader of what a source sends.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import Integer, String, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from federation.keys import Signer
from node.database import Row
from node.errors import Conflict, NodeError
from node.intake.switch import closure
from vocab.canonical import canonical

VALID_FOR = timedelta(days=21)
RENEW_BEFORE = timedelta(days=7)
MIN_HANDLERS = 2


class DoorClosed(NodeError):
    """Fewer than two people can read alerts here, the list of their keys is not signed, or the door was closed by hand."""

    public = "No alerts are taken here at present."


class UnknownManifest(Conflict):
    """The alert is sealed to a list that is unknown, too old, or names somebody who left."""

    public = "manifest"


@dataclass(frozen=True, slots=True)
class Handler:
    """One person alerts are sealed to, as the manifest names them."""

    id: str
    age: str
    ed25519: str
    custodian: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """What a manifest says beside its dates and its place in the chain."""

    node: str
    organisation: str
    handlers: tuple[Handler, ...]
    recovery: str | None = None
    bundle_sha256: str | None = None


class IntakeManifest(Row):
    """One epoch, with the exact bytes that were signed and served."""

    __tablename__ = "intake_manifests"

    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    not_before: Mapped[datetime]
    not_after: Mapped[datetime]
    body: Mapped[bytes]

    def terms(self) -> dict[str, Any]:
        """The manifest as JSON."""
        parsed: dict[str, Any] = msgspec.json.decode(self.body)
        return parsed

    def handlers(self) -> tuple[Handler, ...]:
        """The people this epoch is sealed to."""
        return tuple(Handler(**one) for one in self.terms()["handlers"])

    def is_valid(self, *, now: datetime) -> bool:
        """Whether its window is open."""
        return self.not_before <= now < self.not_after

    def names_only(self, terms: Terms) -> bool:
        """Whether everybody it names is still here with the same keys."""
        # A list from before there was a recovery key harms nobody; one that names a retired key might.
        return set(self.handlers()) <= set(terms.handlers) and self.terms()["recovery"] in {
            None,
            terms.recovery,
        }

    def says(self, terms: Terms, *, root: str) -> bool:
        """Whether it still says what holds now."""
        body = self.terms()
        return all(body.get(key) == value for key, value in _body(terms, root=root).items())


async def served_manifest(
    session: AsyncSession, terms: Terms, *, root: str | None, now: datetime
) -> IntakeManifest | None:
    """The last epoch, when it can be served as it is; None when a next one has to be signed. Writes nothing.

    root  the organisation's root as Multikey; None when its key is kept offline: then the last epoch it signed is served
          while it holds and names nobody who left.
    Raises DoorClosed with fewer than two handlers, and when the door was closed by hand.
    """
    await _require_open(session, terms)
    latest = await latest_manifest(session)
    if latest is None or not latest.is_valid(now=now):
        return None
    if root is None:
        return latest if latest.names_only(terms) else None
    is_fresh = now < latest.not_after - RENEW_BEFORE
    return latest if is_fresh and latest.says(terms, root=root) else None


async def current_manifest(
    session: AsyncSession, terms: Terms, *, root: Signer | None, now: datetime
) -> IntakeManifest:
    """The epoch to serve; makes the next one when people or keys changed, or a week before the present one runs out.

    Raises DoorClosed with fewer than two handlers, or when the root key would be needed and is kept offline.
    """
    served = await served_manifest(session, terms, root=root.public.multibase if root else None, now=now)
    if served is not None:
        return served
    if root is None:
        raise DoorClosed("the manifest must be signed anew with the root key, which is not on this server")
    row = sign_manifest(terms, previous=await latest_manifest(session), root=root, now=now)
    session.add(row)
    await session.flush()
    return row


def sign_manifest(
    terms: Terms, *, previous: IntakeManifest | None, root: Signer, now: datetime
) -> IntakeManifest:
    """The epoch after `previous`, signed by the organisation's root key."""
    body = unsigned(terms, previous=previous, root=root.public.multibase, now=now)
    signature = base64.b64encode(root.sign(canonical(body))).decode()
    return as_row(canonical(body | {"signature": signature}))


def unsigned(
    terms: Terms,
    *,
    previous: IntakeManifest | None,
    root: str,
    now: datetime,
    valid_for: timedelta = VALID_FOR,
) -> dict[str, Any]:
    """What the root is to sign: the epoch after `previous`."""
    # From yesterday's midnight: the clocks of telephones run late, and a list of keys tells no times.
    not_before = datetime.combine(now.date(), time(), UTC) - timedelta(days=1)
    not_after = not_before + valid_for
    return _body(terms, root=root) | {
        "v": 1,
        "epoch": 1 if previous is None else previous.epoch + 1,
        "not_before": _rfc3339(not_before),
        "not_after": _rfc3339(not_after),
        "previous": None if previous is None else previous.sha256,
    }


def as_row(signed: bytes) -> IntakeManifest:
    """The row of a manifest that was signed."""
    body = msgspec.json.decode(signed)
    return IntakeManifest(
        epoch=body["epoch"],
        sha256=hashlib.sha256(signed).hexdigest(),
        not_before=datetime.fromisoformat(body["not_before"]),
        not_after=datetime.fromisoformat(body["not_after"]),
        body=signed,
    )


async def accepted_manifest(
    session: AsyncSession, sha256: str, terms: Terms, *, now: datetime
) -> IntakeManifest:
    """The epoch an alert names, when alerts sealed to it are taken.

    An earlier epoch is taken while its window is open and everybody it names is still here with the same keys: a source
    who began to write before somebody joined loses nothing, and nothing is taken that is sealed to somebody who left.
    Raises UnknownManifest, DoorClosed.
    """
    await _require_open(session, terms)
    row = await manifest_of(session, sha256)
    if row is None or not row.is_valid(now=now):
        raise UnknownManifest("unknown or expired manifest")
    if not row.names_only(terms):
        raise UnknownManifest("a manifest that names somebody who left")
    return row


def required_holders(manifest: IntakeManifest) -> dict[str, frozenset[str]]:
    """Compartment → whom its key must be wrapped for: exactly these, nobody missing and nobody more."""
    handlers = manifest.handlers()
    everybody = frozenset(handler.id for handler in handlers)
    custodians = frozenset(handler.id for handler in handlers if handler.custodian) or everybody
    always = frozenset({"source"} | ({"recovery"} if manifest.terms()["recovery"] else set()))
    return {"dialogue": everybody | always, "identity": custodians | always}


async def manifest_of(session: AsyncSession, sha256: str) -> IntakeManifest | None:
    """The epoch with this hash, however old."""
    return await session.scalar(select(IntakeManifest).where(IntakeManifest.sha256 == sha256))


async def ever_named(session: AsyncSession) -> frozenset[str]:
    """The key ids of everybody any list has named: what they signed while they were here still holds."""
    rows = await session.scalars(select(IntakeManifest))
    return frozenset(handler.ed25519 for row in rows for handler in row.handlers())


async def latest_manifest(session: AsyncSession) -> IntakeManifest | None:
    return await session.scalar(select(IntakeManifest).order_by(IntakeManifest.epoch.desc()).limit(1))


def _body(terms: Terms, *, root: str) -> dict[str, Any]:
    return {
        "node": terms.node,
        "organisation": terms.organisation,
        "handlers": [
            {"id": one.id, "age": one.age, "ed25519": one.ed25519, "custodian": one.custodian}
            for one in sorted(terms.handlers, key=lambda handler: handler.id)
        ],
        "recovery": terms.recovery,
        "bundle_sha256": terms.bundle_sha256,
        "root": root,
    }


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def _require_open(session: AsyncSession, terms: Terms) -> None:
    if await closure(session) is not None:
        raise DoorClosed("closed by hand")
    if len(terms.handlers) < MIN_HANDLERS:
        raise DoorClosed("fewer than two handlers")
