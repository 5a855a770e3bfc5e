"""`tracker seal`: believes no list of keys unasked, seals on this machine alone, and what it writes opens at the desk."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.intake.uploads import MAX_FILES
from node.sealing.alerts import open_alert, open_attachment
from node.sealing.manifest import sign_manifest
from node.sealing.packages import PackageStart
from node.sealing.receipts import source_keys
from tests.node.sealing.people import NODE, a_person, a_root, handler, terms
from vocab.sourceform import Purpose, bundled
from web.cli import main

CANARY = "the canary sang in the flooded stairwell"
ANSWERS = {"kind": "violation", "summary": CANARY, "state": "IE", "sender_contact_name": "Fictional Person"}


@pytest.fixture
def seat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A directory with a list of keys and answers, and the people behind it."""
    from datetime import UTC, datetime, timedelta

    monkeypatch.chdir(tmp_path)
    ana, ben, root = a_person(), a_person(), a_root()
    now = datetime.now(UTC).replace(microsecond=0)
    listed = terms(
        [handler("ana", ana), handler("ben", ben)],
        root,
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=20),
    )
    Path("keys.json").write_bytes(sign_manifest(listed, root.signer))
    Path("answers.json").write_text(json.dumps(ANSWERS))
    return {"ana": ana, "root": root, "ben": ben}


def refusal(*arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["seal", "--manifest", "keys.json", *arguments])
    assert isinstance(left.value.code, str)
    assert not list(Path().glob("alert.sealed*"))
    return left.value.code


def test_a_list_signed_by_another_root_is_not_believed(seat: dict[str, Any]) -> None:
    said = refusal("--root", a_root().id, "--answers", "answers.json")

    assert "cannot be believed" in said


def test_what_is_not_a_list_or_not_json_is_named(seat: dict[str, Any]) -> None:
    Path("answers.json").write_text("{")
    assert "not JSON" in refusal("--root", seat["root"].id, "--answers", "answers.json")

    Path("keys.json").write_text("{}")
    assert "cannot be believed" in refusal("--root", seat["root"].id, "--answers", "answers.json")


def test_without_a_root_and_without_anybody_to_ask_nothing_is_sealed(seat: dict[str, Any]) -> None:
    assert seat["root"].id in refusal("--answers", "answers.json")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "kind: This needs an answer"),
        (ANSWERS | {"nonsense": 1}, "nonsense: This is not a question"),
        (ANSWERS | {"checkers": "x"}, "checkers: This is not a question"),
        (ANSWERS | {"kind": "rumour"}, "kind: Choose one of"),
        (ANSWERS | {"state": "XX"}, "state: Choose one of"),
        (ANSWERS | {"groups": "children"}, "groups: This must be a multi"),
        (ANSWERS | {"ongoing": "yes"}, "ongoing: This must be a boolean"),
        (ANSWERS | {"scale_exact": True}, "scale_exact: This must be a integer"),
        (ANSWERS | {"summary": "x" * 300_000}, "too long"),
        ([], "one JSON object"),
    ],
)
def test_answers_that_cannot_be_are_named(seat: dict[str, Any], answers: object, said: str) -> None:
    Path("answers.json").write_text(json.dumps(answers))

    assert said in refusal("--root", seat["root"].id, "--answers", "answers.json")


def test_a_file_that_is_not_there_and_one_too_many_leave_nothing_behind(seat: dict[str, Any]) -> None:
    known = ["--root", seat["root"].id, "--answers", "answers.json"]

    assert "is not a file" in refusal(*known, "--attach", "missing.pdf")
    assert "at most" in refusal(*known, *(["--attach", "keys.json"] * (MAX_FILES + 1)))


def test_a_package_is_written_for_its_owner_alone_and_opens_at_the_desk(
    seat: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("video.bin").write_bytes(CANARY.encode() * 30_000)

    main(
        [
            *("seal", "--manifest", "keys.json", "--root", seat["root"].id, "--answers", "answers.json"),
            *("--attach", "video.bin", "--language", "fr", "--json"),
        ]
    )

    said = json.loads(capsys.readouterr().out)
    package = Path(said["file"])
    assert package.stat().st_mode & 0o777 == 0o600
    assert package.stat().st_size == said["bytes"]
    assert CANARY.encode() not in package.read_bytes()
    assert not Path("alert.sealed.part").exists()
    start = PackageStart()
    start.feed(package.read_bytes())
    body = json.loads(start.body or b"")
    assert (
        body["mailbox"]
        == source_keys(said["words"], NODE).mailbox
        == source_keys(said["digits"], NODE).mailbox
    )
    record = body | {"wraps": [wrap for wrap in body["wraps"] if wrap["holder"] == "ana"]}
    opened = open_alert(record, seat["ana"], node=NODE, staff=[])
    assert opened.submission is not None
    assert opened.submission.language == "fr"
    assert opened.submission.answers["summary"] == CANARY
    assert opened.identity_fields == {"sender_contact_name": "Fictional Person"}
    (attachment,) = opened.submission.attachments
    assert open_attachment(opened, attachment, start.rest) == CANARY.encode() * 30_000


def test_what_is_urgent_needs_two_answers_and_says_inside_which_form_it_answers(
    seat: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    known = ("--root", seat["root"].id, "--answers", "answers.json", "--urgent")
    Path("answers.json").write_text(json.dumps({"summary": CANARY}))
    assert "urgency: This needs an answer" in refusal(*known)
    Path("answers.json").write_text(
        json.dumps({"urgency": "imminent", "summary": CANARY, "own_bell": "ding"})
    )
    assert "own_bell: This is not a question" in refusal(*known)

    Path("answers.json").write_text(json.dumps({"urgency": "imminent", "summary": CANARY}))
    main(["seal", "--manifest", "keys.json", *known, "--json"])

    package = Path(json.loads(capsys.readouterr().out)["file"]).read_bytes()
    start = PackageStart()
    start.feed(package)
    body = json.loads(start.body or b"")
    opened = open_alert(
        body | {"wraps": [wrap for wrap in body["wraps"] if wrap["holder"] == "ana"]},
        seat["ana"],
        node=NODE,
        staff=[],
    )
    assert opened.submission is not None
    assert opened.submission.form == bundled(Purpose.URGENT).sha256
    assert opened.submission.answers == {"urgency": "imminent", "summary": CANARY}
    # Outside nothing tells that it is urgent.
    assert bundled(Purpose.URGENT).sha256.encode() not in package
    assert b"imminent" not in package


def test_a_package_is_never_written_over_something_else(seat: dict[str, Any]) -> None:
    Path("alert.sealed").write_text("mine")

    with pytest.raises(SystemExit):
        main(["seal", "--manifest", "keys.json", "--root", seat["root"].id, "--answers", "answers.json"])

    assert Path("alert.sealed").read_text() == "mine"
