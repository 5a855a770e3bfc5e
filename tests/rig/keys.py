"""Fixed test keys by name: RSA generation is slow, and a fixed key makes a failure repeat itself."""

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

from federation.keys import PrivateKey, load_private_key, private_key_from_seed
from node.keyring import Keyring
from tests.rig.clock import NOON

FILE = Path(__file__).with_name("keys.pem")
BEGIN = "-----BEGIN PRIVATE KEY-----"
END = "-----END PRIVATE KEY-----"


@cache
def rsa_key(name: str) -> PrivateKey:
    """The RSA-2048 key of that name."""
    return load_private_key(rsa_pem(name).encode())


def ed25519_key(name: str) -> PrivateKey:
    """The Ed25519 key of that name."""
    return private_key_from_seed(ed25519_seed(name))


def keyring(name: str, *, born: datetime = NOON) -> Keyring:
    """The keyring of the server of that name: keys in memory, nothing on disk."""
    return Keyring(rsa_key(name), ed25519_key(name), ed25519_key(f"root of {name}"), born=born)


def rsa_pem(name: str) -> str:
    """The PKCS #8 PEM of the RSA-2048 key of that name: a to h, hub, stranger, peer, other.

    Any other name is given one of a to h, always the same one.
    """
    keys = _by_name()
    if name in keys:
        return keys[name]
    return keys["abcdefgh"[hashlib.sha256(name.encode()).digest()[0] % 8]]


def ed25519_seed(name: str) -> bytes:
    """The 32-byte seed of the Ed25519 key of that name; every name has its own."""
    return hashlib.sha256(f"a key of the tests: {name}".encode()).digest()


@cache
def _by_name() -> dict[str, str]:
    keys: dict[str, str] = {}
    for block in FILE.read_text().split(END)[:-1]:
        before, body = block.split(BEGIN)
        keys[before.split()[-1]] = f"{BEGIN}{body}{END}\n"
    return keys
