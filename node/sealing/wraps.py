"""Wraps: a compartment's identity, sealed for one person.

Adding a person adds one small file and taking one away deletes it; what lies in the compartment is never sealed anew.
"""

from collections.abc import Collection
from dataclasses import dataclass

from node.sealing.envelope import Document, open_json, require_members, seal_json, text_of
from node.sealing.errors import WrongPlace, WrongSignature
from node.sealing.objects import FIRST_EPOCH, CompartmentKey, Place, compartment_key
from node.sealing.recipients import read_identity
from node.sealing.signing import SigningKey, holds

MEMBERS = (
    *("v", "node", "case", "compartment", "epoch", "identity", "manifest", "granted_by"),
    "signature",
)


@dataclass(frozen=True)
class OpenedWrap:
    """A compartment's key, and who granted it."""

    key: CompartmentKey
    granted_by: str
    manifest: str | None


def compose_wrap(
    key: CompartmentKey, holder: str, *, place: Place, by: SigningKey, manifest: str | None = None
) -> bytes:
    """Return the compartment's key sealed for `holder`, a hybrid recipient. Raises InvalidRecipient."""
    wrap: Document = {
        "v": 1,
        "node": place.node,
        "case": place.case,
        "compartment": str(place.compartment),
        "epoch": key.epoch,
        "identity": str(key.identity),
        "manifest": manifest,
        "granted_by": by.id,
    }
    return seal_json(wrap | {"signature": by.sign(wrap)}, holder)


def open_wrap(
    sealed: bytes,
    identity: str,
    *,
    place: Place,
    may_grant: Collection[str],
    recipient: str | None = None,
    epoch: int = FIRST_EPOCH,
) -> OpenedWrap:
    """Open a wrap.

    may_grant  key ids a grant is taken from: without it a server could hand out a key of its own making.
    recipient  what the key must belong to, where that is known from elsewhere.
    Raises WrongPlace, WrongSignature, MalformedContent, InvalidIdentity, and what `age.open_sealed` raises.
    """
    document = open_json(sealed, identity)
    require_members(document, MEMBERS)
    signature = document.pop("signature")
    granted_by, manifest = text_of(document, "granted_by"), document["manifest"]
    expected = {
        "v": 1,
        "node": place.node,
        "case": place.case,
        "compartment": str(place.compartment),
        "epoch": epoch,
    }
    if any(document[name] != value for name, value in expected.items()):
        raise WrongPlace("made for another place")
    if granted_by not in may_grant or not holds(document, signature, granted_by):
        raise WrongSignature("not granted by anybody who may")
    key = compartment_key(read_identity(text_of(document, "identity")), epoch)
    if recipient is not None and key.recipient != recipient:
        raise WrongPlace("the key of another compartment")
    return OpenedWrap(key, granted_by, manifest if isinstance(manifest, str) else None)
