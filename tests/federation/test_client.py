"""The client: one way to send, over our own wire or any other."""

import httpx
import pytest

from federation.client import Client, exchange, open_client
from federation.errors import Forbidden, Oversized, Unreachable
from tests.federation.peer import a_peer, an_answer
from tests.federation.town import Town, moved

URL = "https://peer.example/"


@pytest.mark.sockets
async def test_our_client_goes_straight_to_the_wire() -> None:
    async with (
        a_peer(an_answer(200, b"one")) as peer,
        open_client(allow_loopback=True, user_agent="us") as http,
    ):
        answer = await exchange(http, "GET", peer.url(), headers=[(b"accept", b"*/*")])
        response = await http.get(peer.url())

    assert (answer.status, answer.body) == (200, b"one")
    assert response.content == b"one"
    assert peer.connections == 1
    assert b"user-agent: us" in peer.requests[0]


async def test_our_client_reads_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://10.0.0.1:8080")

    async with open_client() as http:
        assert isinstance(http, Client)
        assert not http.trust_env
        with pytest.raises(Forbidden):
            await exchange(http, "GET", "https://127.0.0.1/")


@pytest.mark.sockets
async def test_no_redirect_is_followed() -> None:
    redirect = an_answer(302, b"", b"location: http://10.0.0.1/")
    async with a_peer(redirect) as peer, open_client(allow_loopback=True) as http:
        assert (await exchange(http, "GET", peer.url())).is_redirect
        assert (await http.get(peer.url())).status_code == 302


async def test_another_client_is_held_to_the_same_rules() -> None:
    town = Town({URL: moved("https://elsewhere.example/")})
    async with town.client() as http:
        assert (await exchange(http, "GET", URL)).is_redirect
        with pytest.raises(Forbidden):
            await exchange(http, "GET", "ftp://peer.example/")
        with pytest.raises(Unreachable):
            await exchange(http, "GET", "https://nobody.example/")
    assert town.asked == [URL, "https://nobody.example/"]


async def test_a_long_answer_is_refused_or_cut_by_another_client_too() -> None:
    town = Town({URL: httpx.Response(202, content=b"x" * 1000)})
    async with town.client() as http:
        with pytest.raises(Oversized):
            await exchange(http, "GET", URL, max_body_bytes=100)
        answer = await exchange(http, "POST", URL, body=b"{}", max_body_bytes=100, needs_body=False)
    assert answer.status == 202
    assert answer.header("content-length") == "1000"
