"""Keeps one server process for as long as its owner lives: `python keeper.py DIRECTORY OWNER_PID USER -- PROGRAM ARGUMENTS…`.

Run as a process of its own, so that a test run that is killed outright leaves no server behind. Stops when the owner is
gone or DIRECTORY/stop exists. Standard library only: it starts quickly and knows nothing of the project.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 10


def main(arguments: list[str]) -> int:
    """Start the program, watch, stop it."""
    split = arguments.index("--")
    directory, owner, user = arguments[:split]
    home = Path(directory)
    for number in (signal.SIGINT, signal.SIGHUP):
        # Ctrl-C reaches the whole terminal; the owner decides when its servers go.
        signal.signal(number, signal.SIG_IGN)
    with (home / "log").open("ab") as log:
        server = subprocess.Popen(
            arguments[split + 1 :],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=user or None,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd=home,
            restore_signals=True,
            preexec_fn=_heed_interrupts,
        )
    (home / "pid").write_text(str(server.pid))
    while server.poll() is None and _is_alive(int(owner)) and not (home / "stop").exists():
        time.sleep(LOOK_SECONDS)
    if server.poll() is None:
        server.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown; Redis takes it too
        try:
            server.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    if _is_alive(int(owner)):
        (home / "stopped").touch()
    else:
        shutil.rmtree(home, ignore_errors=True)  # the owner is gone: nobody else will
    return 0


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
