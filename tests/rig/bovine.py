"""A second independent ActivityPub server: one actor on bovine_herd, in a Python environment of its own."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.rig.missing import missing
from tests.rig.peer import Peer, running
from vocab import jsonld
from vocab.terms import AS

ROOT = Path(__file__).parents[2]
BOVINE = ROOT / "tests" / "peers" / "bovine"
INSTALLED = BOVINE.relative_to(ROOT) / ".venv" / ".installed"
INSTALL_SECONDS = 600


@contextmanager
def bovine_peer(log: Path, *, knock: str = "cavage") -> Iterator[Peer]:
    """A running peer. `knock` is how it signs what it posts: cavage (bovine) or rfc9421 (apsig)."""
    if not _install():
        raise missing("the Python packages of tests/peers/bovine", f"make {INSTALLED}")
    data = log.with_name(f"{log.name}-data")
    data.mkdir()
    contexts = data / "contexts.json"
    # ActivityStreams is the one context that bovine brings itself.
    contexts.write_text(
        json.dumps({url: jsonld.context(url)["@context"] for url in jsonld.known_contexts() - {AS}})
    )
    command = [BOVINE / ".venv" / "bin" / "python", BOVINE / "main.py"]
    arguments = ["--data", data, "--contexts", contexts, "--knock", knock]
    # What this checkout is must not reach it: no path to our packages, no settings.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRACKER_"))}
    with running([str(part) for part in command + arguments], log=log, environment=clean) as peer:
        yield peer


@cache
def _install() -> bool:
    """The environment in step with its lock, as the Makefile makes it; safe between xdist workers."""
    if shutil.which("make") is None:
        return False
    with (BOVINE / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            ["make", "--silent", f"PYTHON={sys.executable}", str(INSTALLED)],
            capture_output=True,
            cwd=ROOT,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        return made.returncode == 0
