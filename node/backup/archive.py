"""The file of a backup: a tar with the database, the sealed files, the keys, and last a signed manifest; sealed as a whole to one
hybrid recipient where one is given.

It has its name only when everything is in it and on the disk, so what is cut short either has no name or no manifest. Reading
takes nothing for granted: only names that a backup has, each once, as plain files.
"""

import base64
import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Protocol

import msgspec

from federation.errors import FederationError
from federation.keys import Signer, read_multibase
from node.errors import NodeError
from node.sealing.age import SealWriter, open_sealed_stream
from node.sealing.errors import InvalidIdentity, NotForThisKey, SealingError

FORMAT = 1
DATABASE = "database.sqlite"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
KEY_FILES = re.compile(r"(rsa|ed25519)(-[1-9][0-9]{0,5})?\.(pem|pub)|root\.(pem|pub)|secret|history\.json")
NAMES = re.compile(
    rf"{re.escape(DATABASE)}|blobs/([0-9a-f]{{2}})/\1[0-9a-f]{{62}}|keys/({KEY_FILES.pattern})"
    rf"|{re.escape(MANIFEST)}|{re.escape(SIGNATURE)}"
)
ARCHIVES = re.compile(r"tracker-[0-9]{8}T[0-9]{6}Z(_[0-9]+)?\.tar(\.age)?")
CHUNK_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 512 * 1024 * 1024
# The same key signs other things: nothing of them can be taken for a manifest.
PURPOSE = b"social-rights-tracker/backup/v1\n"

# What is being done, how much of it is done, and how much there is.
Tell = Callable[[str, int, int], None]


class BadBackup(NodeError):
    """A backup cannot be made, read, or believed."""

    public = "The backup does not hold."


class File(msgspec.Struct, frozen=True):
    """One file of a backup."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself.

    settings   those that are no secret, as the server had them.
    database   which database it was copied from.
    revision   the shape of the database: its newest migration.
    rows       table → how many.
    audit      length and head of the record of who did what.
    missing    sealed files that the database names and that were not on the disk, or not whole.
    gone       sealed files that were deleted, with what named them, while the backup was made.
    """

    format: int
    version: str
    made_at: datetime
    settings: dict[str, str]
    database: str
    revision: str
    rows: dict[str, int]
    audit: tuple[int, str]
    with_keys: bool
    missing: tuple[str, ...]
    gone: tuple[str, ...]
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in an archive.

    files  name → as it was read, without the manifest.
    key    the Ed25519 key, as Multikey, whose signature over the manifest holds.
    """

    manifest: Manifest
    files: Mapping[str, File]
    key: str


def archives_in(directory: Path) -> list[Path]:
    """The backups of a directory, oldest first."""
    return sorted(path for path in directory.iterdir() if ARCHIVES.fullmatch(path.name) and path.is_file())


def newest_in(place: Path) -> Path:
    """The backup at a place: the file itself, or the newest of a directory. Raises BadBackup."""
    if place.is_file():
        return place
    if not place.is_dir():
        raise BadBackup(f"{place} is not there")
    found = archives_in(place)
    if not found:
        raise BadBackup(f"there is no backup in {place}: `tracker backup {place}` makes one")
    return found[-1]


# ---- writing ------------------------------------------------------------------------------------------------------


class Writer:
    """Adds files to an archive that has no name yet."""

    def __init__(self, out: "_Sink") -> None:
        self._tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # closed by `close`
        self.files: list[File] = []

    def add(self, name: str, path: Path) -> File:
        """Add a file as it is now; says what was read. Raises FileNotFoundError."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            source = _Counted(file)
            try:
                self._tar.addfile(_member(name, size), source)
            except OSError as error:
                # tarfile's word for a file that became shorter while it was read.
                if str(error) == "unexpected end of data":
                    raise BadBackup(f"{path} changed while it was read: try again") from error
                raise
        self.files.append(File(name, size, source.digest.hexdigest()))
        return self.files[-1]

    def close(self, manifest: Manifest, signer: Signer) -> None:
        """Add the manifest and its signature, which end the archive."""
        said = msgspec.json.encode(manifest)
        signature = base64.b64encode(signer.sign(PURPOSE + said)).decode()
        for name, content in (
            (MANIFEST, said),
            (SIGNATURE, f"{signer.public.multibase} {signature}\n".encode()),
        ):
            self._tar.addfile(_member(name, len(content)), BytesIO(content))
        self._tar.close()


@contextmanager
def writing(place: Path, recipient: str = "") -> Iterator[Writer]:
    """A new archive, for its owner alone; it has its name when the block ends well, and is gone when it does not.

    recipient  seals the whole archive to this hybrid recipient. Raises InvalidRecipient.
    """
    part = place.with_name(f".{place.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            sink = _Sink(file, SealWriter(recipient) if recipient else None)
            try:
                yield Writer(sink)
                sink.end()
            finally:
                # tarfile writes the rest of what it holds when it is forgotten: not into a file that is gone.
                sink.is_shut = True
            file.flush()
            os.fsync(file.fileno())
        part.rename(place)
        _sync(place.parent)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


class _Sink(RawIOBase):
    """Where tarfile writes: the file, or the file through the seal."""

    def __init__(self, file: BinaryIO, seal: SealWriter | None) -> None:
        super().__init__()
        self._file, self._seal = file, seal
        self.is_shut = False
        if seal:
            file.write(seal.start())

    def write(self, piece: Any) -> int:  # Any: bytes, in the words of its base
        if not self.is_shut:
            self._file.write(self._seal.write(piece) if self._seal else piece)
        return len(piece)

    def end(self) -> None:
        if self._seal:
            self._file.write(self._seal.close())


class _Counted:
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


def _member(name: str, size: int) -> tarfile.TarInfo:
    # No owner and no time: those of a sealed file would tell when a source wrote.
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- reading ------------------------------------------------------------------------------------------------------


class Keep(Protocol):
    """Says where a file of an archive is to be written; None when it is only to be read."""

    def __call__(self, name: str, /) -> Path | None: ...


def read(archive: Path, keep: Keep, *, identity: str = "", tell: Tell) -> Contents:
    """Read an archive from its beginning to its end, and write what is to be kept.

    identity  opens a sealed one. What was written must be thrown away when this ends in an error, and believed only as far as
              the manifest says the same.
    Raises BadBackup: not a backup, cut short, changed, sealed to somebody else, with a manifest that nobody signed.
    """
    try:
        with archive.open("rb") as file:
            chunks = _chunks(file, archive.stat().st_size, tell)
            if archive.name.endswith(".age"):
                if not identity:
                    raise BadBackup(
                        f"{archive.name} is sealed: --identity FILE names the file with the key that opens it"
                    )
                chunks = open_sealed_stream(chunks, identity)
            return _walk(_Flow(chunks), keep, archive.name)
    except InvalidIdentity as error:
        raise BadBackup("the identity is none: its file holds one line AGE-SECRET-KEY-PQ-1…") from error
    except NotForThisKey as error:
        raise BadBackup(f"{archive.name} is sealed to another identity") from error
    except (SealingError, tarfile.TarError, EOFError) as error:
        raise BadBackup(f"{archive.name} is cut short, changed, or no backup of `tracker backup`") from error


def read_signed(manifest: bytes, signature: bytes) -> tuple[Manifest, str]:
    """(the manifest, the key that signed it). Raises BadBackup."""
    try:
        key, _, signed = signature.decode("ascii").strip().partition(" ")
        holds = read_multibase(key).verify(base64.b64decode(signed, validate=True), PURPOSE + manifest)
    except (ValueError, FederationError):
        holds = False
    if not holds:
        raise BadBackup("the manifest is not the one that was signed: the backup was changed")
    try:
        told = msgspec.json.decode(manifest, type=_Format).format
        if told != FORMAT:
            raise BadBackup(
                f"the backup has format {told}, and this version knows {FORMAT}: take a newer one"
            )
        return msgspec.json.decode(manifest, type=Manifest), key
    except msgspec.MsgspecError as error:
        raise BadBackup("the manifest cannot be read") from error


class _Format(msgspec.Struct, frozen=True):
    format: int


def _walk(flow: "_Flow", keep: Keep, archive: str) -> Contents:
    found: dict[str, File] = {}
    ends: dict[str, bytes] = {}
    with tarfile.open(fileobj=flow, mode="r|") as tar:
        for member in tar:
            # A sparse one says that it is larger than what is in the archive.
            if (
                not member.isreg()
                or member.issparse()
                or not NAMES.fullmatch(member.name)
                or member.name in found
            ):
                raise BadBackup(f"{archive} holds something that no backup holds")
            content = tar.extractfile(member)
            if content is None or SIGNATURE in ends:
                raise BadBackup(f"{archive} holds something that no backup holds")
            if member.name in (MANIFEST, SIGNATURE):
                if member.size > MAX_MANIFEST_BYTES:
                    raise BadBackup("the manifest is too large")
                ends[member.name] = content.read()
            else:
                found[member.name] = _take(member.name, content, keep)
    if set(ends) != {MANIFEST, SIGNATURE}:
        raise BadBackup(f"{archive} is cut short: its manifest, which comes last, is not in it")
    manifest, key = read_signed(ends[MANIFEST], ends[SIGNATURE])
    return Contents(manifest, found, key)


def _take(name: str, content: IO[bytes], keep: Keep) -> File:
    place, size, digest = keep(name), 0, hashlib.sha256()
    out: BinaryIO | None = None
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        out = os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    try:
        while chunk := content.read(CHUNK_BYTES):
            size += len(chunk)
            digest.update(chunk)
            if out:
                out.write(chunk)
        if out:
            out.flush()
            os.fsync(out.fileno())
    finally:
        if out:
            out.close()
    return File(name, size, digest.hexdigest())


def _chunks(file: BinaryIO, total: int, tell: Tell) -> Iterator[bytes]:
    done = 0
    while chunk := file.read(CHUNK_BYTES):
        done += len(chunk)
        tell("reading the backup", done, total)
        yield chunk


class _Flow(RawIOBase):
    """What tarfile reads from: an iterator as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._pending = b""

    def read(self, size: int = -1) -> bytes:
        pieces: list[bytes] = []
        while size > 0:
            if not self._pending:
                self._pending = next(self._chunks, b"")
                if not self._pending:
                    break
            pieces.append(self._pending[:size])
            self._pending = self._pending[size:]
            size -= len(pieces[-1])
        return b"".join(pieces)


QUIET: Final[Tell] = lambda _what, _done, _total: None  # noqa: E731  # a default that says nothing
