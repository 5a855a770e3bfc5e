"""Ed25519 and RSA keys: make, load, present (SPKI PEM, Multikey), sign, verify.

Private bytes leave this file only through `PrivateKey.to_pem`, for the keyring that seals them.
Spec: W3C Controlled Identifiers 1.0 §2.2.2 (Multikey), FEP-521a, RFC 8410, RFC 8017.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, partial

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from federation.errors import InvalidKey

ED25519_PUB = b"\xed\x01"
RSA_PUB = b"\x85\x24"
"""Multicodec prefixes of the two kinds of key, as unsigned varints."""

SMALLEST_RSA_BITS = 2048
LARGEST_RSA_BITS = 8192
LARGEST_RSA_EXPONENT_BITS = 64
MAX_PEM_CHARACTERS = 4096
MAX_MULTIBASE_CHARACTERS = 2048
REMEMBERED_KEYS = 8192

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TEN_DIGITS = 58**10
_BASE58_VALUES = {character: value for value, character in enumerate(_BASE58)}
_SHA256 = hashes.SHA256()
_PKCS1 = padding.PKCS1v15()
_SHA512 = hashes.SHA512()
_PSS = padding.PSS(mgf=padding.MGF1(_SHA512), salt_length=64)
# RFC 9421 §3.3.1: rsa-pss-sha512 has a salt of exactly 64 bytes.


class Algorithm(StrEnum):
    """The kinds of key spoken here."""

    RSA = "rsa"
    ED25519 = "ed25519"


def _check_rsa(key: RSAPublicKey, signature: bytes, data: bytes) -> None:
    key.verify(signature, data, _PKCS1, _SHA256)


def _sign_rsa(key: RSAPrivateKey, data: bytes) -> bytes:
    return key.sign(data, _PKCS1, _SHA256)


@dataclass(frozen=True, slots=True, eq=False)
class VerifyingKey:
    """A public key, parsed and found strong enough. Made by `read_pem` and `read_multibase`."""

    key: RSAPublicKey | Ed25519PublicKey
    algorithm: Algorithm = field(init=False)
    """The kind of key: it decides the algorithm, never what a header claims."""
    _check: Callable[[bytes, bytes], None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Look at the kind of key once, not at each signature: it takes as long as a digest of a whole activity."""
        key = self.key
        is_rsa = isinstance(key, RSAPublicKey)
        check = partial(_check_rsa, key) if isinstance(key, RSAPublicKey) else key.verify
        object.__setattr__(self, "algorithm", Algorithm.RSA if is_rsa else Algorithm.ED25519)
        object.__setattr__(self, "_check", check)

    @property
    def pem(self) -> str:
        """Return the SPKI PEM, as in `publicKeyPem`."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    @property
    def multibase(self) -> str:
        """Return the Multikey text, as in `publicKeyMultibase`: z6Mk… for Ed25519."""
        if isinstance(self.key, RSAPublicKey):
            return multikey_encode(RSA_PUB, self.key.public_bytes(Encoding.DER, PublicFormat.PKCS1))
        return multikey_encode(ED25519_PUB, self.key.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Tell whether `signature` over `data` is this key's: RSASSA-PKCS1-v1_5 with SHA-256, or Ed25519."""
        try:
            self._check(signature, data)
        except InvalidSignature:
            return False
        return True

    def verify_pss(self, signature: bytes, data: bytes) -> bool:
        """Tell whether `signature` is this RSA key's RSASSA-PSS with SHA-512 (RFC 9421 §3.3.1)."""
        if not isinstance(self.key, RSAPublicKey):
            return False
        try:
            self.key.verify(signature, data, _PSS, _SHA512)
        except InvalidSignature:
            return False
        return True


class Signer:
    """Signs as one key id. Shows nobody more than that id."""

    __slots__ = ("_sign", "algorithm", "key_id", "public")

    def __init__(self, key_id: str, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
        """Take the id under which the public half is published: `<actor id>#fragment`."""
        self.key_id = key_id
        self.public = VerifyingKey(key.public_key())
        self.algorithm = self.public.algorithm
        self._sign = partial(_sign_rsa, key) if isinstance(key, RSAPrivateKey) else key.sign

    def sign(self, data: bytes) -> bytes:
        """Sign: RSASSA-PKCS1-v1_5 with SHA-256, or Ed25519."""
        return self._sign(data)

    def __repr__(self) -> str:
        """Show the key id only: signers end up in logs and tracebacks."""
        return f"Signer(key_id={self.key_id!r})"

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse to be pickled or copied: a private key has one home."""
        raise TypeError("a Signer does not leave its process")


class PrivateKey:
    """A private key on its way between the keyring's file and a Signer."""

    __slots__ = ("_key",)

    def __init__(self, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
        """Wrap a key that has been checked."""
        self._key = key

    @property
    def public(self) -> VerifyingKey:
        """Return the public half."""
        return VerifyingKey(self._key.public_key())

    def signer(self, key_id: str) -> Signer:
        """Return the signer that signs as `key_id`."""
        return Signer(key_id, self._key)

    def to_pem(self, passphrase: str = "") -> bytes:
        """Return the key as PKCS #8 PEM, encrypted if there is a passphrase: for the keyring's files, and nobody else."""
        sealed = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed)

    def __repr__(self) -> str:
        """Show nothing."""
        return "PrivateKey(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse to be pickled or copied."""
        raise TypeError("a PrivateKey does not leave its process")


def generate_ed25519() -> PrivateKey:
    """Make an Ed25519 key: for proofs, and for signatures between servers that speak RFC 9421."""
    return PrivateKey(Ed25519PrivateKey.generate())


def generate_rsa(bits: int = SMALLEST_RSA_BITS) -> PrivateKey:
    """Make an RSA key: what every server of the network verifies. 2048 bits is what all of them read."""
    return PrivateKey(generate_rsa_private_key(public_exponent=65537, key_size=bits))


def load_private_key(pem: bytes, passphrase: str = "") -> PrivateKey:
    """Load a PKCS #8 PEM. Raises InvalidKey for what the passphrase does not open, and what is not Ed25519 or a sound RSA key."""
    try:
        key = load_pem_private_key(pem, password=passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidKey("not a private key in PEM that opens") from error
    if isinstance(key, RSAPrivateKey):
        _sound(key.public_key())
        return PrivateKey(key)
    if isinstance(key, Ed25519PrivateKey):
        return PrivateKey(key)
    raise InvalidKey(f"neither Ed25519 nor RSA: {type(key).__name__}")


def private_key_from_seed(seed: bytes) -> PrivateKey:
    """Return the Ed25519 key of a 32-byte seed."""
    if len(seed) != 32:
        raise InvalidKey("an Ed25519 seed has 32 bytes")
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(seed))


@lru_cache(maxsize=REMEMBERED_KEYS)
def read_pem(pem: str) -> VerifyingKey:
    """Read a public key from `publicKeyPem`; repeated reads of the same text give the same object.

    SPKI, or the PKCS #1 form that some old servers still publish. Exactly one key.
    Raises InvalidKey: malformed, several keys, neither RSA nor Ed25519, RSA outside 2048 to 8192 bits.
    """
    text = pem.strip()
    if len(text) > MAX_PEM_CHARACTERS:
        raise InvalidKey("a public key of that length is none")
    if text.count("-----BEGIN") != 1:
        raise InvalidKey("exactly one key is expected in a PEM")
    if not text.startswith(("-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----")):
        raise InvalidKey("not a public key in PEM")
    try:
        key = load_pem_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKey("not a readable public key") from error
    return _verifying(key)


@lru_cache(maxsize=REMEMBERED_KEYS)
def read_multibase(text: str) -> VerifyingKey:
    """Read a public key from `publicKeyMultibase`: Ed25519, or RSA as PKCS #1 DER. Raises InvalidKey."""
    prefix, raw = multikey_decode(text)
    if prefix == ED25519_PUB:
        if len(raw) != 32:
            raise InvalidKey("an Ed25519 public key has 32 bytes")
        return VerifyingKey(Ed25519PublicKey.from_public_bytes(raw))
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKey("not a readable RSA public key") from error
    if not isinstance(key, RSAPublicKey) or key.public_bytes(Encoding.DER, PublicFormat.PKCS1) != raw:
        raise InvalidKey("an RSA Multikey holds PKCS #1 DER")
    return _verifying(key)


def multikey_encode(prefix: bytes, raw: bytes) -> str:
    """Return `raw` under its multicodec prefix, in base58btc."""
    return "z" + base58_encode(prefix + raw)


def multikey_decode(text: str) -> tuple[bytes, bytes]:
    """Return prefix and bytes of a public Multikey. Raises InvalidKey for any other kind of key."""
    data = multibase_decode(text)
    for prefix in (ED25519_PUB, RSA_PUB):
        if data.startswith(prefix):
            return prefix, data[len(prefix) :]
    raise InvalidKey("a key of a kind not spoken here")


def multibase_decode(text: str) -> bytes:
    """Decode multibase base58btc ("z") or base64url without padding ("u"), the two that Multikey allows."""
    if len(text) > MAX_MULTIBASE_CHARACTERS:
        raise InvalidKey("a key of that length is none")
    if text.startswith("z"):
        return base58_decode(text[1:])
    if text.startswith("u"):
        try:
            data = base64.b64decode(text[1:] + "=" * (-len(text[1:]) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidKey("not base64url") from error
        if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text[1:]:
            raise InvalidKey("base64url with stray bits")
        return data
    raise InvalidKey("neither base58btc nor base64url")


def base58_encode(data: bytes) -> str:
    """Encode in base58btc: leading zero bytes become "1"."""
    number = int.from_bytes(data, "big")
    digits = []
    while number:
        # Ten digits at once: dividing a long number costs more than the rest.
        number, some = divmod(number, _TEN_DIGITS)
        for _ in range(10):
            some, digit = divmod(some, 58)
            digits.append(_BASE58[digit])
    while digits and digits[-1] == _BASE58[0]:
        digits.pop()
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def base58_decode(text: str) -> bytes:
    """Decode base58btc. Raises InvalidKey for a character outside the alphabet."""
    number = 0
    for character in text:
        value = _BASE58_VALUES.get(character)
        if value is None:
            raise InvalidKey("not base58btc")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _verifying(key: object) -> VerifyingKey:
    if isinstance(key, RSAPublicKey):
        return VerifyingKey(_sound(key))
    if isinstance(key, Ed25519PublicKey):
        return VerifyingKey(key)
    raise InvalidKey(f"neither Ed25519 nor RSA: {type(key).__name__}")


def _sound(key: RSAPublicKey) -> RSAPublicKey:
    if not SMALLEST_RSA_BITS <= key.key_size <= LARGEST_RSA_BITS:
        raise InvalidKey(f"an RSA key of {key.key_size} bits; 2048 to 8192 are accepted")
    # A huge exponent makes each verification as dear as a signature: an easy way to keep a server busy.
    if key.public_numbers().e.bit_length() > LARGEST_RSA_EXPONENT_BITS:
        raise InvalidKey("an RSA key with an absurd exponent")
    return key
