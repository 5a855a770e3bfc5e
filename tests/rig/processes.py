"""`tracker serve` as a real process on a free loopback port: for browsers, for independent servers, and to be killed."""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from node.runtime import Node
from node.settings import Settings
from web.serve import opened

FORKS = Path(__file__).with_name("forks.py")
READY_SECONDS = 40
STOP_SECONDS = 15
LOOK_SECONDS = 0.05


def free_port() -> int:
    """A loopback port that nobody uses right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Forked:
    """A process that was forked from one which had loaded the program (forks.py), as subprocess shows its own."""

    def __init__(self, forks: "Forks", pid: int) -> None:
        self.pid = pid
        self._forks = forks

    def poll(self) -> int | None:
        code: int | None = self._forks.ask({"pid": self.pid})
        return code

    def wait(self, timeout: float | None = None) -> int:
        end = time.monotonic() + timeout if timeout is not None else None
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("tracker", timeout or 0)
            time.sleep(LOOK_SECONDS / 5)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[bytes] | Forked


class Forks:
    """The process that has loaded the program, started when first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(FORKS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self.end)

    def end(self) -> None:
        """End it, and whatever it forked."""
        self._process.communicate()
        atexit.unregister(self.end)

    def ask(self, order: Mapping[str, object]) -> Any:
        """One order and its answer, which is JSON."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{json.dumps(order)}\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def begin(
        self, arguments: tuple[str, ...], environment: dict[str, str], out: Path, errors: Path
    ) -> Forked:
        order = {"arguments": arguments, "environment": environment, "out": str(out), "errors": str(errors)}
        return Forked(self, self.ask(order))

    def run(self, arguments: tuple[str, ...], environment: dict[str, str]) -> str:
        """Run one to its end, and return what it printed; RuntimeError with what it said where it failed."""
        with tempfile.TemporaryDirectory() as directory:
            out, errors = Path(directory) / "out", Path(directory) / "errors"
            code = self.begin(arguments, environment, out, errors).wait()
            said, wrong = out.read_text(), errors.read_text()
        if code:
            raise RuntimeError(f"tracker {' '.join(arguments)}: {wrong or said}")
        return said


@cache
def forks() -> Forks:
    """The one of this run's process."""
    return Forks()


class Served:
    """One server process and its data. `kill` is a power cut; `stop` a polite end; `start` begins again."""

    def __init__(
        self,
        data: Path,
        *,
        role: str = "node",
        port: int | None = None,
        forked: bool = True,
        **settings: str,
    ) -> None:
        """settings  further TRACKER_ settings by their short names, such as redis_url.

        forked  from a process that has loaded the program already; otherwise it loads it itself, as an operator's does.
        """
        data.parent.mkdir(parents=True, exist_ok=True)
        self.data = data
        self.port = port or free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        given = {
            "origin": self.origin,
            "role": role,
            "data": str(data),
            "allow_loopback": "1",
            "port": str(self.port),
            "fictional": "1",
        } | settings
        # Nothing of the caller's own settings may leak in.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("TRACKER_")}
        self.environment |= {f"TRACKER_{name.upper()}": value for name, value in given.items()}
        self.process: Process | None = None
        self._is_forked = forked

    def run(self, *arguments: str) -> str:
        """Run `tracker` with these settings to its end, and return what it printed."""
        if self._is_forked:
            return forks().run(arguments, self.environment)
        ran = subprocess.run(
            [*_tracker(), *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise RuntimeError(f"tracker {' '.join(arguments)}: {ran.stderr or ran.stdout}")
        return ran.stdout

    def begin(self, *arguments: str) -> Process:
        """Run `tracker` beside the server, such as a worker. The caller ends it."""
        if self._is_forked:
            return forks().begin(arguments, self.environment, self.log, self.log)
        with self.log.open("ab") as log:
            return subprocess.Popen([*_tracker(), *arguments], env=self.environment, stdout=log, stderr=log)

    def init(self) -> str:
        """Make data directory, keys and first administrator; what `tracker init --json` prints."""
        return self.run("init", "--json")

    def prepare(self, *steps: Callable[[Node], Awaitable[object]]) -> None:
        """The same without a process of its own, which takes a third of the time; then each step fills what was made."""

        async def run() -> None:
            async with opened(Settings.read(self.environment)) as node:
                for step in steps:
                    await step(node)

        # In a thread, for the caller may have a loop running.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, run()).result()

    def start(self) -> "Served":
        """Serve, and return once it says it is ready."""
        self.process = self.begin("serve")
        end = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"the server did not get ready: {self.said()[-3000:]}")
            time.sleep(LOOK_SECONDS)
        return self

    def is_ready(self) -> bool:
        """Whether /readyz says yes."""
        try:
            with urllib.request.urlopen(f"{self.origin}/readyz", timeout=2) as answer:  # noqa: S310  # our loopback
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@contextmanager
def served(
    data: Path,
    *steps: Callable[[Node], Awaitable[object]],
    role: str = "node",
    port: int | None = None,
    forked: bool = True,
    **settings: str,
) -> Iterator[Served]:
    """A running server, filled by these steps before it starts, and ended at the end."""
    server = Served(data, role=role, port=port, forked=forked, **settings)
    try:
        server.prepare(*steps)
        yield server.start()
    finally:
        server.stop()


def _tracker() -> list[str]:
    beside = Path(sys.executable).with_name("tracker")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "web"]
