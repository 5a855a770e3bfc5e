"""`tracker backup`: a copy of a running node. The database first, then the files that it names, then the keys, then what it all is."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import select

from node import __version__
from node.backup.archive import (
    ARCHIVES,
    DATABASE,
    FORMAT,
    KEY_FILES,
    QUIET,
    BadBackup,
    Manifest,
    Tell,
    Writer,
    archives_in,
    writing,
)
from node.backup.snapshot import Facts, copy_database, facts_of, sqlite_path
from node.database import Database
from node.errors import WrongState
from node.intake.alerts import UploadPart
from node.keyfiles import HISTORY, put_new
from node.keyring import Keyring
from node.sealing import is_hybrid_recipient
from node.settings import Settings

NOTE = "last-backup.json"
LOCK = ".backup.lock"
STAGE = ".backup-"
# Of restoring and of looking, which may go on just now.
OTHER_STAGES = (".restore-", ".verify-")
STAGE_LIVES = timedelta(days=1)
# What a settings file says and a backup may: no address of a database, no token, no passphrase, no path of this machine.
TOLD = (
    "origin",
    "role",
    "name",
    "languages",
    "federation",
    "authorized_fetch",
    "trusted_proxies",
    "onion",
    "hub",
    "states",
    "allow_loopback",
    "fictional",
    "plain_door",
)
NAMES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made.

    missing  sealed files that the database names and that were not on the disk, or not whole: the rest is in the backup.
    """

    path: Path
    files: int
    size: int
    missing: tuple[str, ...]
    removed: tuple[Path, ...]


class Last(msgspec.Struct, frozen=True):
    """What the data directory remembers of the last backup."""

    made_at: datetime
    path: str
    missing: int


async def back_up(
    settings: Settings,
    directory: Path,
    *,
    now: datetime,
    recipient: str = "",
    with_keys: bool = True,
    keep: int = 0,
    tell: Tell = QUIET,
) -> Made:
    """Write a new backup into a directory, while the node runs or not; nothing that is there is touched.

    recipient  seals it: only who holds the identity opens it.
    keep       this many stay, older ones go; 0 for all. Nothing goes when the new one lacks something.
    Raises BadBackup, Misconfigured, WrongState (another one is being made); then there is no new file.
    """
    if recipient and not is_hybrid_recipient(recipient):
        raise BadBackup("a backup is sealed to a recipient age1pq1…: `tracker keys backup FILE` makes one")
    keys = settings.data / "keys"
    if not keys.is_dir():
        raise BadBackup(f"{keys} is not there: TRACKER_DATA names the data directory of a node")
    with ExitStack() as stack:
        stack.enter_context(_alone(settings.data))
        _sweep(settings.data, directory, now)
        # Opened after the look above: where there are no keys, it would make some.
        signer = (await asyncio.to_thread(Keyring.open, settings)).signer(settings.main_actor, "ed25519")
        # Beside the database itself and not beside the backups: a sealed one leaves nothing open where it lies.
        stage = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix=STAGE, dir=settings.data.absolute()))
        )
        await copy_database(settings, stage / DATABASE, tell)
        facts = await asyncio.to_thread(facts_of, stage / DATABASE)
        place = _free(directory, now, ".tar.age" if recipient else ".tar")
        with writing(place, recipient) as writer:
            await asyncio.to_thread(writer.add, DATABASE, stage / DATABASE)
            lost = await asyncio.to_thread(_add_blobs, writer, settings.data, facts.named, tell)
            missing = await _still_named(settings, lost)
            if with_keys:
                await asyncio.to_thread(_add_keys, writer, keys)
            manifest = _manifest(settings, facts, writer, now, missing, lost, with_keys=with_keys)
            await asyncio.to_thread(writer.close, manifest, signer)
        removed = _thin(directory, keep) if keep and not missing else ()
        _remember(settings.data, Last(now, str(place.absolute()), len(missing)))
    return Made(place, len(manifest.files), place.stat().st_size, missing, removed)


def last_backup(settings: Settings) -> Last | None:
    """The last backup of this data directory, wherever it lies by now; None when none was made or nothing can be told."""
    try:
        return msgspec.json.decode((settings.data / NOTE).read_bytes(), type=Last)
    except (OSError, msgspec.MsgspecError):
        return None


def _add_blobs(writer: Writer, data: Path, named: Iterable[str], tell: Tell) -> set[str]:
    """Add the sealed files that the database names; returns those that are not there, or not what they are named by."""
    lost: set[str] = set()
    names = sorted(named)
    for done, name in enumerate(names, 1):
        try:
            added = writer.add(f"blobs/{name[:2]}/{name}", data / "blobs" / name[:2] / name)
            if added.sha256 != name:
                lost.add(name)
        except FileNotFoundError:
            lost.add(name)
        tell("sealed files", done, len(names))
    return lost


def _add_keys(writer: Writer, keys: Path) -> None:
    # What says which keys sign comes first: it is written after the keys that it names, should they change just now.
    for path in sorted(keys.iterdir(), key=lambda one: (one.name != HISTORY, one.name)):
        if KEY_FILES.fullmatch(path.name) and path.is_file():
            writer.add(f"keys/{path.name}", path)


async def _still_named(settings: Settings, lost: set[str]) -> tuple[str, ...]:
    """Those that the database names now, too: the others were deleted with what named them, and nobody misses them."""
    names, still = sorted(lost), set[str]()
    if not names:
        return ()
    database = Database(settings.database_url)
    try:
        async with database.read() as session:
            for start in range(0, len(names), NAMES_AT_ONCE):
                some = names[start : start + NAMES_AT_ONCE]
                still |= set(await session.scalars(select(UploadPart.blob).where(UploadPart.blob.in_(some))))
    finally:
        await database.close()
    return tuple(sorted(still))


def _manifest(
    settings: Settings,
    facts: Facts,
    writer: Writer,
    now: datetime,
    missing: tuple[str, ...],
    lost: set[str],
    *,
    with_keys: bool,
) -> Manifest:
    told = {field.name: getattr(settings, field.name) for field in fields(settings) if field.name in TOLD}
    return Manifest(
        format=FORMAT,
        version=__version__,
        made_at=now,
        settings={
            name: " ".join(value) if isinstance(value, tuple) else str(value) for name, value in told.items()
        },
        database="sqlite" if sqlite_path(settings.database_url) else "postgresql",
        revision=facts.revision,
        rows=dict(facts.rows),
        audit=facts.audit,
        with_keys=with_keys,
        missing=missing,
        gone=tuple(sorted(lost - set(missing))),
        files=tuple(writer.files),
    )


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One backup of a node at a time. Raises WrongState."""
    handle = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WrongState("another backup of this node is being made: wait for it") from None
        yield
    finally:
        os.close(handle)


def _sweep(data: Path, directory: Path, now: datetime) -> None:
    """Remove what was left by those that were cut short: copies of a database would outlive what is deleted in it."""
    for stage in data.iterdir():
        if not stage.name.startswith((STAGE, *OTHER_STAGES)) or not stage.is_dir():
            continue
        begun = datetime.fromtimestamp(stage.stat().st_mtime, UTC)
        if stage.name.startswith(STAGE) or now - begun > STAGE_LIVES:
            shutil.rmtree(stage)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part in directory.glob(".tracker-*.part"):
        if ARCHIVES.fullmatch(part.name[1:].removesuffix(".part")):
            part.unlink()


def _free(directory: Path, now: datetime, ending: str) -> Path:
    """A name that nothing has: the moment, and a number where one second has several."""
    name, number = f"tracker-{now:%Y%m%dT%H%M%SZ}", 1
    taken: Callable[[str], bool] = lambda one: any(  # noqa: E731
        (directory / f"{one}{end}").exists() for end in (".tar", ".tar.age")
    )
    found = name
    while taken(found):
        number += 1
        found = f"{name}_{number}"
    return directory / f"{found}{ending}"


def _thin(directory: Path, keep: int) -> tuple[Path, ...]:
    old = archives_in(directory)[:-keep]
    for path in old:
        path.unlink()
    return tuple(old)


def _remember(data: Path, last: Last) -> None:
    fresh = data / f"{NOTE}.new"
    fresh.unlink(missing_ok=True)
    put_new(fresh, msgspec.json.encode(last))
    fresh.replace(data / NOTE)
