"""A node comes back whole from its backup, on either database; and whatever is wrong with a backup is found before anything is put in place."""

import asyncio
import hashlib
import stat
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from node import audit
from node.audit import AuditEntry
from node.backup import BadBackup, Check, back_up, examine, restore, restoring
from node.backup.archive import MANIFEST
from node.backup.snapshot import rows_in
from node.database import Database
from node.entries.entries import Entry
from node.errors import WrongState
from node.intake.mailbox import open_mailbox
from node.intake.uploads import part_blobs
from node.keyring import Keyring
from node.migrations import migrate, newest, revision_of
from node.outbox import Job, enqueue
from node.peers.follows import Follow
from node.settings import Settings
from tests.node.backup.conftest import Filled
from tests.rig.alerts import mailbox_token
from tests.rig.backups import a_kept_node, counted, everything, members, packed, signed_again, the_blob
from tests.rig.clock import FrozenClock
from tests.rig.databases import POSTGRESQL, SQLITE, opened
from tests.rig.keys import keyring
from tests.rig.missing import missing as missing_here
from tests.rig.servers import _postgresql_programs
from tests.rig.stranger import known_actor

both = pytest.mark.both_databases
Elsewhere = Callable[..., Awaitable[Settings]]


def postgresql_is_here() -> None:
    try:
        _postgresql_programs()
    except pytest.skip.Exception:
        raise missing_here("PostgreSQL", "apt-get install postgresql") from None


async def backed_up(filled: Filled, place: Path) -> Path:
    return (await back_up(filled.settings, place, now=filled.node.clock.now())).path


async def wrong(archive: Path, settings: Settings | None) -> str:
    """The one thing that is found wrong with a backup."""
    found = [check for check in await examine(archive, settings) if not check.ok]
    assert len(found) == 1, found
    return found[0].says


# ---- the way back -------------------------------------------------------------------------------------------------


async def is_whole(filled: Filled, settings: Settings, rows: dict[str, int]) -> None:
    async with a_kept_node(settings, filled.node.clock) as node:
        now = await counted(node.database)
        assert {name: n for name, n in now.items() if name != "audit_entries"} == {
            name: n for name, n in rows.items() if name != "audit_entries"
        }
        async with node.database.read() as session:
            head = await audit.verify(session)
            found = await open_mailbox(session, mailbox_token())
            (blob,) = await part_blobs(session, filled.alert, found.attachments[0].upload)
        assert now["audit_entries"] == head.seq >= rows["audit_entries"]
        assert await node.blobs.get(blob) == await filled.node.blobs.get(blob)
        assert node.keyring.root_id == filled.node.keyring.root_id
        # What the database numbers by itself goes on behind what was there.
        async with node.database.begin() as session:
            await enqueue(session, "x", {}, lane="x", now=node.clock.now())
        async with node.database.read() as session:
            assert len((await session.scalars(select(Job.seq))).all()) == rows["jobs"] + 1
    for key in ("rsa.pem", "ed25519.pem", "root.pem", "secret"):
        kept = settings.data / "keys" / key
        assert kept.read_bytes() == (filled.settings.data / "keys" / key).read_bytes()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.data / "keys").stat().st_mode) == 0o700


@both
async def test_a_node_that_was_written_to_meanwhile_comes_back_whole(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    postgresql_is_here()
    settings = await elsewhere(SQLITE if filled.node.database.is_sqlite else POSTGRESQL)
    rows = await counted(filled.node.database)

    async def write() -> None:
        number = 0
        while True:
            number += 1
            async with filled.node.database.begin() as session:
                await audit.record(
                    session,
                    actor="ana",
                    action="case.opened",
                    subject=str(number),
                    now=filled.node.clock.now(),
                )

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    archive = await backed_up(filled, tmp_path / "backups")
    written = (await counted(filled.node.database))["audit_entries"]
    writing.cancel()
    found = await restore(archive, settings, now=filled.node.clock.now())

    assert all(check.ok for check in found)
    assert written > rows["audit_entries"]
    await is_whole(filled, settings, rows)


@both
async def test_a_node_moves_to_the_other_database_through_its_backup(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    postgresql_is_here()
    settings = await elsewhere(POSTGRESQL if filled.node.database.is_sqlite else SQLITE)
    rows = await counted(filled.node.database)
    before = await everything(filled.node.database)

    await restore(await backed_up(filled, tmp_path / "backups"), settings, now=filled.node.clock.now())

    database = Database(settings.database_url)
    assert await everything(database) == before
    await database.close()

    await is_whole(filled, settings, rows)


def an_entry(host: str, state: str, *, now: datetime) -> Entry:
    """A case of somebody there, as it lies here."""
    return Entry(
        id=f"https://{host}/cases/1",
        actor=f"https://{host}/actors/cases",
        host=host,
        publisher="x",
        own=False,
        state=state,
        language="en",
        fields={},
        document=b"",
        sha256="",
        proof_key="",
        text="",
        published_at=now,
        received_at=now,
        withdrawn_at=now if state == "withdrawn" else None,
    )


@both
async def test_who_is_followed_is_read_anew_for_what_they_sent_since_the_backup(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    postgresql_is_here()
    settings, now = await elsewhere(POSTGRESQL), filled.node.clock.now()
    us = filled.settings.main_actor
    states = {"member": "accepted", "asked": "requested", "left": "undone", "reader": None}
    async with filled.node.database.begin() as session:
        for name, state in states.items():
            them = f"https://{name}.example/actors/cases"
            session.add(known_actor(them, fetched_at=now))
            pair = (us, them) if state else (them, us)
            session.add(
                Follow(
                    activity_id=f"https://{name}.example/1",
                    follower=pair[0],
                    followed=pair[1],
                    state=state or "accepted",
                    activity={},
                    changed_at=now,
                )
            )

        for host, shown in {"brought.example": "live", "ended.example": "withdrawn"}.items():
            session.add(an_entry(host, shown, now=now))

    await restore(await backed_up(filled, tmp_path / "backups"), settings, now=now)

    database = Database(settings.database_url)
    async with database.read() as session:
        wanted = select(Job).where(Job.kind.in_(("backfill", "ask-again"))).order_by(Job.kind)
        jobs = list(await session.scalars(wanted))
    await database.close()
    # Whom nobody follows is asked about what is shown of them.
    assert [(job.kind, job.payload) for job in jobs] == [
        ("ask-again", {"host": "brought.example"}),
        ("backfill", {"actor": "https://member.example/actors/cases"}),
    ]


@both
async def test_nothing_is_restored_over_a_node_that_is_there(filled: Filled, tmp_path: Path) -> None:
    archive = await backed_up(filled, tmp_path / "backups")
    rows = await counted(filled.node.database)

    with pytest.raises(WrongState, match="is not empty"):
        await restore(archive, filled.settings, now=filled.node.clock.now())

    assert await counted(filled.node.database) == rows


@both
async def test_an_empty_directory_does_not_hide_a_database_with_rows(
    filled: Filled, settings: Callable[..., Settings], tmp_path: Path
) -> None:
    archive = await backed_up(filled, tmp_path / "backups")
    beside = settings(data=str(tmp_path / "beside"))

    with pytest.raises(WrongState, match="is not empty"):
        await restore(archive, beside, now=filled.node.clock.now())


@both
async def test_a_node_that_is_there_goes_when_that_is_said_and_its_files_are_put_aside(
    filled: Filled, tmp_path: Path
) -> None:
    archive = await backed_up(filled, tmp_path / "backups")
    rows = await counted(filled.node.database)
    async with filled.node.database.begin() as session:
        await audit.record(session, actor="a", action="b", subject="c", now=filled.node.clock.now())
    await filled.node.database.close()

    await restore(archive, filled.settings, now=filled.node.clock.now(), over=True)

    (aside,) = filled.settings.data.glob("replaced-*")
    assert (aside / "keys" / "root.pem").exists()
    assert (aside / "blobs").exists()
    await is_whole(filled, filled.settings, rows)


async def test_a_backup_without_keys_takes_those_that_are_put_there_if_they_are_its_own(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    made = await back_up(filled.settings, tmp_path / "b", now=filled.node.clock.now(), with_keys=False)
    settings = await elsewhere(SQLITE)
    Keyring.open(settings)
    with pytest.raises(BadBackup, match="somebody else made it"):
        await restore(made.path, settings, now=filled.node.clock.now())
    for path in (settings.data / "keys").iterdir():
        path.write_bytes((filled.settings.data / "keys" / path.name).read_bytes())

    await restore(made.path, settings, now=filled.node.clock.now())

    assert (settings.data / "tracker.sqlite").exists()


@pytest.mark.parametrize("database_kind", [SQLITE], indirect=True)
async def test_a_backup_of_an_older_version_is_brought_to_the_newest_shape(
    settings: Callable[..., Settings], elsewhere: Elsewhere, clock: FrozenClock, tmp_path: Path
) -> None:
    old = settings()
    await asyncio.to_thread(migrate, old.database_url, to="0016")
    Keyring.open(old)
    made = await back_up(old, tmp_path / "b", now=clock.now())
    there = await elsewhere(SQLITE)

    await restore(made.path, there, now=clock.now())

    assert await revision_of(old.database_url) == "0016"
    assert await revision_of(there.database_url) == newest()


@pytest.mark.parametrize("database_kind", [SQLITE], indirect=True)
async def test_what_postgresql_does_not_take_leaves_its_rows_as_they_were(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    postgresql_is_here()
    async with filled.node.database.begin() as session:
        # SQLite keeps a null character in a text; PostgreSQL has none.
        await audit.record(session, actor="a\0", action="b", subject="c", now=filled.node.clock.now())
    archive = await backed_up(filled, tmp_path / "b")
    there = await elsewhere(POSTGRESQL)

    with pytest.raises(BadBackup, match="PostgreSQL does not take"):
        await restore(archive, there, now=filled.node.clock.now())

    assert await rows_in(there.database_url) == 0
    assert list(there.data.iterdir()) == []


@pytest.mark.parametrize("database_kind", [SQLITE], indirect=True)
async def test_a_way_back_that_fails_leaves_the_node_that_was_there(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = await backed_up(filled, tmp_path / "b")
    await filled.node.database.close()
    before = {path: path.read_bytes() for path in filled.settings.data.rglob("*") if path.is_file()}
    move = restoring._Moved.move

    def fail_at_the_database(self: restoring._Moved, source: Path, target: Path) -> None:
        if source.name == "database.sqlite":
            raise OSError(28, "No space left on device")
        move(self, source, target)

    monkeypatch.setattr(restoring._Moved, "move", fail_at_the_database)
    with pytest.raises(OSError, match="No space"):
        await restore(archive, filled.settings, now=filled.node.clock.now(), over=True)

    assert {path: path.read_bytes() for path in filled.settings.data.rglob("*") if path.is_file()} == before


# ---- what does not hold -------------------------------------------------------------------------------------------


@both
async def test_a_sealed_file_that_was_missing_is_found(filled: Filled, tmp_path: Path) -> None:
    the_blob(filled.settings).unlink()
    archive = await backed_up(filled, tmp_path / "backups")

    assert "is missing, though the database names it" in await wrong(archive, filled.settings)


@both
async def test_a_sealed_file_that_was_damaged_is_found_before_anything_is_put_in_place(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    blob = the_blob(filled.settings)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    archive = await backed_up(filled, tmp_path / "backups")
    settings = await elsewhere(SQLITE)

    with pytest.raises(BadBackup, match="damaged when the backup was made"):
        await restore(archive, settings, now=filled.node.clock.now())

    assert list(settings.data.iterdir()) == []
    assert "damaged" in await wrong(archive, filled.settings)


@pytest.mark.parametrize("name", ["database.sqlite", "keys/secret", "blobs/"])
async def test_a_file_that_was_changed_is_found(filled: Filled, tmp_path: Path, name: str) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))
    (full,) = (one for one in held if one.startswith(name))
    held[full] = held[full][:-1] + bytes([held[full][-1] ^ 1])

    found = [
        check for check in await examine(packed(tmp_path / "x.tar", held), filled.settings) if not check.ok
    ]

    assert found[0].name == "files"
    assert "is not the one that was backed up" in found[0].says


@pytest.mark.parametrize("name", ["keys/secret", "blobs/"])
async def test_a_file_that_was_taken_out_is_found(filled: Filled, tmp_path: Path, name: str) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))
    (full,) = (one for one in held if one.startswith(name))
    del held[full]

    found = [
        check for check in await examine(packed(tmp_path / "x.tar", held), filled.settings) if not check.ok
    ]

    assert "is missing from the backup" in found[0].says


async def test_a_file_that_was_put_in_is_found(filled: Filled, tmp_path: Path) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))
    blob = hashlib.sha256(b"planted").hexdigest()
    planted = {f"blobs/{blob[:2]}/{blob}": b"planted"} | held

    assert "is not in the manifest" in await wrong(packed(tmp_path / "x.tar", planted), filled.settings)


async def test_a_manifest_that_was_changed_is_refused(filled: Filled, tmp_path: Path) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))
    held[MANIFEST] = held[MANIFEST].replace(b"https://a.example", b"https://b.example")

    assert "not the one that was signed" in await wrong(packed(tmp_path / "x.tar", held), None)


async def test_a_manifest_that_another_key_signed_is_refused(filled: Filled, tmp_path: Path) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))

    other = signed_again(tmp_path / "x.tar", held, keyring("b", born=filled.node.clock.now()))

    assert "somebody else made it" in await wrong(other, filled.settings)


async def test_a_backup_of_a_newer_version_is_refused(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))
    (tmp_path / "db").write_bytes(held["database.sqlite"])
    with opened(tmp_path / "db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    held["database.sqlite"] = (tmp_path / "db").read_bytes()

    newer = signed_again(tmp_path / "x.tar", held, filled.node.keyring, revision="9999")

    assert "take the version that made it" in await wrong(newer, filled.settings)
    with pytest.raises(BadBackup, match="newer than"):
        await restore(newer, await elsewhere(SQLITE), now=filled.node.clock.now())


async def test_a_format_of_another_time_is_refused(filled: Filled, tmp_path: Path) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))

    later = signed_again(tmp_path / "x.tar", held, filled.node.keyring, format=2)

    assert "format 2" in await wrong(later, filled.settings)


async def test_a_database_that_was_cut_short_is_found(filled: Filled, tmp_path: Path) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))
    held["database.sqlite"] = held["database.sqlite"][: len(held["database.sqlite"]) // 2]

    cut = signed_again(tmp_path / "x.tar", held, filled.node.keyring)

    assert "the database is damaged" in await wrong(cut, filled.settings)


async def test_a_database_that_holds_something_else_than_was_said_is_found(
    filled: Filled, tmp_path: Path
) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))

    other = signed_again(tmp_path / "x.tar", held, filled.node.keyring, audit=(7, "0" * 64))

    assert "something else than the manifest says" in await wrong(other, filled.settings)


@both
async def test_an_audit_record_that_was_changed_is_found(filled: Filled, tmp_path: Path) -> None:
    async with filled.node.database.begin() as session:
        await audit.record(session, actor="a", action="b", subject="c", now=filled.node.clock.now())
        await session.execute(update(AuditEntry).values(subject="d"))
    archive = await backed_up(filled, tmp_path / "backups")

    assert "breaks at entry" in await wrong(archive, filled.settings)


@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.97])
async def test_half_a_backup_is_refused(filled: Filled, tmp_path: Path, part: float) -> None:
    whole = (await backed_up(filled, tmp_path / "backups")).read_bytes()
    half = tmp_path / "x.tar"
    half.write_bytes(whole[: int(len(whole) * part)])

    assert "cut short" in await wrong(half, filled.settings)


async def test_a_backup_that_ends_before_its_manifest_is_refused(filled: Filled, tmp_path: Path) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))
    signature = dict(list(held.items())[:-1])

    for some in (signature, dict(list(signature.items())[:-1])):
        assert "cut short" in await wrong(packed(tmp_path / "x.tar", some), filled.settings)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "keys/../../evil", "blobs/aa/b", "keys/.ssh"])  # noqa: S108
async def test_a_name_that_no_backup_has_is_refused_and_written_nowhere(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path, name: str
) -> None:
    held = members(await backed_up(filled, tmp_path / "backups"))
    evil = packed(tmp_path / "x.tar", {name: b"evil"} | held)
    settings = await elsewhere(SQLITE)

    with pytest.raises(BadBackup, match="no backup holds"):
        await restore(evil, settings, now=filled.node.clock.now())

    assert list(settings.data.iterdir()) == []
    assert not list(tmp_path.rglob("evil"))


async def test_a_backup_of_another_node_is_not_put_in_place(
    filled: Filled, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    archive = await backed_up(filled, tmp_path / "backups")
    settings = await elsewhere(SQLITE, origin="https://b.example")

    with pytest.raises(BadBackup, match="check TRACKER_ORIGIN"):
        await restore(archive, settings, now=filled.node.clock.now())

    assert not (settings.data / "tracker.sqlite").exists()


async def test_keys_under_a_passphrase_open_only_with_it(
    settings: Callable[..., Settings], filled: Filled, tmp_path: Path
) -> None:
    locked = settings(
        data=str(tmp_path / "locked"),
        database_url=filled.settings.database_url,
        keyring_passphrase="a fictional passphrase",
    )
    Keyring.open(locked)
    archive = (await back_up(locked, tmp_path / "b", now=filled.node.clock.now())).path

    found = {check.name: check for check in await examine(archive, None)}
    right = {check.name: check for check in await examine(archive, None, passphrase="a fictional passphrase")}

    assert "TRACKER_KEYRING_PASSPHRASE" in found["keys"].says
    assert str(tmp_path) not in found["keys"].says
    assert right["keys"] == Check("keys", True, "open, and signed the manifest")
