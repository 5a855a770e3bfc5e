"""A server that is killed in mid-delivery: nothing is lost, nothing doubled. Real processes, SIGKILL."""

import json
import time
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from node.lanes import try_now
from node.outbox import Job
from tests.rig.processes import STOP_SECONDS, Served, served
from tests.rig.publications import a_case, behind, publish_case

pytestmark = pytest.mark.sockets

CASES = 15


def announced(hub: Served) -> list[str]:
    """What the hub announced, through all pages of its outbox."""
    url: str | None = f"{hub.origin}/actors/hub/outbox?page=1"
    found: list[str] = []
    while url:
        page = httpx.get(url, headers={"Accept": "application/activity+json"}).json()
        found += [item["object"] for item in page["orderedItems"] if item["type"] == "Announce"]
        url = page.get("next")
    return found


def listed(hub: Served) -> set[str]:
    found: set[str] = set()
    page = 1
    while True:
        body = httpx.get(f"{hub.origin}/api/v1/cases", params={"page": page}).json()
        found |= {item["id"] for item in body["cases"]}
        if page >= body["pages"]:
            return found
        page += 1


def wait_for(hub: Served, wanted: set[str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not wanted <= listed(hub):
        assert time.monotonic() < end, f"{len(wanted - listed(hub))} cases never arrived"
        time.sleep(0.2)


async def no_longer_waiting(server: Served) -> None:
    """What waits for its next attempt is tried as soon as the server runs."""
    async with behind(server) as node, node.database.begin() as session:
        for job in (await session.scalars(select(Job))).all():
            if job.key is not None:
                await try_now(session, job.key, now=node.clock.now())


async def test_a_node_and_a_hub_killed_in_mid_delivery_lose_and_double_nothing(tmp_path: Path) -> None:
    node, hub = Served(tmp_path / "a"), Served(tmp_path / "hub", role="hub")
    try:
        for server in (node, hub):
            server.init()
            server.start()
        hub.run("members", "add", f"{node.origin}/actors/cases")
        end = time.monotonic() + 30
        while json.loads(hub.run("members", "list", "--json"))[0]["state"] != "accepted":
            assert time.monotonic() < end
        urls = set()

        async with behind(node) as opened:
            for number in range(CASES):
                urls.add((await publish_case(opened, a_case(number))).url)
                if number == CASES // 3:
                    node.kill()
                    node.start()
                if number == CASES // 2:
                    hub.kill()
                    hub.start()
        node.kill()
        await no_longer_waiting(node)
        node.start()

        wait_for(hub, urls)
        assert listed(hub) == urls
        assert sorted(announced(hub)) == sorted(urls)
    finally:
        node.stop()
        hub.stop()


def test_a_worker_of_its_own_that_is_told_to_stop_ends_by_itself(tmp_path: Path, redis_url: str) -> None:
    with served(tmp_path / "a", redis_url=redis_url) as server:
        worker = server.begin("worker")
        try:
            end = time.monotonic() + 30
            while "Starting worker" not in server.said():
                assert time.monotonic() < end, server.said()
                time.sleep(0.05)
            worker.terminate()

            # 0, and not by the signal: what it had in hand was given back first.
            assert worker.wait(STOP_SECONDS) == 0
        finally:
            worker.kill()


def test_a_server_that_is_told_to_stop_lets_its_own_worker_end(tmp_path: Path) -> None:
    with served(tmp_path / "a") as server:
        assert server.process is not None
        server.process.terminate()

        # 0, and not by the signal: the worker inside gave back what it had in hand, and the database was closed.
        assert server.process.wait(STOP_SECONDS) == 0
