"""What a backup holds, who can read it, and what is left when it does not come about."""

import asyncio
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, text

from node.backup import BadBackup, archives_in, back_up, examine, last_backup, newest_in
from node.backup.archive import MANIFEST, QUIET, Manifest, Tell
from node.backup.snapshot import copy_database
from node.database import Row
from node.errors import WrongState
from node.intake.alerts import UploadPart
from node.sealing.recipients import generate_identity, recipient_of
from node.settings import Settings
from tests.node.backup.conftest import Filled
from tests.rig.backups import members, the_blob
from tests.rig.databases import know_every_row

pytestmark = pytest.mark.both_databases


def manifest_of(archive: Path) -> Manifest:
    return msgspec.json.decode(members(archive)[MANIFEST], type=Manifest)


async def test_nothing_is_backed_up_where_there_is_no_node(
    settings: Callable[..., Settings], tmp_path: Path, filled: Filled
) -> None:
    nowhere = settings(data=str(tmp_path / "nowhere"))

    with pytest.raises(BadBackup, match="TRACKER_DATA"):
        await back_up(nowhere, tmp_path / "backups", now=filled.node.clock.now())

    assert not (tmp_path / "nowhere").exists()


async def test_a_backup_is_for_its_owner_alone_and_says_what_it_holds(filled: Filled, tmp_path: Path) -> None:
    made = await back_up(filled.settings, tmp_path / "backups", now=filled.node.clock.now())

    manifest = manifest_of(made.path)
    blob = the_blob(filled.settings).name
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "backups").stat().st_mode) == 0o700
    assert {"database.sqlite", f"blobs/{blob[:2]}/{blob}", "keys/ed25519.pem", "keys/root.pem"} <= set(
        members(made.path)
    )
    assert manifest.rows["alerts"] == 1
    assert manifest.database == ("sqlite" if filled.node.database.is_sqlite else "postgresql")
    assert manifest.settings["origin"] == "https://a.example"
    assert not {"database_url", "redis_url", "metrics_token", "keyring_passphrase"} & set(manifest.settings)
    assert list(members(made.path))[-2:] == ["manifest.json", "manifest.sig"]
    assert not list(filled.settings.data.glob(".backup-*"))


async def test_keys_can_be_left_out(filled: Filled, tmp_path: Path) -> None:
    made = await back_up(filled.settings, tmp_path, now=filled.node.clock.now(), with_keys=False)

    assert not [name for name in members(made.path) if name.startswith("keys")]
    assert not manifest_of(made.path).with_keys


async def test_a_sealed_backup_shows_nothing_and_opens_for_its_identity_alone(
    filled: Filled, tmp_path: Path
) -> None:
    identity = generate_identity()

    made = await back_up(
        filled.settings, tmp_path, now=filled.node.clock.now(), recipient=recipient_of(identity)
    )

    assert made.path.name.endswith(".tar.age")
    shown = made.path.read_bytes()
    assert filled.alert.encode() not in shown
    assert b"PRIVATE KEY" not in shown
    assert all(check.ok for check in await examine(made.path, filled.settings, identity=identity))
    for given, said in (
        ("", "--identity"),
        (generate_identity(), "another identity"),
        ("AGE-SECRET-KEY-1ABC", "is none"),
    ):
        (check,) = await examine(made.path, filled.settings, identity=given)
        assert not check.ok
        assert said in check.says


async def test_no_backup_is_sealed_to_what_a_quantum_computer_opens(filled: Filled, tmp_path: Path) -> None:
    classical = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

    with pytest.raises(BadBackup, match="age1pq1"):
        await back_up(filled.settings, tmp_path / "b", now=filled.node.clock.now(), recipient=classical)

    assert not (tmp_path / "b").exists()


async def test_a_second_backup_stands_beside_the_first_and_only_the_newest_are_kept(
    filled: Filled, tmp_path: Path
) -> None:
    now = filled.node.clock.now()
    first = await back_up(filled.settings, tmp_path / "b", now=now)
    twin = await back_up(filled.settings, tmp_path / "b", now=now)
    (tmp_path / "b" / "notes.txt").touch()

    last = await back_up(filled.settings, tmp_path / "b", now=now + timedelta(days=1), keep=2)

    assert last.removed == (first.path,)
    assert archives_in(tmp_path / "b") == [twin.path, last.path]
    assert newest_in(tmp_path / "b") == last.path
    assert (tmp_path / "b" / "notes.txt").exists()


async def test_a_sealed_file_that_is_missing_is_said_and_nothing_older_goes(
    filled: Filled, tmp_path: Path
) -> None:
    whole = await back_up(filled.settings, tmp_path, now=filled.node.clock.now())
    blob = the_blob(filled.settings)
    blob.unlink()

    made = await back_up(filled.settings, tmp_path, now=filled.node.clock.now(), keep=1)

    assert made.missing == (blob.name,)
    assert made.removed == ()
    assert whole.path.exists()
    told = last_backup(filled.settings)
    assert told is not None
    assert told.missing == 1


async def test_a_sealed_file_that_was_deleted_meanwhile_is_missed_by_nobody(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from node.backup import making

    async def copy_then_delete(settings: Settings, copy: Path, tell: Tell) -> None:
        await copy_database(settings, copy, tell)
        blob = the_blob(filled.settings).name
        async with filled.node.database.begin() as session:
            await session.execute(delete(UploadPart))
        await filled.node.blobs.delete(blob)

    monkeypatch.setattr(making, "copy_database", copy_then_delete)
    made = await back_up(filled.settings, tmp_path, now=filled.node.clock.now())

    assert made.missing == ()
    assert len(manifest_of(made.path).gone) == 1
    assert all(check.ok for check in await examine(made.path, filled.settings))


async def test_two_backups_at_once_are_refused(filled: Filled, tmp_path: Path) -> None:
    with (filled.settings.data / ".backup.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        with pytest.raises(WrongState, match="another backup"):
            await back_up(filled.settings, tmp_path / "b", now=filled.node.clock.now())


async def test_what_fails_leaves_nothing_that_looks_like_a_backup(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from node.backup import making

    def fail(*_given: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making, "_add_keys", fail)
    with pytest.raises(OSError, match="No space"):
        await back_up(filled.settings, tmp_path / "b", now=filled.node.clock.now())

    assert list((tmp_path / "b").iterdir()) == []
    assert not list(filled.settings.data.glob(".backup-*"))
    assert last_backup(filled.settings) is None


async def test_what_a_power_cut_left_is_no_backup_and_is_swept_away_by_the_next(
    filled: Filled, tmp_path: Path
) -> None:
    part = tmp_path / ".tracker-20260101T000000Z.tar.part"
    part.write_bytes(b"half of it")
    left = filled.settings.data / ".backup-abc"
    left.mkdir()
    (left / "database.sqlite").touch()
    now = filled.node.clock.now()
    other, recent = filled.settings.data / ".verify-old", filled.settings.data / ".restore-new"
    for stage, begun in ((other, now - timedelta(days=2)), (recent, now)):
        stage.mkdir()
        os.utime(stage, (begun.timestamp(), begun.timestamp()))
    with pytest.raises(BadBackup, match="no backup"):
        newest_in(tmp_path)

    made = await back_up(filled.settings, tmp_path, now=filled.node.clock.now())

    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert archives_in(tmp_path) == [made.path]
    assert not left.exists()
    assert not other.exists()
    assert recent.exists()


async def test_a_database_that_was_cut_short_is_not_backed_up(
    settings: Callable[..., Settings], filled: Filled, tmp_path: Path
) -> None:
    copy = tmp_path / "cut.sqlite"
    await copy_database(filled.settings, copy, QUIET)
    copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    cut = settings(data=str(filled.settings.data), database_url=f"sqlite:///{copy}")

    with pytest.raises(BadBackup, match=r"damaged|cannot be copied"):
        await back_up(cut, tmp_path / "b", now=filled.node.clock.now())

    assert list((tmp_path / "b").iterdir()) == []


async def test_a_database_of_another_shape_says_how_to_go_on(filled: Filled, tmp_path: Path) -> None:
    async with filled.node.database.begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0016'"))

    if filled.node.database.is_sqlite:
        made = await back_up(filled.settings, tmp_path / "b", now=filled.node.clock.now())
        assert manifest_of(made.path).revision == "0016"
    else:
        with pytest.raises(BadBackup, match="`tracker migrate` first"):
            await back_up(filled.settings, tmp_path / "b", now=filled.node.clock.now())


async def test_the_event_loop_goes_on_and_progress_is_told(filled: Filled, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await back_up(
        filled.settings,
        tmp_path,
        now=filled.node.clock.now(),
        tell=lambda *said: told.append(said),
    )
    counting.cancel()

    assert turns > 10
    assert {what for what, _, _ in told} == {"copying the database", "sealed files"}
    assert all(0 <= done <= total for _, done, total in told)


def test_a_copy_knows_every_table_whatever_else_is_imported() -> None:
    know_every_row()
    told = "import node.backup.snapshot as it; print('\\n'.join(it.Row.metadata.tables))"

    known = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert sorted(known.stdout.split()) == sorted(Row.metadata.tables)
