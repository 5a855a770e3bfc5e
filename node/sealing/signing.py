"""Ed25519 over canonical JSON: who wrote a sealed object, a wrap or a manifest.

age says nothing of the sender, so the signature travels inside the ciphertext, under `signature`.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass, field

from federation.errors import InvalidKey
from federation.keys import Algorithm, Signer, VerifyingKey, private_key_from_seed, read_multibase
from vocab.canonical import canonical
from vocab.errors import NotCanonical


@dataclass(frozen=True)
class SigningKey:
    """A person's signing key.

    id    their key id, `z6Mk…`.
    seed  32 secret bytes.
    """

    id: str
    seed: bytes = field(repr=False)

    def sign(self, value: object) -> str:
        """Return the signature over the canonical form of `value`, in base64."""
        return sign(value, private_key_from_seed(self.seed).signer(self.id))


def signing_key(seed: bytes) -> SigningKey:
    """Return the key of a 32-byte seed."""
    return SigningKey(private_key_from_seed(seed).public.multibase, seed)


def generate_signing_key() -> SigningKey:
    """Return a fresh key."""
    return signing_key(secrets.token_bytes(32))


def sign(value: object, signer: Signer) -> str:
    """Return the signature of any Ed25519 signer over the canonical form of `value`, in base64."""
    return base64.b64encode(signer.sign(canonical(value))).decode("ascii")


def is_key_id(text: str) -> bool:
    """Say whether `text` is an Ed25519 Multikey."""
    return _read(text) is not None


def holds(value: object, signature: object, signer: str) -> bool:
    """Say whether `signature` is by `signer` over `value`; what cannot be read does not hold."""
    key = _read(signer)
    if key is None or not isinstance(signature, str):
        return False
    try:
        return key.verify(base64.b64decode(signature, validate=True), canonical(value))
    except (binascii.Error, ValueError, NotCanonical):
        return False


def _read(key_id: str) -> VerifyingKey | None:
    try:
        key = read_multibase(key_id)
    except InvalidKey:
        return None
    return key if key.algorithm is Algorithm.ED25519 and key_id.startswith("z") else None
