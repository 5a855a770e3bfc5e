"""From "published" on a node to visible on a page of the hub, both served on loopback: 100 cases, one after another."""

import asyncio
import time

import httpx

from node import worker
from node.runtime import Node
from node.settings import Settings
from tests.bench.figures import Bench, Figure, percentile
from tests.rig.processes import Served, free_port, served
from tests.rig.publications import a_case, publish_case
from web.serve import make_server, opened

CASES = 100
SEEN_SECONDS = 30
LOOK_SECONDS = 0.01


async def run(bench: Bench) -> list[Figure]:
    port = free_port()
    settings = Settings.parse(
        {
            "origin": f"http://127.0.0.1:{port}",
            "data": str(bench.directory / "publish-node"),
            "allow_loopback": "1",
            "port": str(port),
            "fictional": "1",
        }
    )
    with served(bench.directory / "publish-hub", role="hub") as hub:
        # The node runs in this process, so that a case can be published at a moment that is known.
        async with opened(settings) as node:
            server = make_server(node)
            tasks = [asyncio.create_task(server.serve()), asyncio.create_task(worker.run(node))]
            try:
                while not server.started:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(hub.run, "members", "add", settings.main_actor)
                await _followed(node)
                seconds = await _measure(bench, node, hub)
            finally:
                server.should_exit = True
                tasks[1].cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    return [
        Figure(
            "publish",
            percentile(seconds, 0.95) * 1000,
            "ms",
            goal=1000,
            more_is_better=False,
            rounds=tuple(1000 * one for one in seconds),
            note=f"95th percentile of {len(seconds)} cases; median {percentile(seconds, 0.5) * 1000:.0f} ms. From the call that "
            "publishes, signing and commit included, until the hub's list of cases shows it.",
        )
    ]


async def _measure(bench: Bench, node: Node, hub: Served) -> list[float]:
    seconds = []
    async with httpx.AsyncClient(base_url=hub.origin, headers={"accept": "text/html"}) as http:
        for number in range(bench.amount(CASES)):
            if number % 20 == 0:
                bench.say(f"case {number + 1} of {bench.amount(CASES)}")
            title = f"Measured case {number:03} (fictional)"
            case = a_case(number, title={"en": title}, language="en")
            started = time.perf_counter()
            await publish_case(node, case)
            while title not in (await http.get("/cases")).raise_for_status().text:
                if time.perf_counter() - started > SEEN_SECONDS:
                    raise RuntimeError(f"the hub does not show {title!r} after {SEEN_SECONDS} s")
                await asyncio.sleep(LOOK_SECONDS)
            seconds.append(time.perf_counter() - started)
    return seconds


async def _followed(node: Node) -> None:
    from node.peers.follows import follower_inboxes

    for _ in range(600):
        async with node.database.read() as session:
            if await follower_inboxes(session, node.settings.main_actor):
                return
        await asyncio.sleep(0.05)
    raise RuntimeError("the hub did not follow the node")
