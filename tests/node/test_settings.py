"""Settings: read once, refused when they contradict each other."""

from pathlib import Path

import pytest

from node.errors import Misconfigured
from node.settings import Settings


def read(**given: str) -> Settings:
    return Settings.read({f"TRACKER_{name.upper()}": value for name, value in given.items()})


def test_an_origin_alone_is_enough() -> None:
    settings = read(origin="https://Tracker.Example.org/")

    assert settings.origin == "https://tracker.example.org"
    assert settings.main_actor == "https://tracker.example.org/actors/cases"
    assert settings.instance_actor == "https://tracker.example.org/actors/tracker.example.org"
    assert settings.database_url.startswith("sqlite:///")
    assert settings.organisation == "tracker.example.org"


def test_a_secret_may_stand_in_a_file_and_never_shows(tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")

    settings = read(origin="https://a.example", keyring_passphrase_file=str(secret))

    assert settings.keyring_passphrase == "correct horse"
    assert "correct horse" not in repr(settings)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"origin": "a.example"},
        {"origin": "http://a.example"},
        {"origin": "https://a.example/path"},
        {"origin": "https://user@a.example"},
        {"origin": "https://a.example", "role": "king"},
        {"origin": "https://a.example", "federation": "perhaps"},
        {"origin": "https://a.example", "port": "many"},
        {"origin": "https://a.example", "fictional": "maybe"},
        {"origin": "https://a.example", "allow_loopback": "1"},
        {"origin": "https://a.example", "languages": " "},
        {"origin": "https://a.example", "orgin": "typo"},
        {"origin": "https://a.example", "hub": "http://hub.example"},
        {"origin": "https://a.example", "hub": "hub.example/nodes"},
        {"origin": "https://a.example", "keyring_passphrase_file": "/nowhere/at/all"},
        {"origin": "https://a.example", "origin_file": "/etc/hostname"},
    ],
)
def test_what_is_unknown_or_contradictory_refuses_to_start(given: dict[str, str]) -> None:
    with pytest.raises(Misconfigured):
        read(**given)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_plain_http_is_for_loopback(origin: str) -> None:
    assert read(origin=origin, allow_loopback="1").origin == origin


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
        ("https://straße.example:8443/", "https://xn--strae-oqa.example:8443"),
        ("https://Tracker.example.org:443", "https://tracker.example.org"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_spelled_as_every_server_compares_it(written: str, origin: str) -> None:
    allow = "1" if origin.startswith("http:") else "0"

    assert read(origin=written, allow_loopback=allow).origin == origin


@pytest.mark.parametrize(
    "origin",
    [
        "https://tracker.example.org.",
        "https://a..example",
        "https://2130706433",
        "https://[::1",
        "https://a\uff0fb.example",
    ],
)
def test_an_origin_that_two_servers_could_read_differently_is_refused(origin: str) -> None:
    with pytest.raises(Misconfigured):
        read(origin=origin)


def test_other_variables_of_the_environment_are_none_of_our_business() -> None:
    assert Settings.read({"TRACKER_ORIGIN": "https://a.example", "PATH": "/bin"}).role == "node"


@pytest.mark.parametrize("mode", ["open", "limited", "members", "closed"])
def test_each_mode_of_federation_is_one(mode: str) -> None:
    assert read(origin="https://a.example", federation=mode).federation == mode
