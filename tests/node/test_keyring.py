"""The keyring: made once, kept private, never replaced in silence."""

import stat
from pathlib import Path

import pytest

from node.errors import Misconfigured
from node.keyring import Keyring
from node.settings import Settings

ACTOR = "https://a.example/actors/cases"


def settings(tmp_path: Path, **given: str) -> Settings:
    return Settings.parse({"origin": "https://a.example", "data": str(tmp_path)} | given)


def test_keys_are_made_once_and_read_again(tmp_path: Path) -> None:
    first = Keyring.open(settings(tmp_path))
    second = Keyring.open(settings(tmp_path))

    assert first.public_keys(ACTOR) == second.public_keys(ACTOR)
    assert first.root_id == second.root_id
    assert first.born == second.born


def test_only_the_servers_user_can_read_the_files(tmp_path: Path) -> None:
    Keyring.open(settings(tmp_path))

    for file in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_passphrase_encrypts_the_files_and_a_wrong_one_opens_none(tmp_path: Path) -> None:
    Keyring.open(settings(tmp_path, keyring_passphrase="correct horse"))

    assert b"ENCRYPTED" in (tmp_path / "keys" / "rsa.pem").read_bytes()
    Keyring.open(settings(tmp_path, keyring_passphrase="correct horse"))
    for wrong in ("", "battery staple"):
        with pytest.raises(Misconfigured):
            Keyring.open(settings(tmp_path, keyring_passphrase=wrong))


@pytest.mark.parametrize("lost", ["rsa.pem", "ed25519.pem"])
def test_a_lost_key_is_not_replaced(tmp_path: Path, lost: str) -> None:
    Keyring.open(settings(tmp_path))
    (tmp_path / "keys" / lost).unlink()

    with pytest.raises(Misconfigured, match="backup"):
        Keyring.open(settings(tmp_path))


def test_a_root_that_was_taken_offline_signs_nothing_here(tmp_path: Path) -> None:
    Keyring.open(settings(tmp_path))
    (tmp_path / "keys" / "root.pem").unlink()

    keyring = Keyring.open(settings(tmp_path))

    assert keyring.root_id is None
    with pytest.raises(Misconfigured):
        keyring.root()


def test_each_actor_signs_under_its_own_key_ids(tmp_path: Path) -> None:
    keyring = Keyring.open(settings(tmp_path))

    assert keyring.signer(ACTOR, "rsa").key_id == f"{ACTOR}#main-key"
    assert keyring.signer(ACTOR, "ed25519").key_id == f"{ACTOR}#ed25519-key"


def test_what_derives_from_the_secret_stays_when_keys_change(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    first = Keyring.open(chosen)
    rotated = first.rotate(chosen, now=first.born)
    again = Keyring.open(chosen)
    lost = Keyring.replace_lost(chosen, since=first.born, now=first.born, stolen=True)

    assert {one.secret(b"x") for one in (first, rotated, again, lost)} == {first.secret(b"x")}
    assert first.secret(b"x") != first.secret(b"y")
    assert first.secret(b"x") != Keyring.open(settings(tmp_path / "other")).secret(b"x")


@pytest.mark.parametrize("content", ["", "0badc0de", "not hexadecimal at all"])
def test_a_secret_that_cannot_be_read_is_not_made_anew(tmp_path: Path, content: str) -> None:
    Keyring.open(settings(tmp_path))
    (tmp_path / "keys" / "secret").write_text(content)

    with pytest.raises(Misconfigured, match="backup"):
        Keyring.open(settings(tmp_path))


def test_public_halves_alone_are_no_reason_to_make_other_keys(tmp_path: Path) -> None:
    Keyring.open(settings(tmp_path))
    for name in ("rsa.pem", "ed25519.pem", "root.pem"):
        (tmp_path / "keys" / name).unlink()

    with pytest.raises(Misconfigured, match="replace-lost"):
        Keyring.open(settings(tmp_path))


def test_nothing_of_a_key_is_shown(tmp_path: Path) -> None:
    keyring = Keyring.open(settings(tmp_path))

    assert repr(keyring) == "Keyring(…)"
    assert "PRIVATE" not in repr(keyring.signer(ACTOR, "rsa"))
