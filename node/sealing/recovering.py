"""What the organisation's recovery key does on a machine without a network: opens the wraps that were exported, seals them anew.

The document in a wrap stays as its giver signed it; only the envelope is another. So the new holder's browser believes it like
any other wrap, and the recovery key need not sign anything.
What it protects, and what it does not: SECURITY.md.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from node.sealing.envelope import open_json, require_members, seal_json, text_of
from node.sealing.errors import WrongSignature
from node.sealing.receipts import words_of_bits
from node.sealing.recipients import Identity, identity_from_seed, recipient_of
from node.sealing.shares import SECRET_BYTES, Share, WrongShares, combine, split
from node.sealing.signing import holds
from node.sealing.wraps import MEMBERS

FINGERPRINT_WORDS = 8


@dataclass(frozen=True)
class NewRecovery:
    """A fresh recovery key: what the server keeps, and what is printed. The identity itself is kept nowhere."""

    recipient: str
    shares: tuple[Share, ...]


def make_recovery(*, needed: int, total: int) -> NewRecovery:
    """Return a fresh recovery key in shares. Raises ValueError for counts that make no sense."""
    seed = secrets.token_bytes(SECRET_BYTES)
    return NewRecovery(recipient_of(identity_from_seed(seed)), split(seed, needed=needed, total=total))


def recovery_identity(shares: Sequence[Share], recipients: Sequence[str]) -> Identity:
    """Return the identity these shares make, if it is that of one of these recipients. Raises WrongShares."""
    identity = identity_from_seed(combine(shares))
    if recipient_of(identity) not in recipients:
        raise WrongShares("these shares are of another recovery key")
    return identity


def rewrap(sealed: bytes, identity: str, recipient: str) -> bytes:
    """Return the same wrap sealed for somebody else.

    Raises WrongSignature for one its giver did not sign, MalformedContent, and what `age.open_sealed` raises.
    """
    document = open_json(sealed, identity)
    require_members(document, MEMBERS)
    terms = {name: value for name, value in document.items() if name != "signature"}
    if not holds(terms, document["signature"], text_of(document, "granted_by")):
        raise WrongSignature("not signed by whoever it says gave it")
    return seal_json(document, recipient)


def fingerprint(*, age: str, ed25519: str) -> str:
    """Return the eight words that stand for both keys of a person, as the desk shows them."""
    digest = hashlib.sha256(f"{age}\n{ed25519}".encode()).digest()
    return " ".join(words_of_bits(digest, FINGERPRINT_WORDS))
