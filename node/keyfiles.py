"""How keys lie on the disk: files that only the server's user may read, encrypted when a passphrase is set; and what says which of them sign.

`history.json` says which generation signs, and keeps the public halves of those before with their dates. The public halves of
those that sign lie beside them, so that a key which is lost can still be named.
"""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from federation.errors import InvalidKey
from federation.keys import PrivateKey, generate_ed25519, generate_rsa, load_private_key
from node.errors import Misconfigured
from node.settings import Settings

FILES = ("rsa.pem", "ed25519.pem", "root.pem")
HISTORY = "history.json"
# The public half of the organisation root, which stays when the private one is taken away.
ROOT_PUBLIC = "root.pub"
PUBLIC = ("rsa.pub", "ed25519.pub")
# What is derived from it stays when keys are rotated.
SECRET = "secret"
SECRET_BYTES = 32

# What changes on the disk when keys are rotated, replaced or taken away: moment, size and inode of the files that say so.
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """The federation keys that signed until a day, as everybody may know them."""

    number: int
    rsa: str
    ed25519: str
    made_at: datetime
    retired_at: datetime
    is_lost: bool = False


def read_key_file(path: Path, passphrase: str) -> PrivateKey:
    """A private key from its file, as on the machine where the organisation root is kept. Raises Misconfigured."""
    key = load_private(path, passphrase)
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


def make_next(
    settings: Settings, former: tuple[Generation, ...], *, born: datetime
) -> tuple[PrivateKey, PrivateKey]:
    """Make the keys of the generation after these, which sign from now on."""
    directory = settings.data / "keys"
    names = names_of(len(former) + 1)
    for name in names:
        # Left over from a rotation that was cut short: nobody has ever seen it.
        (directory / name).unlink(missing_ok=True)
        public_path(directory, name).unlink(missing_ok=True)
    rsa, ed25519 = generate_rsa(), generate_ed25519()
    made = dict(zip(names, (rsa, ed25519), strict=True))
    write_private(directory, made, settings.keyring_passphrase)
    write_public(directory, made)
    write_history(directory, former, born=born)
    return rsa, ed25519


def secret_in(directory: Path) -> bytes | None:
    """Random bytes that are made once; None where they are not and cannot be. Raises Misconfigured."""
    path = directory / SECRET
    if not path.exists():
        fresh = directory / f"{SECRET}.{secrets.token_hex(4)}"
        # Where nothing can be written, no key can be rotated either. And another process may do the same just now: the first counts.
        with suppress(OSError):
            put_new(fresh, secrets.token_hex(SECRET_BYTES).encode("ascii"))
            with suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
    if not path.exists():
        return None
    try:
        secret = bytes.fromhex(path.read_text("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise Misconfigured(f"{path} cannot be read: restore it from the backup")
    return secret


def names_of(generation: int) -> tuple[str, str]:
    """The names of the private files of a generation: RSA, Ed25519."""
    return (FILES[0], FILES[1]) if generation == 1 else (f"rsa-{generation}.pem", f"ed25519-{generation}.pem")


def made_at(path: Path) -> datetime:
    """When a file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)


def read_history(directory: Path) -> tuple[tuple[Generation, ...], datetime | None]:
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


def write_history(directory: Path, former: tuple[Generation, ...], *, born: datetime) -> None:
    """Say which generations signed before; in one step, which is the one that makes the next count."""
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
    put_new(fresh, json.dumps(told, indent=2).encode())
    fresh.replace(directory / HISTORY)


def write_private(directory: Path, made: Mapping[str, PrivateKey], passphrase: str) -> None:
    """Write private keys, each to a file of its own that is not there yet."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, key in made.items():
        put_new(directory / name, key.to_pem(passphrase))


def write_public(directory: Path, made: Mapping[str, PrivateKey]) -> None:
    """Put the public half of each key beside it, where it is not there yet."""
    for name, key in made.items():
        path = public_path(directory, name)
        if not path.exists():
            shown = key.public.pem if name.startswith("rsa") else f"{key.public.multibase}\n"
            put_new(path, shown.encode("ascii"))


def public_path(directory: Path, name: str) -> Path:
    """Where the public half of a private file lies."""
    return (directory / name).with_suffix(".pub")


def public_half(directory: Path, name: str) -> str | None:
    """The public half of a private file, as text; None when it is not there."""
    path = public_path(directory, name)
    return path.read_text("ascii").strip() if path.exists() else None


def root_id_in(directory: Path) -> str | None:
    """The public half of the organisation root that was taken away; None when nothing is known of it."""
    public = directory / ROOT_PUBLIC
    return public.read_text("ascii").strip() if public.exists() else None


def put_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, to the disk itself."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load_private(path: Path, passphrase: str) -> PrivateKey | None:
    """The key of a file; None when it is not there. Raises Misconfigured."""
    if not path.exists():
        return None
    try:
        return load_private_key(path.read_bytes(), passphrase)
    except InvalidKey as error:
        raise Misconfigured(f"{path} cannot be opened: is TRACKER_KEYRING_PASSPHRASE right?") from error
