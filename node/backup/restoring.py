"""`tracker restore`: whether a backup would bring its node back, and the way back. Everything is looked at before anything is put
in place, and where something does not hold nothing is.
"""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from node import audit
from node.backup.archive import DATABASE, QUIET, BadBackup, Contents, Tell, newest_in, read
from node.backup.snapshot import Facts, facts_of, faults_of, fill_postgresql, rows_in, sqlite_path
from node.database import Database
from node.errors import Misconfigured, NodeError, WrongState
from node.keyring import Keyring
from node.migrations import migrate, newest
from node.settings import Settings
from node.upkeep.backfill import read_all_back

BESIDES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: it holds, or `says` how to mend it."""

    name: str
    ok: bool
    says: str


async def examine(
    place: Path, settings: Settings | None, *, identity: str = "", passphrase: str = "", tell: Tell = QUIET
) -> list[Check]:
    """Look whether a backup would bring its node back, in a temporary place; nothing is changed.

    settings    of the node that it is for, where they are at hand: then it must be of that node.
    identity    opens a sealed one. passphrase: of the keys, where they have one.
    """
    # Where there is a node: its disk has room for the database, which then lies where the other one does.
    beside = settings.data.absolute() if settings is not None and settings.data.is_dir() else None
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=beside) as made:
        stage = Path(made)
        try:
            contents = await asyncio.to_thread(
                _unpack, newest_in(place), stage, identity, tell, with_blobs=False
            )
        except BadBackup as error:
            return [Check("backup", False, f"{error}. Take another one, and find out what happened to this")]
        return [check async for check in _checks(contents, stage, settings, passphrase)]


async def restore(
    place: Path,
    settings: Settings,
    *,
    now: datetime,
    identity: str = "",
    over: bool = False,
    tell: Tell = QUIET,
) -> list[Check]:
    """Bring the node of a backup back; returns what was looked at before.

    over  there is a node already, and it goes: its files are put aside in the data directory, its rows in PostgreSQL are replaced.
    Raises WrongState (there is a node already), BadBackup (something does not hold); then nothing was changed.
    """
    archive = newest_in(place)
    if not over:
        await _refuse_to_overwrite(settings)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.data.absolute()) as made:
        stage = Path(made)
        contents = await asyncio.to_thread(_unpack, archive, stage, identity, tell, with_blobs=True)
        found = [check async for check in _checks(contents, stage, settings, settings.keyring_passphrase)]
        wrong = [check.says for check in found if not check.ok]
        if wrong:
            raise BadBackup("; ".join(wrong))
        if contents.manifest.with_keys and not over and (settings.data / "keys").exists():
            raise WrongState(f"{settings.data / 'keys'} is not empty, and the backup has keys of its own")
        await _listen_again(stage / DATABASE, now)
        await _put_in_place(stage, settings, now, tell)
    return found


# ---- looking ------------------------------------------------------------------------------------------------------


def _unpack(archive: Path, stage: Path, identity: str, tell: Tell, *, with_blobs: bool) -> Contents:
    def keep(name: str) -> Path | None:
        return stage / name if with_blobs or not name.startswith("blobs/") else None

    return read(archive, keep, identity=identity, tell=tell)


async def _checks(
    contents: Contents, stage: Path, settings: Settings | None, passphrase: str
) -> AsyncIterator[Check]:
    manifest = contents.manifest
    yield Check(
        "backup",
        True,
        f"of {manifest.settings.get('origin')}, made {manifest.made_at:%Y-%m-%d %H:%M} UTC by version {manifest.version}, "
        f"signed by {contents.key}",
    )
    if settings is not None:
        yield _origin(contents, settings)
    yield _files(contents)
    known = manifest.revision.isdigit() and manifest.revision <= newest()
    yield Check(
        "shape",
        known,
        f"migration {manifest.revision}"
        if known
        else f"migration {manifest.revision} is newer than {newest()}, which is the newest of this version: take the version "
        f"that made it ({manifest.version}) or a later one",
    )
    facts, check = await asyncio.to_thread(_database, contents, stage / DATABASE)
    yield check
    if facts is not None:
        yield _blobs(contents, facts)
    if facts is not None and known:
        yield await _audit(contents, stage / DATABASE)
    yield await asyncio.to_thread(_keys, contents, stage, settings, passphrase)


def _origin(contents: Contents, settings: Settings) -> Check:
    theirs = contents.manifest.settings.get("origin"), contents.manifest.settings.get("role")
    if theirs == (settings.origin, settings.role):
        return Check("node", True, "the one that the settings name")
    return Check(
        "node",
        False,
        f"a backup of {theirs[0]} as a {theirs[1]}, and the settings name {settings.origin} as a {settings.role}: "
        "check TRACKER_ORIGIN and TRACKER_ROLE, or take the other backup",
    )


def _files(contents: Contents) -> Check:
    listed = {file.name: file for file in contents.manifest.files}
    if lacking := sorted(set(listed) - set(contents.files)):
        return Check("files", False, f"{_named(lacking)} is missing from the backup: take another one")
    if foreign := sorted(set(contents.files) - set(listed)):
        return Check("files", False, f"{_named(foreign)} is not in the manifest: take another backup")
    if changed := sorted(name for name, file in listed.items() if contents.files[name] != file):
        return Check(
            "files", False, f"{_named(changed)} is not the one that was backed up: take another backup"
        )
    return Check("files", True, f"{len(listed)} files, each as the manifest says")


def _database(contents: Contents, copy: Path) -> tuple[Facts | None, Check]:
    name = "database"
    if DATABASE not in contents.files:
        return None, Check(name, False, "the backup holds no database: take another one")
    if fault := faults_of(copy):
        return None, Check(name, False, f"the database is damaged ({fault}): take another backup")
    try:
        facts = facts_of(copy)
    except BadBackup as error:
        return None, Check(name, False, str(error))
    manifest = contents.manifest
    if (facts.revision, facts.rows, facts.audit) != (manifest.revision, manifest.rows, manifest.audit):
        return None, Check(
            name, False, "the database holds something else than the manifest says: take another backup"
        )
    return facts, Check(
        name,
        True,
        f"whole, {sum(facts.rows.values())} rows in {len(facts.rows)} tables, as the manifest says",
    )


def _blobs(contents: Contents, facts: Facts) -> Check:
    name, manifest = "sealed files", contents.manifest
    here = {
        found.name.rpartition("/")[2]: found
        for found in contents.files.values()
        if found.name.startswith("blobs/")
    }
    if damaged := sorted(blob for blob, found in here.items() if found.sha256 != blob):
        return Check(
            name,
            False,
            f"{_short(damaged)} damaged when the backup was made: look for {'it' if len(damaged) == 1 else 'them'} in an "
            "older backup",
        )
    # What waits to be claimed may have been swept away meanwhile, and its source sends it again.
    gone = set(manifest.gone) | {blob for blob, claimed in facts.named.items() if not claimed}
    if missing := sorted(set(facts.named) - set(here) - gone):
        return Check(
            name,
            False,
            f"{_short(missing)} missing, though the database names {'it' if len(missing) == 1 else 'them'}: look in an "
            "older backup",
        )
    return Check(name, True, f"{len(here)}, each with the digest that names it")


async def _audit(contents: Contents, copy: Path) -> Check:
    """The staged copy is brought to the newest shape for this, as the server would when it starts."""
    name = "audit record"
    try:
        await asyncio.to_thread(migrate, f"sqlite:///{copy}")
    except Exception as error:  # whatever it is, the operator is told its name
        return Check(
            name, False, f"the database cannot be brought to the newest shape ({type(error).__name__})"
        )
    database = Database(f"sqlite:///{copy}")
    try:
        async with database.read() as session:
            head = await audit.verify(session)
    except NodeError as error:
        return Check(name, False, f"{error}: find out since when, in older backups")
    finally:
        await database.close()
    return Check(name, True, f"{head.seq} entries, unbroken, head {head.hash[:16]}…")


def _keys(contents: Contents, stage: Path, settings: Settings | None, passphrase: str) -> Check:
    name = "keys"
    there = stage if contents.manifest.with_keys else None
    if there is None and settings is not None and any((settings.data / "keys").glob("*.pem")):
        there = settings.data
    if there is None:
        return Check(
            name, True, "not in this backup: put your copy of keys/ into the data directory before you start"
        )
    if not any((there / "keys").glob("*.pem")):
        return Check(name, False, "the backup says that it holds keys, and has none: take another one")
    origin = settings.origin if settings else contents.manifest.settings.get("origin", "")
    try:
        keyring = Keyring.open(
            replace(
                settings or Settings(origin=origin, role=contents.manifest.settings.get("role", "node")),
                data=there,
                keyring_passphrase=passphrase,
            )
        )
    except (Misconfigured, ValueError) as error:
        return Check(name, False, str(error).replace(str(there / "keys"), "keys"))
    ours = {keyring.public_keys("of")[1].public, *(one.ed25519 for one in keyring.former)}
    if contents.key not in ours:
        return Check(
            name, False, f"{contents.key} signed the manifest, and is none of these: somebody else made it"
        )
    whose = "open, and signed the manifest"
    return Check(name, True, whose if there == stage else f"{whose}; those in the data directory")


def _named(names: list[str]) -> str:
    return names[0][:24] + ("" if len(names) == 1 else f" (and {len(names) - 1} more)")


def _short(names: list[str]) -> str:
    one = len(names) == 1
    return f"{len(names)} sealed {'file' if one else 'files'} ({names[0][:12]}…) {'is' if one else 'are'}"


# ---- putting in place ---------------------------------------------------------------------------------------------


async def _refuse_to_overwrite(settings: Settings) -> None:
    path = sqlite_path(settings.database_url)
    blobs = settings.data / "blobs"
    if any(blobs.glob("*/*")) or (path is not None and path.exists()):
        raise WrongState(
            f"{settings.data} is not empty: nothing is overwritten; stop the server and move what is there away, or say "
            "--over to have it put aside"
        )
    if path is None and await rows_in(settings.database_url):
        raise WrongState(
            "the database is not empty: nothing is overwritten; name an empty one in TRACKER_DATABASE_URL, or stop the "
            "server and say --over to have its rows replaced"
        )


async def _listen_again(copy: Path, now: datetime) -> None:
    """Read whoever is followed anew when the server starts: what they sent since the backup was made was taken, and is lost with it.

    Of others what is shown is asked for.
    """
    database = Database(f"sqlite:///{copy}")
    try:
        async with database.begin() as session:
            await read_all_back(session, now=now)
    finally:
        await database.close()


async def _put_in_place(stage: Path, settings: Settings, now: datetime, tell: Tell) -> None:
    """Files first and the database last: what a power cut ends in between has no database, and does not look like a node.

    Where it fails everything goes back to where it was.
    """
    path, copy = sqlite_path(settings.database_url), stage / DATABASE
    with closing(sqlite3.connect(copy)) as opened:
        opened.execute("PRAGMA journal_mode=DELETE")
    copy.chmod(0o600)
    moved = _Moved(settings.data / f"replaced-{now:%Y%m%dT%H%M%SZ}")
    try:
        if path is not None:
            for old in (path, *(path.with_name(f"{path.name}{end}") for end in BESIDES)):
                moved.aside(old)
        for part in ("blobs", "keys"):
            if (stage / part).exists():
                moved.aside(settings.data / part)
                moved.move(stage / part, settings.data / part)
        if path is None:
            await fill_postgresql(copy, settings.database_url, tell)
        else:
            moved.move(copy, path)
    except BaseException:
        moved.back()
        raise
    settings.data.chmod(0o700)


class _Moved:
    """What was moved, and can be moved back."""

    def __init__(self, aside: Path) -> None:
        self._aside = aside
        self._moves: list[tuple[Path, Path]] = []

    def aside(self, path: Path) -> None:
        """Put what is there out of the way; what is not there is in nobody's."""
        if path.exists():
            self.move(path, self._aside / path.name)

    def move(self, source: Path, target: Path) -> None:
        """Move a file or a directory; a database may lie on another disk than the data directory."""
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.move(source, target)
        self._moves.append((source, target))

    def back(self) -> None:
        """Move everything to where it was."""
        for source, target in reversed(self._moves):
            shutil.move(target, source)
        if self._aside.is_dir() and not any(self._aside.iterdir()):
            self._aside.rmdir()
