"""`tracker backup` and `tracker restore` as operators type them; and what `tracker doctor` says of backups."""

import json
import stat
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from federation.keys import read_multibase
from federation.proofs import Proven, check
from node.runtime import Node
from tests.rig.backups import fill, members, packed
from tests.rig.commands import ORIGIN, at_node, tracker
from tests.rig.publications import publish_case
from web.app import make_app
from web.cli import main
from web.doctor import BACKUP_TOLERANCE, Finding, findings

AS2 = {"Accept": "application/activity+json"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of a node, named by the environment."""
    for name, value in (("ORIGIN", ORIGIN), ("ALLOW_LOOPBACK", "1"), ("DATA", str(tmp_path / "data"))):
        monkeypatch.setenv(f"TRACKER_{name}", value)
    return tmp_path / "data"


async def published(node: Node) -> str:
    return (await publish_case(node)).url


def test_a_restored_node_serves_its_cases_and_their_signatures_hold(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = at_node(data, published)
    made = tracker(capsys, "backup", tmp_path / "backups")
    monkeypatch.setenv("TRACKER_DATA", str(tmp_path / "restored"))

    back = tracker(capsys, "restore", tmp_path / "backups")
    assert "withdrawals first" in back["next"]

    async def read(node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(node)), base_url=ORIGIN
        ) as reader:
            actor = await reader.get(node.settings.main_actor, headers=AS2)
            return (await reader.get(case, headers=AS2)).json(), actor.json()

    served, actor = at_node(tmp_path / "restored", read)
    keys = {one["id"]: read_multibase(one["publicKeyMultibase"]) for one in actor["assertionMethod"]}
    assert isinstance(check(served, keys, now=datetime.now(UTC)), Proven)
    assert made["ok"]
    assert back["ok"]
    assert stat.S_IMODE((tmp_path / "restored" / "tracker.sqlite").stat().st_mode) == 0o600


def test_a_backup_is_verified_where_there_is_no_node(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_node(data, published)
    key = tracker(capsys, "keys", "backup", tmp_path / "identity")
    monkeypatch.setenv("BACKUP_RECIPIENT", key["recipient"])
    made = tracker(capsys, "backup", tmp_path / "backups", "--without-keys")
    for name in ("ORIGIN", "DATA", "ALLOW_LOOPBACK"):
        monkeypatch.delenv(f"TRACKER_{name}")

    found = tracker(capsys, "restore", "--verify", made["backup"], "--identity", tmp_path / "identity")

    assert found["ok"]
    assert "not in this backup" in {one["name"]: one["says"] for one in found["checks"]}["keys"]
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o600
    with pytest.raises(SystemExit, match="never overwritten"):
        main(["keys", "backup", str(tmp_path / "identity")])


def test_what_is_wrong_is_said_and_the_command_fails(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_node(data, published)
    made = tracker(capsys, "backup", tmp_path / "backups")
    held = members(Path(made["backup"]))
    held["keys/secret"] = b"0" * len(held["keys/secret"])
    changed = packed(tmp_path / "changed.tar", held)

    with pytest.raises(SystemExit) as ended:
        main(["restore", "--verify", str(changed)])

    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert "MEND" in said
    assert "keys/secret is not the one that was backed up" in said
    with pytest.raises(SystemExit, match="is not empty"):
        main(["restore", made["backup"]])
    with pytest.raises(SystemExit, match="is not there"):
        main(["restore", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match="stay"):
        main(["backup", str(tmp_path / "backups"), "--keep", "-1"])


def test_a_sealed_file_that_is_missing_makes_the_backup_and_fails_the_command(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_node(data, fill)
    (blob,) = (data / "blobs").glob("??/*")
    blob.unlink()

    with pytest.raises(SystemExit) as ended:
        main(["backup", str(tmp_path / "backups"), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == 1
    assert told["missing"] == [blob.name]
    assert Path(told["backup"]).exists()


def test_doctor_says_when_the_last_backup_was_and_when_it_is_too_old(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = at_node(data, on_backups)
    made = tracker(capsys, "backup", tmp_path / "backups")

    fresh = at_node(data, on_backups)
    note = json.loads((data / "last-backup.json").read_text())
    (data / "last-backup.json").write_text(json.dumps(note | {"missing": 2}))
    lacking = at_node(data, on_backups)
    old_at = datetime.now(UTC) - BACKUP_TOLERANCE - timedelta(minutes=1)
    (data / "last-backup.json").write_text(json.dumps(note | {"made_at": old_at.isoformat()}))
    old = at_node(data, on_backups)

    assert none.ok  # a server for development
    assert "none was made here" in none.says
    assert fresh.ok
    assert made["backup"] in fresh.says
    assert not lacking.ok
    assert "lacks 2 sealed files" in lacking.says
    assert not old.ok
    assert "too old" in old.says


async def on_backups(node: Node) -> Finding:
    async with aclosing(findings(node)) as looking:
        async for finding in looking:
            if finding.name == "backup":
                return finding
    raise AssertionError("nothing was said of backups")
