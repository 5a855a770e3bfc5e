"""The browser's own checks: types, and the tests beside its modules."""

import re
import subprocess

import pytest

from tests.rig.missing import missing
from tests.rig.nodejs import environment, node_executable
from tests.web.browser.scripts import BROWSER


@pytest.fixture(autouse=True)
def packages() -> None:
    if not (BROWSER / "node_modules" / "age-encryption").is_dir():
        raise missing("the packages of web/browser", "make setup")


def test_the_modules_hold_their_types() -> None:
    # TypeScript's own launcher: npm is not needed to run it.
    compiler = BROWSER / "node_modules" / "typescript" / "bin" / "tsc"
    ran = subprocess.run(
        [node_executable(), str(compiler), "--noEmit"],
        cwd=BROWSER,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout


def test_the_modules_pass_their_tests() -> None:
    flags = [
        "--experimental-strip-types",
        "--disable-warning=ExperimentalWarning",
        "--test",
        "--test-reporter=tap",
    ]
    ran = subprocess.run(
        [node_executable(), *flags, *sorted(map(str, BROWSER.glob("test/*.test.ts")))],
        cwd=BROWSER,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, re.findall(r"^not ok.*", ran.stdout, re.MULTILINE)
    assert "# fail 0" in ran.stdout


def test_the_lock_names_versions_and_hashes_but_no_addresses() -> None:
    lock = (BROWSER / "package-lock.json").read_text("utf-8")

    assert "://" not in lock
    assert '"resolved"' not in lock
    assert "omit-lockfile-registry-resolved=true" in (BROWSER / ".npmrc").read_text("utf-8")
