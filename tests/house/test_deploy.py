"""What operators are handed works: compose files, units, the image, and the nightly backup."""

import re
from pathlib import Path

import pytest
import yaml

from node.intake.uploads import MAX_FILE_BYTES, MAX_FILES, MAX_PART_BYTES
from web.cli import parser
from web.pages.plain import PAGES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOORS = "/alert/sealed /alert/plain /alert/plain/urgent"


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


# ---- backups -----------------------------------------------------------------------------------------------------


def test_the_nightly_backup_is_a_command_that_there_is() -> None:
    text = (DEPLOY / "systemd" / "tracker-backup.service").read_text("utf-8")
    (line,) = re.findall(r"^ExecStart=/opt/social-rights-tracker/bin/tracker (.+)$", text, re.M)

    options = parser().parse_args(line.replace("${BACKUP_DIRECTORY}", "/var/backups/x").split())

    assert options.directory == Path("/var/backups/x")
    assert options.without_keys


def test_the_nightly_backup_takes_its_recipient_and_its_number_from_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handbook = (DEPLOY / "README.md").read_text("utf-8")
    for name, value in (("BACKUP_RECIPIENT", "age1pq1x"), ("BACKUP_KEEP", "14"), ("BACKUP_IDENTITY", "/id")):
        assert name in handbook
        monkeypatch.setenv(name, value)

    made, back = (parser().parse_args([verb, "/x"]) for verb in ("backup", "restore"))

    assert (made.recipient, made.keep, back.identity) == ("age1pq1x", 14, Path("/id"))
