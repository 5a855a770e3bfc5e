"""Handles at another domain than their server: found both ways, shown as they are confirmed, and refused like everything else."""

from typing import Any

import httpx
import pytest

from federation.errors import FetchError, Forbidden, NotThere
from node.peers.directory import find_actor, find_by_handle, find_handle
from node.peers.hosts import decide
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON, JRD_JSON

AT_HOME, CANONICAL = "sam@social.peer.example", "sam@peer.example"


class Split(Stranger):
    """An actor at social.peer.example, which goes by a handle at peer.example."""

    def __init__(self, town: Town, subject: str = CANONICAL) -> None:
        super().__init__(town, "social.peer.example")
        self.answer = self.documents["/.well-known/webfinger"] = {
            "subject": f"acct:{subject}",
            "links": [{"rel": "self", "type": ACTIVITY_JSON, "href": self.id}],
        }
        self.at_domain: list[httpx.Request] = []
        town.wires.apps["peer.example"] = httpx.MockTransport(self._at_domain)

    def _at_domain(self, request: httpx.Request) -> httpx.Response:
        self.at_domain.append(request)
        answer = self.documents.get("the domain", self.answer)
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer, headers={"content-type": JRD_JSON})


async def decided(town: Town, host: str) -> None:
    node = town["a"].node
    async with node.database.begin() as session:
        await decide(session, host, "block", reason="a test", now=node.clock.now())


@pytest.mark.parametrize("asked", [AT_HOME, CANONICAL, f"@{CANONICAL}", f"acct:{CANONICAL}"])
@pytest.mark.parametrize("says", [None, CANONICAL])
async def test_an_actor_is_found_by_either_of_its_handles(town: Town, asked: str, says: str | None) -> None:
    peer = Split(town)
    if says is not None:
        peer.documents["/users/sam"] = peer.actor(webfinger=says)
    node = town["a"].node

    them = await find_by_handle(node, asked)

    assert them.id == peer.id
    assert await find_handle(node, them) == CANONICAL


@pytest.mark.parametrize(
    "changed",
    [
        {"the domain": httpx.Response(404)},
        {"the domain": httpx.Response(302, headers={"location": "http://127.0.0.1/"})},
        {"the domain": {"subject": f"acct:{CANONICAL}", "links": []}},
        {"the domain": {"subject": "acct:sam@third.example", "links": []}},
        {"/.well-known/webfinger": httpx.Response(404)},
        {"/users/sam": httpx.Response(404)},
    ],
)
async def test_what_either_host_does_not_confirm_is_neither_found_nor_shown(
    town: Town, changed: dict[str, Any]
) -> None:
    peer, node = Split(town), town["a"].node
    them = await find_actor(node, peer.id)
    peer.documents |= changed

    with pytest.raises(FetchError):
        await find_by_handle(node, AT_HOME)
    with pytest.raises(FetchError):
        await find_by_handle(node, CANONICAL)
    assert await find_handle(node, them) == AT_HOME


@pytest.mark.parametrize("host", ["peer.example", "social.peer.example"])
async def test_a_blocked_host_confirms_nothing_and_is_not_asked(town: Town, host: str) -> None:
    peer, node = Split(town), town["a"].node
    them = await find_actor(node, peer.id)
    peer.asked.clear()
    await decided(town, host)

    with pytest.raises(Forbidden):
        await find_by_handle(node, AT_HOME)
    with pytest.raises(Forbidden):
        await find_by_handle(node, CANONICAL)
    assert await find_handle(node, them) == AT_HOME
    assert (peer.at_domain if host == "peer.example" else peer.asked) == []


async def test_an_actor_whose_server_shows_another_in_its_place_goes_by_its_own_name(town: Town) -> None:
    node, peer, other = town["a"].node, Split(town), Stranger(town, "other.example", "otto", key="other")
    them = await find_actor(node, peer.id)
    other.documents["/.well-known/webfinger"] = {
        "subject": "acct:otto@other.example",
        "links": [{"rel": "self", "type": ACTIVITY_JSON, "href": other.id}],
    }
    peer.documents["/users/sam"] = other.actor()

    assert await find_handle(node, them) == AT_HOME


async def test_a_handle_of_ours_is_not_asked_for(town: Town) -> None:
    peer, node = Split(town, "cases@a.example"), town["a"].node
    them = await find_actor(node, peer.id)
    before = len(town.wires.carried)

    with pytest.raises(Forbidden):
        await find_by_handle(node, AT_HOME)

    assert await find_handle(node, them) == AT_HOME
    assert [
        request.url.host for request in town.wires.carried[before:] if request.url.host == "a.example"
    ] == []


async def test_an_actor_that_is_gone_is_not_found_by_what_was_known_of_it(town: Town) -> None:
    peer, node = Split(town), town["a"].node
    await find_by_handle(node, CANONICAL)
    peer.documents["/users/sam"] = httpx.Response(410)

    with pytest.raises(NotThere):
        await find_by_handle(node, CANONICAL)
