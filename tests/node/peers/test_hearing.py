"""What is remembered of signed requests that held: the dialect of their host, and that a GET was here before."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from federation import cavage, signatures
from federation.keys import Signer
from federation.requests import Dialect, SignedRequest
from federation.verification import Presented, read_signature
from node.peers import hearing
from node.peers.habits import Habits, expect_dialect, hosts_at, remember_habits
from node.peers.hearing import Hearing
from tests.rig.keys import ed25519_key, rsa_key
from tests.rig.town import Town

HOST = "far.example"
KEY = f"https://{HOST}/users/sam#main-key"
RSA, ED25519 = rsa_key("peer").signer(KEY), ed25519_key("peer").signer(KEY)


@pytest.fixture
def heard(town: Town) -> Hearing:
    return Hearing(town["a"].node)


async def first_dialect(town: Town, host: str = HOST) -> str | None:
    async with town["a"].node.database.read() as session:
        known = await hosts_at(session, [host])
    return known[host].dialect if host in known else None


# ---- dialects --------------------------------------------------------------------------------------------------------


async def test_the_common_dialect_says_nothing_of_a_host(town: Town, heard: Hearing) -> None:
    await heard.speaks(HOST, Dialect.CAVAGE)

    assert await first_dialect(town) is None


@pytest.mark.parametrize("answered", [Dialect.CAVAGE, Dialect.RFC9421_ED25519])
async def test_what_an_inbox_answered_to_counts_more_than_how_its_host_signs(
    town: Town, heard: Hearing, answered: Dialect
) -> None:
    async with town["a"].node.database.begin() as session:
        await remember_habits(session, [Habits(HOST, answered, None)])

    await heard.speaks(HOST, Dialect.RFC9421)

    assert await first_dialect(town) == answered


@pytest.mark.parametrize("signs", [Dialect.RFC9421, Dialect.RFC9421_ED25519])
async def test_who_signs_with_the_newer_dialect_is_spoken_to_in_it_first(
    town: Town, heard: Hearing, signs: Dialect
) -> None:
    await heard.speaks(HOST, signs)

    assert await first_dialect(town) == Dialect.RFC9421


async def test_a_host_is_looked_up_once_however_often_it_is_heard(
    town: Town, heard: Hearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def counted(session: Any, hosts: list[str]) -> Any:
        asked.extend(hosts)
        return await hosts_at(session, hosts)

    monkeypatch.setattr(hearing, "hosts_at", counted)
    monkeypatch.setattr(hearing, "HOSTS_REMEMBERED", 2)

    for host in (HOST, HOST, "b.example", HOST, "c.example", HOST):
        await heard.speaks(host, Dialect.RFC9421)

    assert asked == [HOST, "b.example", "c.example", HOST]
    assert len(heard._hosts) == 2


@pytest.mark.both_databases
async def test_many_who_say_it_at_once_say_it_once(town: Town) -> None:
    database = town["a"].node.database

    async def say(dialect: Dialect) -> None:
        async with database.begin() as session:
            await expect_dialect(session, HOST, dialect)

    await say(Dialect.RFC9421)
    await asyncio.gather(*(say(Dialect.RFC9421_ED25519) for _ in range(10)))

    assert await first_dialect(town) == Dialect.RFC9421


# ---- signed GETs -----------------------------------------------------------------------------------------------------


def a_get(
    town: Town,
    path: str = "/actors/cases/followers_synchronization",
    *,
    signer: Signer = RSA,
    sign: Callable[..., list[tuple[bytes, bytes]]] = cavage.sign,
    nonce: str | None = None,
) -> Presented:
    headers = sign("GET", f"https://a.example{path}", signer=signer, now=town.clock.now())
    if nonce is not None:
        headers = [
            (name, value + f';nonce="{nonce}"'.encode() if name == b"signature-input" else value)
            for name, value in headers
        ]
    presented = read_signature(SignedRequest("GET", path.encode(), headers))
    assert isinstance(presented, Presented)
    return presented


@pytest.mark.parametrize(
    ("signer", "sign"),
    [(RSA, cavage.sign), (RSA, signatures.sign), (ED25519, signatures.sign)],
    ids=["cavage", "rfc9421", "ed25519"],
)
async def test_a_signed_get_that_comes_again_later_is_a_replay(
    town: Town, heard: Hearing, signer: Signer, sign: Callable[..., list[tuple[bytes, bytes]]]
) -> None:
    once = a_get(town, signer=signer, sign=sign)
    assert not heard.is_replay(once)

    town.clock.forward(seconds=11)

    assert heard.is_replay(once)
    town.clock.forward(hours=13)
    assert heard.is_replay(once)
    assert not heard.is_replay(a_get(town, signer=signer, sign=sign))


async def test_two_equal_requests_of_one_moment_are_two_requests(town: Town, heard: Hearing) -> None:
    one, two = a_get(town), a_get(town)
    assert one.signature == two.signature

    assert not heard.is_replay(one)
    town.clock.forward(seconds=10)
    assert not heard.is_replay(two)


async def test_a_nonce_is_good_for_once_and_for_its_own_key(town: Town, heard: Hearing) -> None:
    other = ed25519_key("peer").signer(f"{KEY}-2")
    assert not heard.is_replay(a_get(town, sign=signatures.sign, nonce="n1"))

    assert heard.is_replay(a_get(town, sign=signatures.sign, nonce="n1"))
    assert heard.is_replay(a_get(town, "/other", sign=signatures.sign, nonce="n1"))
    assert not heard.is_replay(a_get(town, sign=signatures.sign, nonce="n2"))
    assert not heard.is_replay(a_get(town, sign=signatures.sign, signer=other, nonce="n1"))


async def test_the_memory_of_requests_is_bounded_and_ends(
    town: Town, heard: Hearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "GETS_REMEMBERED", 2)
    first, second, third = (a_get(town, f"/{number}") for number in range(3))
    for one in (first, second, third):
        assert not heard.is_replay(one)

    town.clock.forward(minutes=1)

    assert [heard.is_replay(one) for one in (third, second)] == [True, True]
    assert not heard.is_replay(first)
    assert len(heard._gets) == 2
    town.clock.forward(hours=15)
    assert not heard.is_replay(third)


def test_what_is_remembered_outlives_every_signature() -> None:
    """Made an hour from now by a clock that is fast, good for twelve, forgiven an hour more."""
    assert timedelta(hours=14) <= hearing.REMEMBERED_FOR
