"""The independent peer itself: it verifies what another of its kind sends, and refuses what is not signed."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.rig.fedify import fedify_peer
from tests.rig.peer import Peer

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, Peer]]:
    logs: Path = tmp_path_factory.mktemp("peers")
    with fedify_peer(logs / "modern") as modern, fedify_peer(logs / "old", knock="cavage") as old:
        yield modern, old


def test_an_unsigned_activity_is_refused_and_recorded_as_such(peers: tuple[Peer, Peer]) -> None:
    peer, _ = peers
    follow = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": "https://nobody.example/1",
        "type": "Follow",
        "actor": "https://nobody.example/",
        "object": peer.actor,
    }
    answer = httpx.post(
        f"{peer.actor}/inbox", json=follow, headers={"content-type": "application/activity+json"}
    )

    assert answer.status_code == 401
    refused = peer.received()[-1]
    assert refused["status"] == 401
    assert refused["signature"] == {"verified": False, "key": None, "dialect": None, "reason": "noSignature"}


@pytest.mark.parametrize("order", [("rfc9421", 0, 1), ("cavage", 1, 0)], ids=lambda order: order[0])
def test_two_peers_follow_and_read_each_other(peers: tuple[Peer, Peer], order: tuple[str, int, int]) -> None:
    dialect, sender, receiver = order
    here, there = peers[sender], peers[receiver]

    here.do("follow", actor=there.actor)

    assert there.actor in here.state["accepted"]
    assert here.actor in there.state["followers"]
    follow = there.received("Follow")[-1]
    assert follow["status"] == 202
    assert follow["signature"]["verified"]
    assert follow["signature"]["dialect"] == dialect
    assert [proof["verified"] for proof in follow["proof"]] == [True]

    there.do("note", followers=True)

    create = here.await_received("Create")[-1]
    assert create["activity"]["object"]["content"] == "Hello (fictional)."
    note = here.check(create["activity"]["object"]["id"])
    assert note["document"]["attributedTo"] == there.actor
    assert note["proof"] is None


def test_a_like_names_what_is_liked(peers: tuple[Peer, Peer]) -> None:
    here, there = peers

    here.do("like", actor=there.actor, object=f"{there.origin}/notes/1")

    assert f"{there.origin}/notes/1" in there.state["liked"]
