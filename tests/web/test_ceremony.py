"""The ceremonies at the terminal: the root leaves the server and still signs; the shares on paper open what others lost."""

import base64
import json
from contextlib import aclosing
from pathlib import Path

import pytest
from sqlalchemy import select

from node import audit
from node.intake.alerts import Wrap
from node.runtime import Node
from node.sealing.alerts import compose_alert
from node.sealing.manifest import verify_manifest
from node.sealing.objects import Compartment, Place
from node.sealing.receipts import new_receipt, source_keys
from node.sealing.wraps import open_wrap
from tests.rig.alerts import a_member, a_person
from tests.rig.commands import ORIGIN, at_node, tracker
from web.cli import main
from web.doctor import Finding, findings
from web.pages.sending import manifest_now, take_in


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of a node with two people who read alerts."""
    directory = tmp_path / "data"
    monkeypatch.setenv("TRACKER_ORIGIN", ORIGIN)
    monkeypatch.setenv("TRACKER_ALLOW_LOOPBACK", "1")
    monkeypatch.setenv("TRACKER_DATA", str(directory))

    async def join(node: Node) -> None:
        async with node.database.begin() as session:
            for name in ("Ana", "Boris"):
                await a_member(session, name, ["intake"], now=node.clock.now())

    at_node(directory, join)
    return directory


async def served(node: Node) -> bytes:
    return (await manifest_now(node)).body


def test_the_root_leaves_and_signs_elsewhere(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = at_node(data, served)
    with pytest.raises(SystemExit, match="lies in the data directory"):
        main(["keys", "root", "remove", str(data / "copy.pem")])

    removed = tracker(capsys, "keys", "root", "remove", str(tmp_path / "root.pem"))
    kept = at_node(data, served)
    tracker(capsys, "keys", "root", "export", str(tmp_path / "list"))
    with pytest.raises(SystemExit, match="--yes"):
        main(["keys", "root", "sign", str(tmp_path / "list"), "--key", str(tmp_path / "root.pem")])
    signed = tracker(
        capsys, "keys", "root", "sign", str(tmp_path / "list"), "--key", str(tmp_path / "root.pem"), "--yes"
    )
    taken = tracker(capsys, "keys", "root", "import", signed["file"])
    with pytest.raises(SystemExit, match="not believed"):
        main(["keys", "root", "import", str(tmp_path / "list")])

    assert not (data / "keys" / "root.pem").exists()
    assert (tmp_path / "root.pem").stat().st_mode & 0o077 == 0
    assert kept == first
    assert removed["root"] == json.loads(first)["root"]
    assert taken["epoch"] == 2
    assert at_node(data, served) == Path(signed["file"]).read_bytes()
    checks = at_node(data, doctor)
    assert checks["organisation root"].says.endswith("kept offline")
    assert checks["list of keys"].ok
    assert "signed offline" in checks["list of keys"].says


async def doctor(node: Node) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    async with aclosing(findings(node)) as looking:
        async for finding in looking:
            found[finding.name] = finding
            # What comes after asks the network.
            if finding.name == "list of keys":
                break
    return found


def test_two_of_three_shares_open_what_everybody_else_lost(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tracker(capsys, "keys", "recovery", "make", "--shares", "2-of-3")
    with pytest.raises(SystemExit, match="there is a recovery key"):
        main(["keys", "recovery", "make"])
    receipt = new_receipt()

    async def send(node: Node) -> str:
        now = node.clock.now()
        body = await served(node)
        manifest = verify_manifest(body, node=ORIGIN, root=node.keyring.root_id or "", now=now)
        alert = compose_alert(manifest, ORIGIN, {}, {"name": "N."}, [], receipt, now.date(), language="en")
        await take_in(node, alert.body)
        async with node.database.begin() as session:
            await a_member(session, "Dora", ["intake"], now=now)
        return alert.id

    alert = at_node(data, send)
    given = tracker(capsys, "keys", "recovery", "export", str(tmp_path / "wraps"), "--for", "Dora")
    shares = []
    for number in (1, 3):
        shares += ["--share", str(tmp_path / f"share-{number}")]
        (tmp_path / f"share-{number}").write_text(made[f"share {number}"].lower())
    with pytest.raises(SystemExit, match="2 shares are needed"):
        main(["keys", "recovery", "use", given["file"], *shares[:2], "--yes"])
    used = tracker(capsys, "keys", "recovery", "use", given["file"], *shares, "--yes")
    taken = tracker(capsys, "keys", "recovery", "import", used["file"])
    again = tracker(capsys, "keys", "recovery", "import", used["file"])

    async def check(node: Node) -> list[str]:
        async with node.database.read() as session:
            wrap = await session.scalar(
                select(Wrap)
                .join_from(Wrap, audit.AuditEntry, audit.AuditEntry.subject == Wrap.holder)
                .where(audit.AuditEntry.action == "recovery.used", Wrap.compartment == "dialogue")
            )
            assert wrap is not None
            entries = await audit.entries_of(session, alert)
            await audit.verify(session)
        source = source_keys(receipt, ORIGIN).signing.id
        opened_wrap = open_wrap(
            wrap.sealed,
            a_person("Dora").identity,
            place=Place(ORIGIN, alert, Compartment.DIALOGUE),
            may_grant=[source],
        )
        assert opened_wrap.granted_by == source
        return [entry.action for entry in entries]

    assert (used["recovered"], used["not opened"]) == (2, 0)
    assert (taken["keys"], again["keys"]) == (2, 0)
    assert sorted(at_node(data, check)) == ["dialogue.recovered", "identity.recovered"]
    assert "AGE-SECRET-KEY" not in json.dumps(made)


def test_a_wrap_that_was_never_sealed_to_the_recovery_key_is_not_taken_in(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def dora(node: Node) -> str:
        async with node.database.begin() as session:
            return (await a_member(session, "Dora", ["intake"], now=node.clock.now())).id

    wraps = [
        {"of": "a" * 32, "compartment": "dialogue", "epoch": 1, "sealed": base64.b64encode(b"x").decode()}
    ]
    document = {
        "what": "social-rights-tracker/wraps-recovered/v1",
        "for": at_node(data, dora),
        "wraps": wraps,
    }
    (tmp_path / "forged").write_text(json.dumps(document))

    with pytest.raises(SystemExit, match="never sealed"):
        main(["keys", "recovery", "import", str(tmp_path / "forged")])
