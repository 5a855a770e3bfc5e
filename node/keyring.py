"""The server's private keys: files that only the server's user may read, encrypted when a passphrase is set. Hands out signers, never bytes.

One RSA and one Ed25519 key sign for every actor of the server, each under the key ids of that actor. The organisation root is
a third key, which signs the list of intake keys; its file may be taken away and kept offline.

The first two can be rotated. `history.json` says which generation signs, and keeps the public halves of those before with their
dates, so that what they proved can be checked for good; their private files may then be destroyed. The public halves of those
that sign lie beside them, so that a key which is lost can still be named.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
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
HISTORY = "history.json"
# The public half of the organisation root, which stays when the private one is taken away.
ROOT_PUBLIC = "root.pub"
PUBLIC = ("rsa.pub", "ed25519.pub")

Algorithm = Literal["rsa", "ed25519"]
# What changes on the disk when keys are rotated, replaced or taken away: moment, size and inode of the files that say so.
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class PublicHalf:
    """A key as an actor document shows it: PEM for RSA, Multibase for Ed25519."""

    key_id: str
    public: str


@dataclass(frozen=True, slots=True)
class Generation:
    """The federation keys that signed until a day, as everybody may know them."""

    number: int
    rsa: str
    ed25519: str
    made_at: datetime
    retired_at: datetime
    is_lost: bool = False


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
    ) -> None:
        self._keys: dict[str, PrivateKey] = {"rsa": rsa, "ed25519": ed25519}
        self._root = root
        self._root_id = root.public.multibase if root else root_id
        self.born = born
        self.former = former
        self.generation = len(former) + 1
        self.stamp: Stamp | None = None
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
            _write(directory, made, settings.keyring_passphrase)
        stamp = stamp_of(settings)
        former, born = _history(directory)
        names = _names(len(former) + 1)
        missing = [name for name in names if not (directory / name).exists()]
        if missing:
            raise Misconfigured(
                f"{directory} has lost {', '.join(missing)}: restore it from the backup; where there is none, "
                "`tracker keys replace-lost` makes new ones"
            )
        rsa, ed25519, root = (
            _load(directory / name, settings.keyring_passphrase) for name in (*names, FILES[2])
        )
        if rsa is None or ed25519 is None:
            raise Misconfigured(f"{directory} cannot be read")
        with suppress(OSError):
            # Keys may lie where the server may only read: they are none the worse for it, until they are lost.
            _write_public(directory, dict(zip(names, (rsa, ed25519), strict=True)))
        born = born or _made_at(directory / names[1])
        opened = cls(rsa, ed25519, root, born=born, former=former, root_id=_root_id(directory))
        opened.stamp = stamp
        return opened

    def take_over(self, newer: "Keyring") -> None:
        """Be the newer keyring from now on, for everybody who holds this one."""
        self._keys, self._root, self._root_id = newer._keys, newer._root, newer._root_id
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
        rsa, ed25519 = _follow(settings, former, born=self.born)
        return Keyring(rsa, ed25519, self._root, born=self.born, former=former, root_id=self._root_id)

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
        former, born = _history(directory)
        names = _names(len(former) + 1)
        if all((directory / name).exists() for name in names) and not stolen:
            raise Misconfigured(
                "no key is missing: `tracker keys rotate` replaces those that are here, and --stolen those that others have too"
            )
        here = _load(directory / FILES[2], settings.keyring_passphrase)
        known = here.public.multibase if here else _root_id(directory)
        if root is not None and known not in (None, root.public.multibase):
            raise Misconfigured("that is not the root of this organisation")
        rsa, ed25519 = (_public_half(directory, name) for name in names)
        if ed25519 is None:
            raise Misconfigured(
                f"{_public_path(directory, names[1])} is not there: write the key's publicKeyMultibase into it, as another "
                "server knows it, or nobody can check any more what it proved"
            )
        # The file of the key itself is gone; its public half may have been put there later than it was made.
        since = since.replace(microsecond=0)
        born = born or min(since, _made_at(_public_path(directory, names[1])))
        made_at = former[-1].retired_at if former else born
        if not made_at <= since <= now:
            raise Misconfigured(
                f"a key that was made on {made_at:%Y-%m-%d %H:%M} was not lost on {since:%Y-%m-%d %H:%M}"
            )
        lost = Generation(
            number=len(former) + 1,
            rsa=rsa or "",
            ed25519=ed25519,
            made_at=made_at,
            retired_at=since,
            is_lost=True,
        )
        _follow(settings, (*former, lost), born=born)
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
        _put(copy, (directory / FILES[2]).read_bytes())
        again = _load(copy, settings.keyring_passphrase)
        if again is None or again.public.multibase != self._root_id:
            raise Misconfigured(f"{copy} does not read back; nothing was removed")
        public = directory / ROOT_PUBLIC
        public.unlink(missing_ok=True)
        _put(public, f"{self._root_id}\n".encode())
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


def read_key_file(path: Path, passphrase: str) -> PrivateKey:
    """A private key from its file, as on the machine where the organisation root is kept. Raises Misconfigured."""
    key = _load(path, passphrase)
    if key is None:
        raise Misconfigured(f"{path} is not there")
    return key


def stamp_of(settings: Settings) -> Stamp:
    """How the files look now that say which keys there are."""

    def look(path: Path) -> tuple[int, int, int] | None:
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    return tuple(look(settings.data / "keys" / name) for name in (HISTORY, FILES[2], ROOT_PUBLIC))


def as_prover(root: PrivateKey) -> Signer:
    """A root key as the signer of a proof: it belongs to no actor, so it is named by itself (did:key)."""
    multibase = root.public.multibase
    return root.signer(f"did:key:{multibase}#{multibase}")


def _follow(
    settings: Settings, former: tuple[Generation, ...], *, born: datetime
) -> tuple[PrivateKey, PrivateKey]:
    """Make the keys of the generation after these, which sign from now on."""
    directory = settings.data / "keys"
    names = _names(len(former) + 1)
    for name in names:
        # Left over from a rotation that was cut short: nobody has ever seen it.
        (directory / name).unlink(missing_ok=True)
        _public_path(directory, name).unlink(missing_ok=True)
    rsa, ed25519 = generate_rsa(), generate_ed25519()
    made = dict(zip(names, (rsa, ed25519), strict=True))
    _write(directory, made, settings.keyring_passphrase)
    _write_public(directory, made)
    _remember(directory, former, born=born)
    return rsa, ed25519


def _fragment(algorithm: Algorithm, generation: int) -> str:
    """A new key has a new id: whoever holds the old one under the old id has to ask."""
    return FRAGMENTS[algorithm] if generation == 1 else f"{FRAGMENTS[algorithm]}-{generation}"


def _names(generation: int) -> tuple[str, str]:
    return (FILES[0], FILES[1]) if generation == 1 else (f"rsa-{generation}.pem", f"ed25519-{generation}.pem")


def _made_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)


def _history(directory: Path) -> tuple[tuple[Generation, ...], datetime | None]:
    """The generations that signed before, and when the first was made. Raises Misconfigured."""
    path = directory / HISTORY
    if not path.exists():
        return (), None
    try:
        told = json.loads(path.read_text("utf-8"))
        former = tuple(
            Generation(
                number=int(one["number"]),
                rsa=str(one["rsa"]),
                ed25519=str(one["ed25519"]),
                made_at=datetime.fromisoformat(one["made_at"]),
                retired_at=datetime.fromisoformat(one["retired_at"]),
                is_lost=bool(one.get("lost", False)),
            )
            for one in told["former"]
        )
        born = datetime.fromisoformat(told["born"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{path} cannot be read: restore it from the backup") from error
    if [one.number for one in former] != list(range(1, len(former) + 1)):
        raise Misconfigured(f"{path} leaves keys out: restore it from the backup")
    return former, born


def _remember(directory: Path, former: tuple[Generation, ...], *, born: datetime) -> None:
    told = {
        "born": born.isoformat(),
        "former": [
            {
                "number": one.number,
                "rsa": one.rsa,
                "ed25519": one.ed25519,
                "made_at": one.made_at.isoformat(),
                "retired_at": one.retired_at.isoformat(),
                "lost": one.is_lost,
            }
            for one in former
        ],
    }
    fresh = directory / f"{HISTORY}.new"
    fresh.unlink(missing_ok=True)
    _put(fresh, json.dumps(told, indent=2).encode())
    fresh.replace(directory / HISTORY)


def _write(directory: Path, made: Mapping[str, PrivateKey], passphrase: str) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, key in made.items():
        pem = load_pem_private_key(key.to_pem(), password=None).private_bytes(
            Encoding.PEM,
            PrivateFormat.PKCS8,
            BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption(),
        )
        _put(directory / name, pem)


def _write_public(directory: Path, made: Mapping[str, PrivateKey]) -> None:
    """Put the public half of each key beside it, where it is not there yet."""
    for name, key in made.items():
        path = _public_path(directory, name)
        if not path.exists():
            shown = key.public.pem if name.startswith("rsa") else f"{key.public.multibase}\n"
            _put(path, shown.encode("ascii"))


def _public_path(directory: Path, name: str) -> Path:
    return (directory / name).with_suffix(".pub")


def _public_half(directory: Path, name: str) -> str | None:
    path = _public_path(directory, name)
    return path.read_text("ascii").strip() if path.exists() else None


def _root_id(directory: Path) -> str | None:
    public = directory / ROOT_PUBLIC
    return public.read_text("ascii").strip() if public.exists() else None


def _put(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
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
