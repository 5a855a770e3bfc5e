"""Hybrid age recipients and identities: ML-KEM-768 with X25519 (X-Wing), used through HPKE.

An identity is 32 random bytes, spelled `AGE-SECRET-KEY-PQ-1…`; its recipient is spelled `age1pq1…` and has 1,959
characters. Classical recipients are refused everywhere: one of them undoes the post-quantum protection of a file.
Spec: C2SP age §"Post-quantum hybrid recipient stanza"; RFC 9180; draft-connolly-cfrg-xwing-kem.
"""

import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from node.sealing import bech32
from node.sealing.errors import InvalidIdentity, InvalidRecipient, MalformedHeader
from node.sealing.header import Stanza, decode_base64, encode_base64

HYBRID_STANZA = "mlkem768x25519"
SEED_BYTES = 32
FILE_KEY_BYTES = 16

_INFO = b"age-encryption.org/mlkem768x25519"
_RECIPIENT_PREFIX = "age1pq"
_IDENTITY_PREFIX = "age-secret-key-pq-"
_MLKEM_PUBLIC_BYTES = 1184
_X25519_BYTES = 32
_ENCAPSULATED_BYTES = 1120
_BODY_BYTES = FILE_KEY_BYTES + 16

Unwrap = Callable[[Sequence[Stanza]], bytes | None]
"""Finds the file key among a header's stanzas; None when none of them is for it."""


class Identity(str):
    """A hybrid identity, secret: `AGE-SECRET-KEY-PQ-1…`. Its repr hides it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show nothing."""
        return "Identity(…)"


def generate_identity() -> Identity:
    """Return a fresh identity."""
    return identity_from_seed(secrets.token_bytes(SEED_BYTES))


def identity_from_seed(seed: bytes) -> Identity:
    """Return the identity of a 32-byte seed."""
    if len(seed) != SEED_BYTES:
        raise InvalidIdentity("a seed has 32 bytes")
    return Identity(bech32.encode(_IDENTITY_PREFIX, seed).upper())


def read_identity(text: str) -> Identity:
    """Return the identity that `text` spells. Raises InvalidIdentity."""
    _seed(text)
    return Identity(text)


def recipient_of(identity: str) -> str:
    """Return the recipient whose files this identity opens. Raises InvalidIdentity."""
    kem_seed, scalar = _expand(_seed(identity))
    encoding, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    public = MLKEM768PrivateKey.from_seed_bytes(kem_seed).public_key().public_bytes(encoding, form)
    public += X25519PrivateKey.from_private_bytes(scalar).public_key().public_bytes(encoding, form)
    return bech32.encode(_RECIPIENT_PREFIX, public)


def is_hybrid_recipient(text: str) -> bool:
    """Say whether `text` is a recipient that can be sealed to."""
    try:
        _public_key(text)
    except InvalidRecipient:
        return False
    return True


def require_hybrid(recipient: str) -> None:
    """Raise InvalidRecipient unless `recipient` is a hybrid one."""
    _public_key(recipient)


def wrap(file_key: bytes, recipient: str) -> Stanza:
    """Return the stanza in which `recipient` finds the file key. Raises InvalidRecipient."""
    key = _public_key(recipient)
    try:
        sealed = _suite().encrypt(file_key, key, info=_INFO)
    except ValueError as error:
        # An X25519 point of low order gives everyone the same secret.
        raise InvalidRecipient("nothing can be sealed to this recipient") from error
    return Stanza(HYBRID_STANZA, (encode_base64(sealed[:_ENCAPSULATED_BYTES]),), sealed[_ENCAPSULATED_BYTES:])


def unwrapper(identity: str) -> Unwrap:
    """Return the function that finds an identity's file key. Raises InvalidIdentity."""
    key = _private_key(_seed(identity))

    def unwrap(stanzas: Sequence[Stanza]) -> bytes | None:
        for stanza in stanzas:
            if stanza.type == HYBRID_STANZA and (file_key := _open(stanza, key)) is not None:
                return file_key
        return None

    return unwrap


def check_stanza(stanza: Stanza) -> bytes:
    """Return the encapsulated key of a hybrid stanza. Raises MalformedHeader for one of another shape."""
    if len(stanza.arguments) != 1 or len(stanza.body) != _BODY_BYTES:
        raise MalformedHeader("a hybrid stanza of the wrong shape")
    encapsulated = decode_base64(stanza.arguments[0])
    if len(encapsulated) != _ENCAPSULATED_BYTES:
        raise MalformedHeader("an encapsulated key of the wrong length")
    try:
        # Any scalar does: clamped, it sends the points of low order, and only those, to zero, which exchange() refuses.
        share = X25519PublicKey.from_public_bytes(encapsulated[-_X25519_BYTES:])
        X25519PrivateKey.from_private_bytes(bytes(_X25519_BYTES)).exchange(share)
    except ValueError as error:
        raise MalformedHeader("a share of low order: everyone has the same secret with it") from error
    return encapsulated


def _open(stanza: Stanza, key: MLKEM768X25519PrivateKey) -> bytes | None:
    encapsulated = check_stanza(stanza)
    try:
        return _suite().decrypt(encapsulated + stanza.body, key, info=_INFO)
    except InvalidTag:
        return None


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def _seed(identity: str) -> bytes:
    # Identities are spelled in upper case only (C2SP age, "Native identity and recipient encoding").
    if identity != identity.upper():
        raise InvalidIdentity("an identity is spelled in upper case")
    try:
        prefix, seed = bech32.decode(identity)
    except ValueError as error:
        raise InvalidIdentity("not Bech32") from error
    if prefix != _IDENTITY_PREFIX or len(seed) != SEED_BYTES:
        raise InvalidIdentity("not a hybrid identity")
    return seed


def _expand(seed: bytes) -> tuple[bytes, bytes]:
    """Return the ML-KEM seed and the X25519 scalar that X-Wing makes of one seed."""
    shake = hashes.Hash(hashes.SHAKE256(96))
    shake.update(seed)
    expanded = shake.finalize()
    return expanded[:64], expanded[64:]


def _private_key(seed: bytes) -> MLKEM768X25519PrivateKey:
    kem_seed, scalar = _expand(seed)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(kem_seed), X25519PrivateKey.from_private_bytes(scalar)
    )


@lru_cache(maxsize=256)
def _public_key(recipient: str) -> MLKEM768X25519PublicKey:
    if recipient != recipient.lower():
        raise InvalidRecipient("a recipient is spelled in lower case")
    try:
        prefix, data = bech32.decode(recipient)
    except ValueError as error:
        raise InvalidRecipient("not Bech32") from error
    if prefix != _RECIPIENT_PREFIX or len(data) != _MLKEM_PUBLIC_BYTES + _X25519_BYTES:
        raise InvalidRecipient("not a hybrid recipient")
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(data[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(data[_MLKEM_PUBLIC_BYTES:]),
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidRecipient("not a key of ML-KEM-768 and X25519") from error
