"""What operators are handed works: compose files, units, shell, and a backup that brings a node back, on both databases."""

import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from node.database import Database
from node.intake.alerts import Alert, SealedObject
from node.intake.mailbox import open_mailbox
from node.intake.receive import receive_alert
from node.intake.uploads import MAX_FILE_BYTES, MAX_FILES, MAX_PART_BYTES, keep_part, part_blobs
from node.keyring import Keyring
from node.sealing.age import seal
from tests.rig.alerts import a_file, a_recipient, an_alert, an_open_door, mailbox_token
from tests.rig.missing import missing
from tests.rig.servers import Servers, _postgresql_programs
from web.pages.plain import PAGES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOORS = "/alert/sealed /alert/plain /alert/plain/urgent"
SCRIPTS = sorted(DEPLOY.glob("*.sh"))


def run(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{_programs()}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(DEPLOY / script), *map(str, arguments)],
        env={"PATH": path, "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _programs() -> str:
    try:
        return str(_postgresql_programs())
    except pytest.skip.Exception:
        return ""


# ---- what is written can be read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["compose.yaml", "compose.scale.yaml"])
def test_a_compose_file_parses_and_gives_no_service_more_than_it_needs(name: str) -> None:
    document = yaml.safe_load((DEPLOY / name).read_text("utf-8"))

    for service, described in document["services"].items():
        assert "no-new-privileges:true" in described["security_opt"], service
        assert "privileged" not in described, service
        published = [port for port in described.get("ports", ()) if port]
        assert not published or service == "caddy"
        for network in described["networks"]:
            assert network in document["networks"]
    for described in document["services"].values():
        for volume in described.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in document["volumes"] or (DEPLOY / source).exists(), volume


def test_the_scale_profile_keeps_database_and_redis_from_the_network() -> None:
    document = yaml.safe_load((DEPLOY / "compose.scale.yaml").read_text("utf-8"))

    assert document["networks"]["inside"]["internal"] is True
    for service in ("database", "redis"):
        assert document["services"][service]["networks"] == ["inside"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound_shell(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_every_unit_runs_without_rights_and_leaves_no_core() -> None:
    for unit in DEPLOY.glob("systemd/*.service"):
        text = unit.read_text("utf-8")

        for line in (
            "User=tracker",
            "NoNewPrivileges=true",
            "ProtectSystem=strict",
            "PrivateTmp=true",
            "LimitCORE=0",
        ):
            assert line in text, (unit.name, line)


def test_caddy_lets_a_whole_alert_through_at_the_doors_without_scripts_and_nowhere_else() -> None:
    text = (DEPLOY / "Caddyfile").read_text()
    limits = {
        name: int(size) * 10**9 if unit == "GB" else int(size) * 10**6
        for name, size, unit in re.findall(r"request_body @(\w+) \{\s*max_size (\d+)(MB|GB)", text)
    }
    doors = re.findall(r"^\s*@(\w+) (not )?path (.+)$", text, re.M)

    assert limits["whole"] >= MAX_FILES * MAX_FILE_BYTES
    assert MAX_PART_BYTES < limits["parts"] < 10 * MAX_PART_BYTES
    assert {(name, bool(other), paths) for name, other, paths in doors} == {
        ("whole", False, DOORS),
        ("parts", True, DOORS),
    }
    assert {"/alert/sealed", *PAGES} == set(DOORS.split())


def test_caddy_writes_down_no_request() -> None:
    text = re.sub(r"#.*", "", (DEPLOY / "Caddyfile").read_text("utf-8"))

    assert text.count("{") == text.count("}")
    assert "request delete" in text
    # One `log`, the global one: a `log` within the site would be an access log.
    assert len(re.findall(r"^\s*log\b", text, re.M)) == 1
    assert "request_buffers" not in text


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    seen = {
        line[1:]
        for line in (DEPLOY / "Containerfile.dockerignore").read_text("utf-8").split()
        if line[0] == "!"
    }

    copied = [
        source for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M) for source in line.split()[:-1]
    ]

    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(source == name or source.startswith(f"{name}/") for name in seen), source


# ---- backup and restore ------------------------------------------------------------------------------------------


async def a_node_with_an_alert(node: Any) -> str:
    """Fill an open node through its own use cases; returns the id of an alert with a file."""
    Keyring.open(node.settings)
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
    return an_alert(door.manifest).id


def backed_up(node: Any, target: Path, *options: str, **environment: str) -> Path:
    result = run(
        "backup.sh",
        *options,
        target,
        TRACKER_DATA=str(node.settings.data),
        TRACKER_DATABASE_URL=node.settings.database_url,
        **environment,
    )
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip())


def members(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_a_backup_of_nothing_fails_with_a_sentence(tmp_path: Path) -> None:
    result = run("backup.sh", tmp_path / "backups", TRACKER_DATA=str(tmp_path / "nowhere"))

    assert result.returncode == 1
    assert "TRACKER_DATA" in result.stderr
    assert result.stderr.count("\n") == 1


async def test_nothing_is_restored_over_a_node_that_is_there(node: Any, tmp_path: Path) -> None:
    await a_node_with_an_alert(node)
    archive = backed_up(node, tmp_path / "backups")

    result = run("restore.sh", archive, TRACKER_DATA=str(node.settings.data))

    assert result.returncode == 1
    assert "not empty" in result.stderr


async def test_a_damaged_sealed_file_is_found_before_anything_is_put_in_place(
    node: Any, tmp_path: Path
) -> None:
    await a_node_with_an_alert(node)
    blob = next((node.settings.data / "blobs").glob("??/*"))
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    archive = backed_up(node, tmp_path / "backups")

    result = run("restore.sh", archive, TRACKER_DATA=str(tmp_path / "restored"))

    assert result.returncode == 1
    assert "damaged" in result.stderr
    assert not any((tmp_path / "restored").iterdir())


async def test_a_missing_sealed_file_is_found(node: Any, tmp_path: Path) -> None:
    await a_node_with_an_alert(node)
    next((node.settings.data / "blobs").glob("??/*")).unlink()
    archive = backed_up(node, tmp_path / "backups")

    result = run("restore.sh", "--verify", archive)

    assert result.returncode == 1
    assert "missing" in result.stderr


async def test_a_changed_database_is_found(node: Any, tmp_path: Path) -> None:
    await a_node_with_an_alert(node)
    archive = backed_up(node, tmp_path / "backups")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    with (tmp_path / "out" / "database.sqlite").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    changed = tmp_path / "changed.tar"
    with tarfile.open(changed, "w") as tar:
        tar.add(tmp_path / "out", arcname=".")

    result = run("restore.sh", "--verify", changed)

    assert result.returncode == 1
    assert "not the one that was backed up" in result.stderr


async def test_the_archive_is_for_its_owner_alone_and_can_leave_the_keys_out(
    node: Any, tmp_path: Path
) -> None:
    await a_node_with_an_alert(node)

    whole = backed_up(node, tmp_path / "whole")
    without = backed_up(node, tmp_path / "without", "--without-keys")

    assert whole.stat().st_mode & 0o077 == 0
    assert "keys/ed25519.pem" in members(whole)
    assert not [name for name in members(without) if name.startswith("keys")]


async def test_only_the_newest_are_kept_when_a_number_is_given(node: Any, tmp_path: Path) -> None:
    await a_node_with_an_alert(node)
    backups = tmp_path / "backups"
    backups.mkdir()
    for day in ("20250101", "20250102", "20250103"):
        (backups / f"tracker-{day}T000000Z.tar").touch()

    newest = backed_up(node, backups, BACKUP_KEEP="2")

    assert {path.name for path in backups.iterdir()} == {"tracker-20250103T000000Z.tar", newest.name}


@pytest.mark.both_databases
async def test_a_restored_node_has_every_alert_every_file_and_its_keys(
    node: Any, servers: Servers, tmp_path: Path
) -> None:
    alert_id = await a_node_with_an_alert(node)
    restored, url = tmp_path / "restored", f"sqlite:///{tmp_path / 'restored' / 'tracker.sqlite'}"
    if not node.database.is_sqlite:
        if not _programs():
            raise missing("PostgreSQL", "apt-get install postgresql")
        url = await _another_database(servers)

    archive = backed_up(node, tmp_path / "backups")
    result = run("restore.sh", archive, TRACKER_DATA=str(restored), TRACKER_DATABASE_URL=url)

    assert result.returncode == 0, result.stderr
    database = Database(url)
    async with database.read() as session:
        found = await open_mailbox(session, mailbox_token())
        (blob,) = await part_blobs(session, alert_id, found.attachments[0].upload)
        objects = (await session.scalars(select(SealedObject).where(SealedObject.alert_id == alert_id))).all()
        alerts = (await session.scalars(select(Alert.id))).all()
    await database.close()
    assert alerts == [alert_id]
    assert len(objects) == 2
    assert (restored / "blobs" / blob[:2] / blob).read_bytes() == await node.blobs.get(blob)
    for key in ("rsa.pem", "ed25519.pem", "root.pem"):
        kept = restored / "keys" / key
        assert kept.read_bytes() == (node.settings.data / "keys" / key).read_bytes()
        assert kept.stat().st_mode & 0o077 == 0
    assert restored.stat().st_mode & 0o077 == 0


async def _another_database(servers: Servers) -> str:
    import asyncpg

    main = servers.postgresql()
    connection = await asyncpg.connect(main)
    name = f"restored_{os.urandom(6).hex()}"
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return main.replace("/postgres?", f"/{name}?")
