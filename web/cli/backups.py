"""`tracker backup`, `tracker restore`, `tracker keys backup`: copies of a node, the way back, and the key they are sealed to."""

import argparse
import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.errors import Conflict, Invalid
from node.keyfiles import put_new
from node.sealing.recipients import generate_identity, recipient_of
from node.settings import Settings
from web.cli.frame import Answer, Verb, read_settings

if TYPE_CHECKING:
    from node.backup import Check

SAY_EVERY_SECONDS = 10.0
SHOW_EVERY_SECONDS = 0.2


def add_verbs(verb: Verb, keys: Any) -> None:
    """The commands. Any: argparse keeps the type of sub-parsers to itself."""
    making = verb(
        "backup",
        "Copy database, sealed files and keys of this node into one new file; the server may run.",
        _backup,
    )
    making.add_argument(
        "directory", metavar="DIR", type=Path, help="where backups lie; made where it is not there"
    )
    making.add_argument(
        "--without-keys",
        action="store_true",
        help="leave the private keys out: keep a copy of them elsewhere, for nobody can make them again",
    )
    making.add_argument(
        "--recipient",
        metavar="age1pq1…",
        default=os.environ.get("BACKUP_RECIPIENT", ""),
        help="seal it, so that only the identity of this recipient opens it (default: BACKUP_RECIPIENT)",
    )
    making.add_argument(
        "--keep",
        metavar="N",
        type=int,
        default=os.environ.get("BACKUP_KEEP") or 0,
        help="keep this many and remove older ones (default: BACKUP_KEEP, else all)",
    )
    back = verb("restore", "Bring a node back from a backup, on a machine where there is none.", _restore)
    back.add_argument(
        "place", metavar="DIR", type=Path, help="a backup, or a directory of which the newest is taken"
    )
    back.add_argument(
        "--verify",
        action="store_true",
        help="only look whether it would do, in a temporary place; change nothing",
    )
    back.add_argument(
        "--identity",
        metavar="FILE",
        type=Path,
        default=os.environ.get("BACKUP_IDENTITY") or None,
        help="the file with the key that opens a sealed one (default: BACKUP_IDENTITY)",
    )
    back.add_argument(
        "--over",
        action="store_true",
        help="there is a node already: put it aside in its data directory, or replace its rows in PostgreSQL",
    )
    key = verb(
        "backup", "Make a key that backups are sealed to; keep its file away from this server.", _key, keys
    )
    key.add_argument("file", type=Path, help="where the identity goes, which opens them")


def _backup(options: argparse.Namespace) -> Answer:
    # Here and not above: a server that only serves need not carry it.
    from node.backup import back_up

    if options.keep < 0:
        raise Invalid("--keep is the number of backups that stay")
    settings, progress = read_settings(), _Progress()
    made = asyncio.run(
        back_up(
            settings,
            options.directory,
            now=datetime.now(UTC),
            recipient=options.recipient,
            with_keys=not options.without_keys,
            keep=options.keep,
            tell=progress.tell,
        )
    )
    progress.end()
    answer: dict[str, Any] = {
        "ok": not made.missing,
        "backup": str(made.path),
        "files": made.files,
        "bytes": made.size,
        "removed": [str(path) for path in made.removed],
    }
    if made.missing:
        answer["missing"] = list(made.missing)
        answer["mend"] = (
            "the database names sealed files that are not on the disk, or not whole; the rest is in this backup. "
            "Look for them in an older one, and at the disk"
        )
    return answer


def _restore(options: argparse.Namespace) -> Answer:
    from node.backup import examine, restore

    identity = options.identity.read_text("utf-8").strip() if options.identity else ""
    # The lines of `age-keygen` around a key are comments.
    identity = next((line for line in identity.splitlines() if not line.startswith("#")), "")
    progress = _Progress()
    if options.verify:
        # Also where there is no node, such as where backups are kept.
        settings = read_settings() if os.environ.get("TRACKER_ORIGIN") else None
        passphrase = settings.keyring_passphrase if settings else _passphrase()
        found = asyncio.run(
            examine(options.place, settings, identity=identity, passphrase=passphrase, tell=progress.tell)
        )
        progress.end()
        return _said(found)
    settings = read_settings()
    found = asyncio.run(
        restore(
            options.place,
            settings,
            now=datetime.now(UTC),
            identity=identity,
            over=options.over,
            tell=progress.tell,
        )
    )
    progress.end()
    return _said(found) | {
        "data": str(settings.data),
        "next": "Never let the old server run again: two with the same keys and different memories confuse everybody. "
        "What was published, corrected or withdrawn after the backup was made is not known here, and shown as it was before: "
        "followers and the hub still say what. Do it again, withdrawals first. "
        "`tracker serve` starts this one, `tracker doctor` looks at it.",
    }


def _key(options: argparse.Namespace) -> Answer:
    identity = generate_identity()
    try:
        put_new(options.file, f"{identity}\n".encode())
    except FileExistsError:
        raise Conflict(f"{options.file} is there already: an identity is never overwritten") from None
    return {
        "recipient": recipient_of(identity),
        "identity": str(options.file),
        "next": f"Give the recipient to `tracker backup --recipient`, or as BACKUP_RECIPIENT. Move {options.file} off this "
        "server, to two places: without it nobody opens these backups.",
    }


def _said(found: "list[Check]") -> dict[str, Any]:
    return {
        "ok": all(check.ok for check in found),
        "checks": [{"name": check.name, "ok": check.ok, "says": check.says} for check in found],
    }


def _passphrase() -> str:
    # As a setting, without the others that a node needs.
    given = {
        name: value for name, value in os.environ.items() if name.startswith("TRACKER_KEYRING_PASSPHRASE")
    }
    return Settings.read(given | {"TRACKER_ORIGIN": "https://nowhere.invalid"}).keyring_passphrase


class _Progress:
    """How far long work is, on standard error: one line that changes at a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._said = time.monotonic()
        self._shown = False

    def tell(self, what: str, done: int, total: int) -> None:
        """Say it, unless something was said just now."""
        now = time.monotonic()
        if now - self._said < (SHOW_EVERY_SECONDS if self._is_terminal else SAY_EVERY_SECONDS):
            return
        self._said, self._shown = now, True
        line = f"{what}: {done * 100 // max(total, 1)} %"
        print(
            f"\r\033[K{line}" if self._is_terminal else line,
            end="" if self._is_terminal else "\n",
            file=sys.stderr,
        )
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._is_terminal and self._shown:
            print("\r\033[K", end="", file=sys.stderr)
