"""`tracker peers`, `keys` and `intake`: what an operator decides in a terminal holds, and a mistake is one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from web.cli import main


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs one command on a node of its own and gives what it prints as JSON."""
    monkeypatch.setenv("TRACKER_ORIGIN", "https://a.example")
    monkeypatch.setenv("TRACKER_DATA", str(tmp_path / "data"))

    def run(*words: str) -> Any:
        main([*words, "--json"])
        return json.loads(capsys.readouterr().out)

    return run


def test_hosts_are_decided_about_exported_and_imported(tracker: Any, tmp_path: Path) -> None:
    file = tmp_path / "domain_blocks.csv"

    assert tracker("peers", "block", "https://Evil.Example/", "--reason", "spam")["host"] == "evil.example"
    tracker("peers", "limit", "loud.example")
    tracker("peers", "allow", "friend.example")
    assert tracker("peers", "export", str(file)) == {"file": str(file), "hosts": 2}
    tracker("peers", "unblock", "evil.example")
    assert tracker("peers", "import", str(file)) == {"added": 1, "kept": 1, "skipped": 0}

    found = {host["host"]: host["policy"] for host in tracker("peers", "hosts")}
    assert found == {"evil.example": "block", "friend.example": "allow", "loud.example": "limit"}
    trimmed = tracker("peers", "trim", "nagging.example", "--no-reports")
    assert (trimmed["policy"], trimmed["no_reports"], trimmed["no_media"]) == (None, True, False)
    tracker("peers", "limit", "loud.example", "--no-media")
    assert {host["host"]: host["no_media"] for host in tracker("peers", "hosts")}["loud.example"]
    assert tracker("peers", "reports") == []
    assert tracker("members", "waiting") == []


@pytest.mark.parametrize(
    "content", [b"#domain\nb\xfccher.example\n", "#domain\nevil.example\n".encode("utf-16")]
)
def test_a_file_in_another_encoding_is_refused_in_one_sentence(
    tracker: Any, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "domain_blocks.csv"
    file.write_bytes(content)

    with pytest.raises(SystemExit) as stopped:
        tracker("peers", "import", str(file))

    assert str(stopped.value) == f"tracker: {file} is no text in UTF-8"


def test_people_read_of_a_host_what_is_taken_of_it(tracker: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tracker("peers", "limit", "loud.example", "--no-media")

    main(["peers", "hosts"])

    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {line[0]: line[1] for line in said if line[1:]} == {
        "host": "loud.example",
        "policy": "limit",
        "no_media": "yes",
        "no_reports": "no",
    }


@pytest.mark.parametrize(
    "words",
    [
        ("peers", "block", "not a host"),
        ("peers", "trim", "nagging.example"),
        ("peers", "block", "a.example"),
        ("peers", "limit", "https://A.Example./actors/cases"),
        ("members", "trim", "example", "--no-media"),
        ("peers", "import", "/nowhere/at/all.csv"),
        ("peers", "unsubscribe", "https://hub.example/list"),
        ("peers", "close-report", "none"),
        ("members", "let-in", "https://evil.example/cases/1"),
        ("members", "turn-away", "https://evil.example/cases/1"),
        ("intake", "open"),
        ("intake", "close", "--elsewhere", "x" * 1001),
        ("keys", "announce-move", "https://a.example/actors/other"),
        ("keys", "replace-lost"),
        ("keys", "replace-lost", "--since", "yesterday"),
        ("keys", "replace-lost", "--since", "2026-11-21T12:00"),
        ("keys", "replace-lost", "--root", "/nowhere/root.pem"),
    ],
)
def test_a_mistake_is_one_sentence(tracker: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stopped:
        tracker(*words)

    assert str(stopped.value).startswith("tracker: ")
    assert "\n" not in str(stopped.value)


def test_keys_are_rotated_and_the_old_stay_known(tracker: Any) -> None:
    before = tracker("keys", "show")

    rotated = tracker("keys", "rotate")
    after = tracker("keys", "show")

    assert rotated["ed25519"] == after["ed25519"]["id"] == "https://a.example/actors/cases#ed25519-key-2"
    assert [key["multibase"] for key in after["former"]] == [before["ed25519"]["multibase"]]
    assert after["root"] == before["root"]


def test_keys_that_are_gone_are_replaced_and_named_with_the_moment(tracker: Any, tmp_path: Path) -> None:
    before = tracker("keys", "show")
    for name in ("rsa.pem", "ed25519.pem"):
        (tmp_path / "data" / "keys" / name).unlink()

    replaced = tracker("keys", "replace-lost")
    after = tracker("keys", "show")

    assert replaced["lost"]["id"] == before["ed25519"]["id"]
    assert replaced["ed25519"] == after["ed25519"]["id"] == "https://a.example/actors/cases#ed25519-key-2"
    assert [key["retired"] for key in after["former"]] == [replaced["lost"]["since"]]
    assert replaced["statement"] == "https://a.example/.well-known/social-rights-tracker/keys"


def test_the_door_is_closed_with_words_and_opened_again(tracker: Any) -> None:
    closed = tracker("intake", "close", "--elsewhere", "Call the network (fictional).")

    assert closed["intake"] == "closed"
    assert closed["elsewhere"] == "Call the network (fictional)."
    assert tracker("intake", "open") == {"intake": "open"}
    assert tracker("audit", "verify")["entries"] == 2
