"""Lock files pin by hash and name no registry; no file names a machine."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"])
def test_a_python_lock_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")

    assert "://" not in text
    pins = re.findall(r"^[a-z0-9].*==", text, re.M)
    assert pins
    assert text.count("--hash=sha256:") >= len(pins)


def test_npm_locks_have_integrity_and_no_address() -> None:
    locks = [path for path in tracked() if path.name == "package-lock.json"]

    assert locks
    for lock in locks:
        text = lock.read_text("utf-8")
        assert '"resolved": "http' not in text, lock
        assert '"integrity"' in text


def test_no_file_names_a_path_of_a_machine() -> None:
    found = []
    for path in tracked():
        if path.suffix in {".png", ".age"}:
            continue
        text = path.read_text("utf-8", errors="ignore")
        if re.search(r"(?:^|[^A-Za-z0-9_.])/(?:work|farm|root)/[A-Za-z.]", text):
            found.append(str(path.relative_to(ROOT)))

    assert found == []
