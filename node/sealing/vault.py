"""A handler's vault: their identity and signing key, sealed to a key that only their passphrase makes.

One passphrase gives two keys that say nothing of each other: `auth` proves to the server who logs in, the vault key
opens the vault. A second copy is sealed to a recovery code of twelve words, which derive to two such keys too. The server uses none of this; it is here for
offline tools, demonstrations and tests.
Spec: RFC 9106 (Argon2id), RFC 5869 (HKDF).
"""

import secrets
import unicodedata
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from node.sealing.envelope import from_base64, open_json, require_members, seal_json, text_of, to_base64
from node.sealing.errors import MalformedContent
from node.sealing.receipts import Receipt, entropy_of, new_receipt
from node.sealing.recipients import (
    Identity,
    generate_identity,
    identity_from_seed,
    read_identity,
    recipient_of,
)
from node.sealing.signing import SigningKey, generate_signing_key, signing_key

MEMORY_KIB = 64 * 1024
PASSES = 3
SALT_BYTES = 16
RECOVERY_SALT = b"social-rights-tracker/recovery/v1"


@dataclass(frozen=True)
class HandlerKeys:
    """A handler's own keys."""

    identity: Identity
    recipient: str
    signing: SigningKey


@dataclass(frozen=True)
class Login:
    """What a passphrase derives to. `auth` goes to the server, the identity opens the vault."""

    auth: bytes = field(repr=False)
    vault_identity: Identity


@dataclass(frozen=True)
class NewHandler:
    """Everything the server keeps of a new handler, with what it never sees: `keys` and `recovery_code`."""

    salt: bytes
    auth: bytes = field(repr=False)
    vault: bytes
    recovery_vault: bytes
    recovery_auth: bytes = field(repr=False)
    keys: HandlerKeys
    recovery_code: Receipt


def derive_login(passphrase: str, salt: bytes) -> Login:
    """Return what a passphrase derives to. Slow on purpose: about a tenth of a second and 64 MiB."""
    # NFKC: the same passphrase typed on another keyboard gives the same bytes.
    typed = unicodedata.normalize("NFKC", passphrase).encode()
    master = Argon2id(salt=salt, length=32, iterations=PASSES, lanes=1, memory_cost=MEMORY_KIB).derive(typed)
    return Login(_derive(master, b"auth"), identity_from_seed(_derive(master, b"vault")))


def enrol(passphrase: str) -> NewHandler:
    """Make a new handler's keys and both copies of their vault."""
    identity = generate_identity()
    keys = HandlerKeys(identity, recipient_of(identity), generate_signing_key())
    salt, code = secrets.token_bytes(SALT_BYTES), new_receipt()
    login = derive_login(passphrase, salt)
    return NewHandler(
        salt=salt,
        auth=login.auth,
        vault=seal_vault(keys, recipient_of(login.vault_identity)),
        recovery_vault=seal_vault(keys, recipient_of(recovery_identity(code))),
        recovery_auth=recovery_auth(code),
        keys=keys,
        recovery_code=code,
    )


def seal_vault(keys: HandlerKeys, recipient: str) -> bytes:
    """Return the keys sealed to the vault's own recipient."""
    return seal_json({"v": 1, "age": str(keys.identity), "ed25519": to_base64(keys.signing.seed)}, recipient)


def open_vault(vault: bytes, identity: str) -> HandlerKeys:
    """Return the keys in a vault. Raises MalformedContent, and what `age.open_sealed` raises."""
    document = open_json(vault, identity)
    require_members(document, ("v", "age", "ed25519"))
    seed = from_base64(document["ed25519"])
    if document["v"] != 1 or len(seed) != 32:
        raise MalformedContent("a vault of another kind")
    own = read_identity(text_of(document, "age"))
    return HandlerKeys(own, recipient_of(own), signing_key(seed))


def recovery_identity(code: str) -> Identity:
    """Return the identity that opens the second copy. Raises InvalidReceipt."""
    return identity_from_seed(_recover(code, b"vault"))


def recovery_auth(code: str) -> bytes:
    """Return what proves to the server that the code is known, and says nothing of what opens. Raises InvalidReceipt."""
    return _recover(code, b"auth")


def _recover(code: str, label: bytes) -> bytes:
    # No slow derivation: the code is 128 random bits, not something a person thought of.
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=RECOVERY_SALT, info=label)
    return derivation.derive(entropy_of(code))


def _derive(master: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=label).derive(master)
