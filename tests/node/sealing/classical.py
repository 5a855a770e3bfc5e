"""X25519 and scrypt identities, for the C2SP vectors only: the node itself opens hybrid files alone."""

import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.sealing import bech32
from node.sealing.errors import MalformedHeader
from node.sealing.header import Stanza, decode_base64
from node.sealing.recipients import Unwrap

HEAVIEST_WORK_FACTOR = 22


def x25519(identity: str) -> Unwrap:
    _, scalar = bech32.decode(identity)
    private = X25519PrivateKey.from_private_bytes(scalar)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def unwrap(stanzas: Sequence[Stanza]) -> bytes | None:
        for stanza in stanzas:
            if stanza.type != "X25519":
                continue
            if len(stanza.arguments) != 1:
                raise MalformedHeader("arguments")
            share = decode_base64(stanza.arguments[0])
            if len(share) != 32 or len(stanza.body) != 32:
                raise MalformedHeader("shape")
            try:
                secret = private.exchange(X25519PublicKey.from_public_bytes(share))
            except ValueError as error:
                raise MalformedHeader("low order") from error
            info = b"age-encryption.org/v1/X25519"
            key = HKDF(algorithm=hashes.SHA256(), length=32, salt=share + public, info=info).derive(secret)
            if (file_key := _open(key, stanza.body)) is not None:
                return file_key
        return None

    return unwrap


def scrypt(passphrase: str) -> Unwrap:
    def unwrap(stanzas: Sequence[Stanza]) -> bytes | None:
        if all(stanza.type != "scrypt" for stanza in stanzas):
            return None
        if len(stanzas) != 1:
            raise MalformedHeader("scrypt is not alone")
        (stanza,) = stanzas
        if len(stanza.arguments) != 2 or len(stanza.body) != 32:
            raise MalformedHeader("shape")
        salt, work = decode_base64(stanza.arguments[0]), stanza.arguments[1]
        if len(salt) != 16 or not re.fullmatch("[1-9][0-9]*", work) or int(work) > HEAVIEST_WORK_FACTOR:
            raise MalformedHeader("salt or work factor")
        derivation = Scrypt(
            salt=b"age-encryption.org/v1/scrypt" + salt, length=32, n=2 ** int(work), r=8, p=1
        )
        return _open(derivation.derive(passphrase.encode()), stanza.body)

    return unwrap


def _open(key: bytes, body: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(key).decrypt(b"\0" * 12, body, None)
    except InvalidTag:
        return None
