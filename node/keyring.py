"""The server's private keys. Hands out signers, never bytes; how they lie on the disk: keyfiles.py.

One RSA and one Ed25519 key sign for every actor of the server, each under the key ids of that actor. The organisation root is
a third key, which signs the list of intake keys; its file may be taken away and kept offline.

The first two can be rotated: the public halves of those before are kept with their dates, so that what they proved can be checked
for good; their private files may then be destroyed.
"""

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from federation.keys import PrivateKey, Signer, generate_ed25519, generate_rsa
from node.errors import Misconfigured
from node.keyfiles import (
    FILES,
    HISTORY,
    PUBLIC,
    ROOT_PUBLIC,
    Generation,
    Stamp,
    load_private,
    made_at,
    make_next,
    names_of,
    public_half,
    public_path,
    put_new,
    read_history,
    root_id_in,
    secret_in,
    stamp_of,
    write_private,
    write_public,
)
from node.settings import Settings

FRAGMENTS = {"rsa": "main-key", "ed25519": "ed25519-key"}

Algorithm = Literal["rsa", "ed25519"]


@dataclass(frozen=True, slots=True)
class PublicHalf:
    """A key as an actor document shows it: PEM for RSA, Multibase for Ed25519."""

    key_id: str
    public: str


@dataclass(frozen=True, slots=True)
class FormerKey:
    """An Ed25519 key of an actor that signs no more: what it proved before it was retired still holds.

    is_lost  it was not retired but lost or stolen, at that moment.
    """

    key_id: str
    public: str
    retired_at: datetime
    is_lost: bool = False


class Keyring:
    """The keys of one server.

    born     when the first were made, which is when the server's actors were.
    former   those that signed before, oldest first.
    stamp    how the files looked when they were read; None when they were not.
    secret   what stays when keys are rotated; without it, what is derived from it changes with the Ed25519 key.
    """

    def __init__(
        self,
        rsa: PrivateKey,
        ed25519: PrivateKey,
        root: PrivateKey | None,
        *,
        born: datetime,
        former: tuple[Generation, ...] = (),
        root_id: str | None = None,
        secret: bytes | None = None,
    ) -> None:
        self._keys: dict[str, PrivateKey] = {"rsa": rsa, "ed25519": ed25519}
        self._root = root
        self._root_id = root.public.multibase if root else root_id
        self.born = born
        self.former = former
        self.generation = len(former) + 1
        self.stamp: Stamp | None = None
        self._secret = secret or ed25519.signer("secret").sign(b"social-rights-tracker/secret/v1")
        self.signer = lru_cache(maxsize=1024)(self._signer)

    @classmethod
    def open(cls, settings: Settings) -> "Keyring":
        """Read the keys of the data directory, and make them where there are none yet. Raises Misconfigured.

        A key that is missing beside others is never replaced in silence: peers know the old one.
        """
        directory = settings.data / "keys"
        if not any((directory / name).exists() for name in (*FILES, HISTORY, ROOT_PUBLIC, *PUBLIC)):
            made = {
                "rsa.pem": generate_rsa(),
                "ed25519.pem": generate_ed25519(),
                "root.pem": generate_ed25519(),
            }
            write_private(directory, made, settings.keyring_passphrase)
        stamp = stamp_of(settings)
        former, born = read_history(directory)
        names = names_of(len(former) + 1)
        missing = [name for name in names if not (directory / name).exists()]
        if missing:
            raise Misconfigured(
                f"{directory} has lost {', '.join(missing)}: restore it from the backup; where there is none, "
                "`tracker keys replace-lost` makes new ones"
            )
        rsa, ed25519, root = (
            load_private(directory / name, settings.keyring_passphrase) for name in (*names, FILES[2])
        )
        if rsa is None or ed25519 is None:
            raise Misconfigured(f"{directory} cannot be read")
        with suppress(OSError):
            # Keys may lie where the server may only read: they are none the worse for it, until they are lost.
            write_public(directory, dict(zip(names, (rsa, ed25519), strict=True)))
        born = born or made_at(directory / names[1])
        opened = cls(
            rsa,
            ed25519,
            root,
            born=born,
            former=former,
            root_id=root_id_in(directory),
            secret=secret_in(directory),
        )
        opened.stamp = stamp
        return opened

    def take_over(self, newer: "Keyring") -> None:
        """Be the newer keyring from now on, for everybody who holds this one."""
        self._keys, self._root, self._root_id = newer._keys, newer._root, newer._root_id
        self._secret = newer._secret
        self.born, self.former, self.generation, self.stamp = (
            newer.born,
            newer.former,
            newer.generation,
            newer.stamp,
        )
        self.signer.cache_clear()

    def rotate(self, settings: Settings, *, now: datetime) -> "Keyring":
        """Make new federation keys, which sign from now on under new key ids; returns the keyring with them.

        The new private halves are on the disk before the one step that makes them count, so a power cut leaves either
        the old or the new. Who runs with the old keyring signs with the old keys until it takes over the new.
        """
        retired = Generation(
            number=self.generation,
            rsa=self._keys["rsa"].public.pem,
            ed25519=self._keys["ed25519"].public.multibase,
            made_at=self.former[-1].retired_at if self.former else self.born,
            retired_at=now.replace(microsecond=0),
        )
        former = (*self.former, retired)
        rsa, ed25519 = make_next(settings, former, born=self.born)
        return Keyring(
            rsa,
            ed25519,
            self._root,
            born=self.born,
            former=former,
            root_id=self._root_id,
            secret=self._secret,
        )

    @classmethod
    def replace_lost(
        cls,
        settings: Settings,
        *,
        since: datetime,
        now: datetime,
        stolen: bool = False,
        root: PrivateKey | None = None,
    ) -> "Keyring":
        """Make new federation keys in the place of those that nobody has any more, or that somebody else has.

        since   when they were lost: what they proved until then holds, and nothing later.
        stolen  they are still here; whoever else has them must not be able to go on.
        root    the organisation root that is to sign what is said of it, where it is kept offline.
        Raises Misconfigured: when no key is missing, when its public half is not there to be named, when the moment cannot be,
        when it is another root. Nothing is changed then.
        """
        directory = settings.data / "keys"
        former, born = read_history(directory)
        names = names_of(len(former) + 1)
        if all((directory / name).exists() for name in names) and not stolen:
            raise Misconfigured(
                "no key is missing: `tracker keys rotate` replaces those that are here, and --stolen those that others have too"
            )
        here = load_private(directory / FILES[2], settings.keyring_passphrase)
        known = here.public.multibase if here else root_id_in(directory)
        if root is not None and known not in (None, root.public.multibase):
            raise Misconfigured("that is not the root of this organisation")
        rsa, ed25519 = (public_half(directory, name) for name in names)
        if ed25519 is None:
            raise Misconfigured(
                f"{public_path(directory, names[1])} is not there: write the key's publicKeyMultibase into it, as another "
                "server knows it, or nobody can check any more what it proved"
            )
        # The file of the key itself is gone; its public half may have been put there later than it was made.
        since = since.replace(microsecond=0)
        born = born or min(since, made_at(public_path(directory, names[1])))
        begun = former[-1].retired_at if former else born
        if not begun <= since <= now:
            raise Misconfigured(
                f"a key that was made on {begun:%Y-%m-%d %H:%M} was not lost on {since:%Y-%m-%d %H:%M}"
            )
        lost = Generation(
            number=len(former) + 1,
            rsa=rsa or "",
            ed25519=ed25519,
            made_at=begun,
            retired_at=since,
            is_lost=True,
        )
        make_next(settings, (*former, lost), born=born)
        return cls.open(settings)

    def take_root_away(self, settings: Settings, copy: Path) -> None:
        """Move the organisation root's private key to `copy`, and keep its public half. Raises Misconfigured.

        The copy is on the disk and was read back before the original goes; there is no second one.
        """
        directory = settings.data / "keys"
        if self._root is None or self._root_id is None:
            raise Misconfigured("the organisation root is not on this server")
        if copy.absolute().is_relative_to(settings.data.absolute()):
            raise Misconfigured(f"{copy} lies in the data directory: name a place that leaves this server")
        put_new(copy, (directory / FILES[2]).read_bytes())
        again = load_private(copy, settings.keyring_passphrase)
        if again is None or again.public.multibase != self._root_id:
            raise Misconfigured(f"{copy} does not read back; nothing was removed")
        public = directory / ROOT_PUBLIC
        public.unlink(missing_ok=True)
        put_new(public, f"{self._root_id}\n".encode())
        (directory / FILES[2]).unlink()

    def former_keys(self, actor_id: str) -> tuple[FormerKey, ...]:
        """The Ed25519 keys with which the actor proved things before, newest first."""
        return tuple(
            FormerKey(
                f"{actor_id}#{_fragment('ed25519', one.number)}", one.ed25519, one.retired_at, one.is_lost
            )
            for one in reversed(self.former)
        )

    def public_keys(self, actor_id: str) -> tuple[PublicHalf, PublicHalf]:
        """The RSA and the Ed25519 key as the actor's document lists them."""
        rsa, ed25519 = (self.signer(actor_id, algorithm) for algorithm in ("rsa", "ed25519"))
        return PublicHalf(rsa.key_id, rsa.public.pem), PublicHalf(ed25519.key_id, ed25519.public.multibase)

    @property
    def root_id(self) -> str | None:
        """The organisation root as Multikey, wherever its key is kept; None when nothing is known of it any more."""
        return self._root_id

    @property
    def has_root(self) -> bool:
        """Whether this server can sign lists of keys itself."""
        return self._root is not None

    def secret(self, purpose: bytes) -> bytes:
        """32 bytes for one purpose that nobody else knows and that stay: across restarts and rotations, not across servers."""
        return hmac.digest(self._secret, purpose, hashlib.sha256)

    def root(self) -> Signer:
        """The organisation root, which signs intake manifests. Raises Misconfigured when it is kept offline."""
        if self._root is None:
            raise Misconfigured("the organisation root is not on this server")
        return self._root.signer(self._root.public.multibase)

    def root_prover(self) -> Signer | None:
        """The organisation root under the key id that a proof names it by; None when it is kept offline."""
        return None if self._root is None else as_prover(self._root)

    def _signer(self, actor_id: str, algorithm: Algorithm) -> Signer:
        return self._keys[algorithm].signer(f"{actor_id}#{_fragment(algorithm, self.generation)}")

    def __repr__(self) -> str:
        return "Keyring(…)"


def as_prover(root: PrivateKey) -> Signer:
    """A root key as the signer of a proof: it belongs to no actor, so it is named by itself (did:key)."""
    multibase = root.public.multibase
    return root.signer(f"did:key:{multibase}#{multibase}")


def _fragment(algorithm: Algorithm, generation: int) -> str:
    """A new key has a new id: whoever holds the old one under the old id has to ask."""
    return FRAGMENTS[algorithm] if generation == 1 else f"{FRAGMENTS[algorithm]}-{generation}"
