"""The town itself: servers reach each other over wires, stop, start again with what they had, and rest when nothing is due."""

from datetime import timedelta

import httpx
import pytest

from node.peers.directory import find_actor
from node.peers.follows import between, follow
from node.peers.ours import local_actor_at
from node.runtime import Node
from tests.rig.publications import publish_case
from tests.rig.town import Town


async def ask_to_follow(node: Node, actor: str) -> None:
    them = await find_actor(node, actor)
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    async with node.database.begin() as session:
        await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())


async def state_of(node: Node, follower: str, followed: str) -> str | None:
    async with node.database.read() as session:
        row = await between(session, follower, followed)
    return row.state if row else None


async def test_a_stopped_server_cannot_be_reached_and_comes_back_with_its_data(town: Town) -> None:
    await publish_case(town["a"].node)

    await town.stop("a")
    with pytest.raises(httpx.ConnectError):
        await town.visitor("b").get(f"{town['a'].origin}/cases")

    await town.start("a")
    page = await town.visitor("a").get("/cases", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "/cases/" in page.text


async def test_nobody_outside_the_town_is_reached(town: Town) -> None:
    with pytest.raises(httpx.ConnectError):
        await town["a"].node.http.get("https://elsewhere.example/")


@pytest.mark.both_databases
async def test_a_hub_follows_a_node_and_shows_what_it_publishes(town: Town) -> None:
    hub, a = town["hub"], town["a"]
    await ask_to_follow(hub.node, a.settings.main_actor)
    assert await town.settle() > 0
    for node in (hub.node, a.node):
        assert await state_of(node, hub.settings.main_actor, a.settings.main_actor) == "accepted"

    await publish_case(a.node)
    await town.settle()

    shown = await town.visitor("hub").get("/cases", headers={"accept": "text/html"})
    assert shown.status_code == 200
    assert a.settings.organisation in shown.text


async def test_what_a_stopped_server_missed_is_delivered_when_it_is_back(town: Town) -> None:
    hub, a = town["hub"], town["a"]
    await ask_to_follow(hub.node, a.settings.main_actor)
    await town.settle()

    await town.stop("hub")
    publication = await publish_case(a.node)
    await town.settle()
    await town.start("hub")
    town.clock.forward(hours=3)
    await town.settle()

    announced = [str(request.url) for request in town.wires.carried if request.method == "POST"]
    assert any(url.startswith(hub.origin) for url in announced)
    page = await town.visitor("hub").get("/cases", headers={"accept": "text/html"})
    assert publication.url in page.text or a.settings.organisation in page.text


async def test_settling_moves_no_time(town: Town) -> None:
    before = town.clock.now()

    await town.settle()

    assert town.clock.now() - before == timedelta(0)
    assert await town.settle() == 0
