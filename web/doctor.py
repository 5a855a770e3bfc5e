"""`tracker doctor`: each thing that must hold for a node to be trusted, as a line that is green or says how to mend it."""

import socket
import stat
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select

from federation.fetch import fetch_document
from federation.retrieval import Retrieval
from node import audit
from node.backup import last_backup
from node.errors import NodeError
from node.intake.manifest import IntakeManifest, latest_manifest
from node.intake.offline import WARN_BEFORE
from node.outbox import Job, Lane
from node.peers import witness
from node.peers.directory import fetch_signer
from node.runtime import Node
from node.staff.accounts import active_staff

CLOCK_TOLERANCE = timedelta(minutes=2)
# Every night, and one night that failed.
BACKUP_TOLERANCE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    says: str


async def examine(node: Node) -> dict[str, Any]:
    """Look at everything; `ok` is true when all of it holds."""
    found = [finding async for finding in findings(node)]
    return {
        "ok": all(finding.ok for finding in found),
        "checks": [{"name": f.name, "ok": f.ok, "says": f.says} for f in found],
    }


async def findings(node: Node) -> AsyncGenerator[Finding, None]:
    """What was looked at, one thing after the other; what asks the network comes last."""
    settings = node.settings
    https = settings.origin.startswith("https:")
    yield Finding(
        "origin",
        https or settings.allow_loopback,
        settings.origin if https else f"{settings.origin} (loopback only)",
    )
    yield _private("data directory", settings.data)
    yield _private("keys", settings.data / "keys")
    yield Finding(
        "organisation root",
        node.keyring.root_id is not None,
        f"{node.keyring.root_id}" + ("" if node.keyring.has_root else ", kept offline")
        if node.keyring.root_id
        else "nothing is known of it: bring keys/root.pem or keys/root.pub back",
    )
    try:
        await node.database.ping()
        yield Finding("database", True, "answers")
    except Exception as error:  # whatever it is, the operator is told its name
        yield Finding(
            "database", False, f"does not answer ({type(error).__name__}): check TRACKER_DATABASE_URL"
        )
        return
    async with node.database.read() as session:
        waiting = await session.scalar(select(func.count()).select_from(Job).where(Job.dead_at.is_(None)))
        dead = await session.scalar(select(func.count()).select_from(Job).where(Job.dead_at.is_not(None)))
        late = await session.scalar(
            select(func.count())
            .select_from(Lane)
            .where(Lane.due_at < node.clock.now() - timedelta(minutes=10))
        )
        handlers = [person for person in await active_staff(session) if person.is_handler]
        listed = await latest_manifest(session)
        try:
            head = await audit.verify(session)
            yield Finding("audit record", True, f"{head.seq} entries, unbroken")
        except NodeError as error:
            yield Finding("audit record", False, str(error))
    yield Finding(
        "queue",
        not late,
        f"{waiting} waiting, {dead} given up" + ("; a worker is not running" if late else ""),
    )
    yield _backups(node)
    async with node.database.read() as session:
        contradicted = await witness.forked(session)
    yield Finding(
        "lists of others",
        not contradicted,
        "nobody we follow has shown two lists of keys for one time"
        if not contradicted
        else "two lists of keys for one time, or another root: "
        + ", ".join(sorted({one.node for one in contradicted}))
        + ". Ask that organisation by another way; until then believe neither",
    )
    if not settings.is_hub:
        enough = len(handlers) >= 2
        yield Finding(
            "handlers",
            enough,
            f"{len(handlers)} can open alerts"
            + ("" if enough else ": the intake stays closed below two; `tracker staff invite`"),
        )
        yield _list_of_keys(listed, node, is_needed=enough)
    yield await _name(settings.origin)
    yield await _reachable(node)


def _list_of_keys(listed: IntakeManifest | None, node: Node, *, is_needed: bool) -> Finding:
    name, mend = (
        "list of keys",
        "`tracker keys root export`, sign it where the root is kept, `tracker keys root import`",
    )
    now = node.clock.now()
    if node.keyring.has_root:
        until = "made when it is first asked for" if listed is None else f"until {listed.not_after:%Y-%m-%d}"
        return Finding(name, True, f"{until}, and renewed here by itself")
    if listed is None or not listed.is_valid(now=now):
        return Finding(name, not is_needed, f"none that holds, so the intake is closed: {mend}")
    days = (listed.not_after - now).days
    if listed.not_after - now < WARN_BEFORE:
        return Finding(name, False, f"runs out in {days} days, on {listed.not_after:%Y-%m-%d}: {mend}")
    return Finding(name, True, f"signed offline, until {listed.not_after:%Y-%m-%d} ({days} days)")


def _backups(node: Node) -> Finding:
    last = last_backup(node.settings)
    if last is None:
        # A server for development may do without.
        return Finding(
            "backup",
            node.settings.allow_loopback,
            "none was made here: `tracker backup DIR`, every night, and `tracker restore DIR --verify` now and then",
        )
    said = f"{last.made_at:%Y-%m-%d %H:%M} UTC, {last.path}"
    if last.missing:
        return Finding(
            "backup", False, f"{said}, lacks {last.missing} sealed files: look for them in an older one"
        )
    if node.clock.now() - last.made_at > BACKUP_TOLERANCE:
        return Finding(
            "backup",
            False,
            f"{said}, is too old: look why none was made since (`systemctl status tracker-backup`)",
        )
    return Finding("backup", True, said)


def _private(name: str, path: Path) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return Finding(name, False, f"{path} is not there: `tracker init` makes it")
    if mode & 0o077:
        return Finding(name, False, f"others can read {path}: chmod -R go= {path}")
    return Finding(name, True, str(path))


async def _name(origin: str) -> Finding:
    host = urlsplit(origin).hostname or ""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return Finding("name", False, f"{host} does not resolve: check its DNS record")
    return Finding("name", True, f"{host} → {found[0][4][0]}")


async def _reachable(node: Node) -> Finding:
    try:
        by = Retrieval(node.http, fetch_signer(node), node.clock.now())
        await fetch_document(by, node.settings.main_actor)
    except Exception as error:  # whatever it is, the operator is told its name
        return Finding(
            "reachable",
            False,
            f"the actor could not be fetched at {node.settings.main_actor} ({type(error).__name__})",
        )
    return Finding("reachable", True, node.settings.main_actor)
