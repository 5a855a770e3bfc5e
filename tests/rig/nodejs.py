"""Node.js for the tests: the one the browser bundle is built with, and the locked packages under tests/peers."""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from tests.rig.missing import missing

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "tests" / "peers"
INSTALL_SECONDS = 600


@cache
def _npm() -> ModuleType:
    # web/browser/npm.py is a script outside the packages, so it is loaded by its path.
    spec = importlib.util.spec_from_file_location("npm", ROOT / "web" / "browser" / "npm.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def node_executable() -> str:
    """A Node.js from 22 on; the test is skipped by name where there is none."""
    try:
        return str(_npm().node_executable())
    except SystemExit as error:
        raise missing("Node.js 22 or newer", "make setup") from error


def environment(**extra: str) -> dict[str, str]:
    """The environment in which that Node.js finds itself."""
    path = f"{Path(node_executable()).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return os.environ | {"PATH": path} | extra


def peers_installed() -> Path:
    """tests/peers/node_modules in step with its lock, installed when it is not; safe between xdist workers."""
    if not _install_peers():
        raise missing(
            "the npm packages of tests/peers", f"{_python()} web/browser/npm.py --prefix tests/peers ci"
        )
    return PEERS / "node_modules"


def _python() -> str:
    try:
        return str(Path(sys.executable).relative_to(ROOT))
    except ValueError:
        return sys.executable


@cache
def _install_peers() -> bool:
    stamp = PEERS / "node_modules" / ".stamp"
    wanted = hashlib.sha256((PEERS / "package-lock.json").read_bytes()).hexdigest()
    with (PEERS / ".npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == wanted:
            return True
        npm = _npm().npm_command(node_executable())
        ran = subprocess.run(
            [
                *npm,
                "--prefix",
                str(PEERS),
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--fetch-retries=1",
            ],
            capture_output=True,
            env=environment(),
            cwd=PEERS,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if ran.returncode == 0:
            stamp.write_text(wanted)
        return ran.returncode == 0
