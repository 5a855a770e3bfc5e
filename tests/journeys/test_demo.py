"""The whole demonstration, in both profiles; and what sources sealed is nowhere afterwards."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.rig.databases import POSTGRESQL, fresh_database
from tests.rig.processes import Forked, forks, free_port
from tests.rig.servers import Servers
from vocab import samples
from web.cli import main
from web.demo.play import run
from web.demo.sites import Site

CANARIES = [case["sealed"]["canary"].encode() for case in samples.cases()]
SEALED = [*CANARIES, b"SEALED-CANARY", b"sender.invalid", b"Invented Street"]


def three_ports() -> int:
    """The first of three free ports in a row."""
    while True:
        first = free_port()
        if first < 65_000:
            return first


def leaks(directory: Path) -> list[str]:
    """Files in which something lies open that a source sealed."""
    found = []
    for path in directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [f"{path.relative_to(directory)}: {needle!r}" for needle in SEALED if needle in content]
    return found


def was_seen(tmp_path: Path, said: str) -> None:
    """Every step at its far end, and nothing open of what sources sealed."""
    summary = json.loads(said)
    assert [step for step in summary["steps"] if not step["ok"]] == []
    assert summary["ok"]
    assert len(summary["nodes"]) == 2
    assert {"origin", "role", "actor", "data", "staff", "intake"} <= set(summary["nodes"][0])
    assert (tmp_path / "hub" / "tracker.sqlite").exists()
    assert len(list((tmp_path / "ie" / "blobs").rglob("*"))) > 1
    assert leaks(tmp_path) == []


@pytest.mark.sockets
@pytest.mark.thorough
def test_the_demonstration_works_with_processes_that_load_the_program_for_themselves(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "web", "demo", "--once", "--json", "--data", str(tmp_path), "--port"]
    ran = subprocess.run([*command, str(three_ports())], capture_output=True, text=True, check=False)

    was_seen(tmp_path, ran.stdout)
    assert ran.returncode == 0


@asynccontextmanager
async def scale(tmp_path: Path, servers: Servers) -> AsyncIterator[dict[str, dict[str, str]]]:
    """A PostgreSQL database and a numbered Redis database for each server of the demonstration."""
    async with AsyncExitStack() as stack:
        yield {
            name: {
                "database_url": await stack.enter_async_context(
                    fresh_database(POSTGRESQL, tmp_path, servers)
                ),
                "redis_url": servers.redis(number),
            }
            for number, name in enumerate(("hub", "ie", "fr"), start=10)
        }


class Beside:
    """A forked process, as asyncio shows its own."""

    def __init__(self, process: Forked) -> None:
        self._process = process
        self.terminate, self.kill = process.terminate, process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    async def wait(self) -> int:
        return await asyncio.to_thread(self._process.wait)


@pytest.fixture
def forked_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each of its processes would load the program for itself, all are forked from one that has."""

    async def tracker(site: Site, *arguments: str) -> Any:
        said = await asyncio.to_thread(forks().run, (*arguments, "--json"), site.environment)
        return json.loads(said) if said.strip() else None

    async def begun(site: Site, command: str) -> Beside:
        log = site.data / f"{command}.log"
        return Beside(forks().begin((command,), site.environment, log, log))

    monkeypatch.setattr(Site, "tracker", tracker)
    monkeypatch.setattr(Site, "_run", begun)


@pytest.mark.sockets
@pytest.mark.usefixtures("forked_sites")
def test_the_demonstration_sees_every_step_at_its_far_end_and_no_canary_is_in_its_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["demo", "--once", "--json", "--data", str(tmp_path), "--port", str(three_ports())]
    with ThreadPoolExecutor(1) as thread:  # this one has a loop of its own running
        thread.submit(main, arguments).result()

    was_seen(tmp_path, capsys.readouterr().out)


@pytest.mark.scale
@pytest.mark.usefixtures("forked_sites")
async def test_the_demonstration_runs_on_postgresql_and_redis_and_no_canary_is_in_either(
    tmp_path: Path, servers: Servers
) -> None:
    import asyncpg
    import redis

    async with scale(tmp_path, servers) as settings:
        summary = await run(
            nodes=2, port=three_ports(), data=tmp_path / "data", once=True, quiet=True, settings=settings
        )
        rows = 0
        for one in settings.values():
            connection = await asyncpg.connect(one["database_url"])
            for table in await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ):
                for row in await connection.fetch(f'SELECT t::text AS whole FROM "{table["tablename"]}" t'):
                    rows += 1
                    # Bytes are shown in hex; the needles too.
                    whole = row["whole"]
                    assert not any(needle.decode() in whole or needle.hex() in whole for needle in SEALED)
            await connection.close()
            with redis.Redis.from_url(one["redis_url"]) as store:
                for key in store.scan_iter():
                    dumped = store.dump(key) or b""
                    assert not any(needle in dumped or needle in key for needle in SEALED)

    assert [step for step in summary["steps"] if not step["ok"]] == []
    assert rows > 500
    assert leaks(tmp_path / "data") == []
