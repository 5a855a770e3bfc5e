"""The server's private keys: files that only the server's user may read, encrypted when a passphrase is set. Hands out signers, never bytes.

One RSA and one Ed25519 key sign for every actor of the server, each under the key ids of that actor. The organisation root is
a third key, which signs the list of intake keys; its file may be taken away and kept offline.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from federation.keys import PrivateKey, Signer, generate_ed25519, generate_rsa, load_private_key
from node.errors import Misconfigured
from node.settings import Settings

FRAGMENTS = {"rsa": "main-key", "ed25519": "ed25519-key"}
FILES = ("rsa.pem", "ed25519.pem", "root.pem")

Algorithm = Literal["rsa", "ed25519"]


@dataclass(frozen=True, slots=True)
class PublicHalf:
    """A key as an actor document shows it: PEM for RSA, Multibase for Ed25519."""

    key_id: str
    public: str


class Keyring:
    """The keys of one server.

    born  when they were made, which is when the server's actors were.
    """

    def __init__(
        self, rsa: PrivateKey, ed25519: PrivateKey, root: PrivateKey | None, *, born: datetime
    ) -> None:
        self._keys: dict[str, PrivateKey] = {"rsa": rsa, "ed25519": ed25519}
        self._root = root
        self.born = born
        self.signer = lru_cache(maxsize=1024)(self._signer)

    @classmethod
    def open(cls, settings: Settings) -> "Keyring":
        """Read the keys of the data directory, and make them where there are none yet. Raises Misconfigured.

        A key that is missing beside others is never replaced in silence: peers know the old one.
        """
        directory = settings.data / "keys"
        if not any((directory / name).exists() for name in FILES):
            _write(directory, settings.keyring_passphrase)
        missing = [name for name in FILES[:2] if not (directory / name).exists()]
        if missing:
            raise Misconfigured(f"{directory} has lost {', '.join(missing)}: restore it from the backup")
        keys = {name: _load(directory / name, settings.keyring_passphrase) for name in FILES}
        rsa, ed25519 = keys["rsa.pem"], keys["ed25519.pem"]
        if rsa is None or ed25519 is None:
            raise Misconfigured(f"{directory} cannot be read")
        born = datetime.fromtimestamp((directory / "ed25519.pem").stat().st_mtime, UTC).replace(microsecond=0)
        return cls(rsa, ed25519, keys["root.pem"], born=born)

    def public_keys(self, actor_id: str) -> tuple[PublicHalf, PublicHalf]:
        """The RSA and the Ed25519 key as the actor's document lists them."""
        rsa, ed25519 = (self.signer(actor_id, algorithm) for algorithm in ("rsa", "ed25519"))
        return PublicHalf(rsa.key_id, rsa.public.pem), PublicHalf(ed25519.key_id, ed25519.public.multibase)

    @property
    def root_id(self) -> str | None:
        """The organisation root as Multikey, or None when its key is kept elsewhere."""
        return self._root.public.multibase if self._root else None

    def root(self) -> Signer:
        """The organisation root, which signs intake manifests. Raises Misconfigured when it is kept offline."""
        if self._root is None:
            raise Misconfigured("the organisation root is not on this server")
        return self._root.signer(self._root.public.multibase)

    def _signer(self, actor_id: str, algorithm: Algorithm) -> Signer:
        return self._keys[algorithm].signer(f"{actor_id}#{FRAGMENTS[algorithm]}")

    def __repr__(self) -> str:
        return "Keyring(…)"


def _write(directory: Path, passphrase: str) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = {"rsa.pem": generate_rsa(), "ed25519.pem": generate_ed25519(), "root.pem": generate_ed25519()}
    for name, key in made.items():
        pem = load_pem_private_key(key.to_pem(), password=None).private_bytes(
            Encoding.PEM,
            PrivateFormat.PKCS8,
            BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption(),
        )
        handle = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())


def _load(path: Path, passphrase: str) -> PrivateKey | None:
    if not path.exists():
        return None
    try:
        key = load_pem_private_key(path.read_bytes(), password=passphrase.encode() if passphrase else None)
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"{path} cannot be opened: is TRACKER_KEYRING_PASSPHRASE right?") from error
    return load_private_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
