"""The servers of the demonstration: each a process of its own, started and stopped like a real one."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from node.errors import Misconfigured

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass
class Site:
    """One server: its settings, its process, and what people need to know of it."""

    name: str
    title: str
    role: str
    port: int
    data: Path
    state: str | None = None
    process: asyncio.subprocess.Process | None = None
    staff: list[dict[str, Any]] = field(default_factory=list)
    welcome: str = ""
    # Further settings, such as the databases of the scale profile; with a Redis, a worker runs beside the server.
    settings: dict[str, str] = field(default_factory=dict)
    worker: asyncio.subprocess.Process | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def actor(self) -> str:
        return f"{self.origin}/actors/{'hub' if self.role == 'hub' else 'cases'}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings, and nothing of the caller's own TRACKER_… settings."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TRACKER_")}
        return kept | {
            "TRACKER_ORIGIN": self.origin,
            "TRACKER_ROLE": self.role,
            "TRACKER_NAME": self.title,
            "TRACKER_DATA": str(self.data),
            "TRACKER_HOST": "127.0.0.1",
            "TRACKER_PORT": str(self.port),
            "TRACKER_ALLOW_LOOPBACK": "1",
            "TRACKER_FICTIONAL": "1",
            **{f"TRACKER_{name.upper()}": value for name, value in self.settings.items()},
        }

    async def tracker(self, *arguments: str) -> Any:
        """Run a `tracker` command on this server, as its operator would. Any: whatever JSON it prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "web",
            *arguments,
            "--json",
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
        if process.returncode:
            said = errors.decode(errors="replace").strip().splitlines()
            raise Misconfigured(
                f"`tracker {' '.join(arguments)}` failed on {self.name}: {said[-1] if said else '?'}"
            )
        return json.loads(out) if out.strip() else None

    async def init(self) -> None:
        """Make it, unless its data is there from an earlier run."""
        made = await self.tracker("init", "--if-missing")
        if made is not None:
            self.welcome = made["welcome"]

    async def start(self) -> None:
        """Start it and wait until it answers. Raises Misconfigured."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.process = await self._run("serve")
        if self.settings.get("redis_url"):
            self.worker = await self._run("worker")
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(int(READY_SECONDS / 0.05)):
                if self.process.returncode is not None:
                    raise Misconfigured(f"{self.name} did not start; {self.data / 'serve.log'} says why")
                try:
                    if (await http.get(f"{self.origin}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)
        raise Misconfigured(f"{self.name} did not answer within {READY_SECONDS:.0f} seconds")

    async def stop(self) -> None:
        """Stop it as an operator would; kill it if it does not listen."""
        for process in (self.worker, self.process):
            if process is None or process.returncode is not None:
                continue
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def _run(self, command: str) -> asyncio.subprocess.Process:
        with (self.data / f"{command}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "web", command, env=self.environment, stdout=log, stderr=log
            )

    def summary(self) -> dict[str, Any]:
        """What `--json` says about it."""
        return {
            "origin": self.origin,
            "role": self.role,
            "name": self.title,
            "actor": self.actor,
            "data": str(self.data),
            "staff": self.staff,
            "intake": f"{self.origin}/alert" if self.role == "node" else None,
        }
