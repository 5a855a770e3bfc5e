"""Builders for backups: a node with something to lose, and archives that somebody has changed."""

import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import func, select

from node.backup.archive import MANIFEST, SIGNATURE, File, Manifest, Writer, _Sink, read_signed
from node.clock import Clock
from node.database import Database, Row
from node.intake.receive import receive_alert
from node.intake.uploads import keep_part
from node.keyfiles import write_private
from node.keyring import Keyring
from node.runtime import Node, open_node
from node.sealing.age import seal
from node.settings import Settings
from tests.rig.alerts import a_file, a_recipient, an_alert, an_open_door
from tests.rig.databases import make_shape
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.publications import publish_case
from tests.rig.wires import Wires


@asynccontextmanager
async def a_kept_node(settings: Settings, clock: Clock) -> AsyncIterator[Node]:
    """A node as `tracker serve` opens it: migrated, with keys on the disk, and nobody to talk to."""
    await make_shape(settings.database_url)
    async with (
        httpx.AsyncClient(transport=Wires()) as http,
        open_node(settings, clock=clock, http=http) as node,
    ):
        yield node


def keep_keys(settings: Settings) -> None:
    """Put keys where a node would make its own, which takes longer than most that is done with them."""
    made = {
        "rsa.pem": rsa_key("a"),
        "ed25519.pem": ed25519_key("a"),
        "root.pem": ed25519_key("root of a"),
    }
    write_private(settings.data / "keys", made, settings.keyring_passphrase)


async def fill(node: Node) -> tuple[str, str]:
    """Through its own use cases: (the id of an alert with a file, the address of a public case)."""
    door = await an_open_door(node.database, now=node.clock.now())
    sealed = seal(b"a fictional photograph".ljust(4096), a_recipient("dialogue one"))
    file = a_file([sealed])
    blob = await node.blobs.put(sealed)
    async with node.database.begin() as session:
        await keep_part(
            session, upload=file.upload, part=0, blob=blob, size=len(sealed), now=node.clock.now()
        )
        await receive_alert(
            session, an_alert(door.manifest, attachments=(file,)), door.terms, now=node.clock.now()
        )
    publication = await publish_case(node)
    return an_alert(door.manifest).id, publication.url


def the_blob(settings: Settings) -> Path:
    """The one sealed file of a filled node."""
    (found,) = (settings.data / "blobs").glob("??/*")
    return found


def members(archive: Path) -> dict[str, bytes]:
    """Name → content, in the order of the archive."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
    return found


def packed(place: Path, contents: Mapping[str, bytes]) -> Path:
    """An archive of these files, whatever they are."""
    with tarfile.open(place, "w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return place


def signed_again(place: Path, contents: Mapping[str, bytes], keyring: Keyring, **changes: Any) -> Path:
    """An archive of these files with a manifest that says what they are, signed as if they had been so from the start.

    changes  of the manifest beside its files.
    """
    old, _ = read_signed(contents[MANIFEST], contents[SIGNATURE])
    files = tuple(
        File(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
        if name not in (MANIFEST, SIGNATURE)
    )
    manifest: Manifest = msgspec.structs.replace(old, files=files, **changes)
    with place.open("wb") as out:
        sink = _Sink(out, None)
        writer = Writer(sink)
        aside = place.with_name("aside")
        for file in files:
            aside.write_bytes(contents[file.name])
            writer.add(file.name, aside)
        aside.unlink()
        writer.close(manifest, keyring.signer("https://a.example/actors/cases", "ed25519"))
    return place


async def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Table → its rows, in one order."""
    async with database.read() as session:
        return {
            table.name: sorted(
                (tuple(row) for row in await session.execute(select(table))),
                key=str,
            )
            for table in Row.metadata.sorted_tables
        }


async def counted(database: Database) -> dict[str, int]:
    """Table → rows."""
    async with database.read() as session:
        return {
            table.name: await session.scalar(select(func.count()).select_from(table)) or 0
            for table in Row.metadata.sorted_tables
        }
