"""A node that does nothing: how soon it answers, and how much memory it keeps."""

import asyncio
import time
from pathlib import Path

import httpx

from tests.bench.figures import Bench, Figure, measured
from tests.rig.processes import Served

ROUNDS = 3
REST_SECONDS = 5.0


async def run(bench: Bench) -> list[Figure]:
    answers, sizes = [], []
    for number in range(ROUNDS):
        bench.say(f"round {number + 1} of {ROUNDS}")
        node = Served(bench.directory / f"idle-{number}")
        node.init()
        started = time.perf_counter()
        node.process = node.begin("serve")
        try:
            await _answers(node)
            answers.append(time.perf_counter() - started)
            await asyncio.sleep(REST_SECONDS)
            sizes.append(_resident_bytes(node.process.pid) / 1e6)
        finally:
            node.stop()
    return [
        measured(
            "idle-memory",
            "MB",
            sizes,
            goal=120,
            more_is_better=False,
            note="Resident, some seconds after start.",
        ),
        measured(
            "first-answer",
            "s",
            answers,
            goal=3,
            more_is_better=False,
            note="From starting the process to a page.",
        ),
    ]


async def _answers(node: Served) -> None:
    async with httpx.AsyncClient() as http:
        while True:
            try:
                if (await http.get(f"{node.origin}/")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.01)


def _resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no memory")
