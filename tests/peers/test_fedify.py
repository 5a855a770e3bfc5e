"""A node and an independent server, Fedify, over HTTP on loopback: each follows, reads and answers the other."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.rig.fedify import fedify_peer
from tests.rig.peer import Peer
from tests.rig.processes import Served, served
from tests.rig.publications import a_case, behind, publish_case, withdraw_case
from tests.rig.settling import nothing_went_wrong, settled

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("node") / "data") as running:
        yield running


@pytest.fixture(scope="module", params=["rfc9421", "cavage"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Signing with the new dialect first, and with the old."""
    with fedify_peer(tmp_path_factory.mktemp("peer") / "log", knock=request.param) as running:
        yield running


def cases(server: Served) -> str:
    return f"{server.origin}/actors/cases"


async def doing(call: Callable[..., Any], *arguments: object, **named: object) -> Any:
    # The peer's control endpoint is asked in a thread, so that nothing here waits for itself.
    return await asyncio.to_thread(call, *arguments, **named)


async def test_a_follower_on_another_server_receives_cases_it_can_verify(server: Served, peer: Peer) -> None:
    await doing(peer.do, "follow", actor=cases(server))
    await doing(peer.until, lambda: cases(server) in peer.state["accepted"], "the Follow accepted")
    accept = peer.received("Accept")[-1]
    assert accept["signature"]["verified"]

    async with behind(server) as node:
        publication = await publish_case(node, a_case(0))
        create = await doing(peer.await_about, "Create", publication.url)

        assert create["status"] == 202
        assert create["signature"]["verified"]
        assert create["signature"]["key"].startswith(f"{cases(server)}#")
        assert create["activity"]["object"]["id"] == publication.url
        for proof in (create["proof"], create["objectProof"]):
            assert [(one["cryptosuite"], one["verified"], one["controller"]) for one in proof] == [
                ("eddsa-jcs-2022", True, cases(server))
            ]

        await withdraw_case(node, publication)
        delete = await doing(peer.await_about, "Delete", publication.url)

    assert delete["signature"]["verified"]
    assert delete["activity"]["object"]["type"] == "Tombstone"
    assert [one["verified"] for one in delete["objectProof"]] == [True]


async def test_a_case_fetched_by_its_address_verifies_without_having_been_sent(
    server: Served, peer: Peer
) -> None:
    async with behind(server) as node:
        publication = await publish_case(node, a_case(1))

    found = await asyncio.to_thread(peer.check, publication.url)

    assert found["document"]["type"] == "Article"
    assert [one["verified"] for one in found["proof"]] == [True]


async def test_a_node_follows_an_actor_elsewhere_and_is_accepted(server: Served, peer: Peer) -> None:
    await asyncio.to_thread(server.run, "peers", "follow", peer.actor)
    await doing(peer.until, lambda: cases(server) in peer.state["followers"], "the node among the followers")

    def accepted() -> bool:
        listed = json.loads(server.run("peers", "list", "--json"))
        return (peer.actor, "accepted") in [(one["actor"], one["state"]) for one in listed]

    await doing(peer.until, accepted, "the Accept at the node")
    assert peer.received("Follow")[-1]["signature"]["verified"]

    await doing(peer.do, "note", followers=True)
    await nothing_went_wrong(server)


async def test_replies_likes_and_boosts_from_elsewhere_do_no_harm(server: Served, peer: Peer) -> None:
    async with behind(server) as node:
        publication = await publish_case(node, a_case(0))
    before = httpx.get(publication.url, headers={"accept": "text/html"})
    assert before.status_code == 200

    await doing(
        peer.do,
        "note",
        actor=cases(server),
        inReplyTo=publication.url,
        content="<script>alert('A-REPLY')</script><p>A-REPLY</p>",
    )
    await doing(peer.do, "like", actor=cases(server), object=publication.url)
    await doing(peer.do, "announce", actor=cases(server), object=publication.url)

    await nothing_went_wrong(server)
    after = httpx.get(publication.url, headers={"accept": "text/html"})
    assert after.status_code == 200
    assert "A-REPLY" not in after.text
    assert "<script>alert" not in after.text


async def test_who_unfollows_receives_nothing_more(server: Served, peer: Peer) -> None:
    follow = peer.do("follow", actor=cases(server))
    await doing(peer.until, lambda: cases(server) in peer.state["accepted"], "the Follow accepted")

    await doing(peer.do, "unfollow", actor=cases(server), follow=follow["id"])
    await settled(server)
    async with behind(server) as node:
        publication = await publish_case(node, a_case(2))
    await settled(server)

    creates = [one["activity"]["object"]["id"] for one in peer.received("Create")]
    assert publication.url not in creates
