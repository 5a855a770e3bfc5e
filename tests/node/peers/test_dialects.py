"""Which dialect a host is spoken to first: what its inbox took, what its actors say they implement, else the common one."""

import asyncio
from typing import Any

import httpx
import pytest

from federation.requests import Dialect
from node.database import Database
from node.peers.habits import Habits, expect_dialect, hosts_at, remember_habits
from tests.rig.stranger import Stranger
from tests.rig.town import Town

US = "https://a.example/actors/cases"
RFC9421 = {"href": "https://datatracker.ietf.org/doc/html/rfc9421", "name": "RFC-9421"}


@pytest.fixture
def reader(town: Town) -> Stranger:
    return Stranger(town, "reader.example", "rita", key="peer")


def dialects(town: Town) -> list[str]:
    """How each post to the reader's server was signed."""
    posts = [
        request
        for request in town.wires.carried
        if request.method == "POST" and request.url.host == "reader.example"
    ]
    return ["rfc9421" if "signature-input" in request.headers else "cavage" for request in posts]


@pytest.mark.parametrize(
    ("implements", "first"),
    [
        ([RFC9421], "rfc9421"),
        ([{"href": "https://w3id.org/fep/8b32"}, RFC9421], "rfc9421"),
        ([{"href": "https://w3id.org/fep/8b32"}], "cavage"),
        ([], "cavage"),
    ],
)
async def test_who_says_so_is_spoken_to_in_the_newer_dialect_first(
    town: Town, reader: Stranger, implements: list[Any], first: str
) -> None:
    reader.documents["/users/rita"] = reader.actor(
        generator={"type": "Application", "implements": implements}
    )

    await reader.post("a", reader.activity("Follow", US))
    await town.settle()

    assert dialects(town) == [first]
    assert [item["type"] for item in reader.received] == ["Accept"]


@pytest.mark.parametrize(("signs", "first"), [("cavage", "cavage"), ("rfc9421", "rfc9421")])
async def test_who_signs_so_is_spoken_to_in_the_newer_dialect_first(
    town: Town, reader: Stranger, signs: str, first: str
) -> None:
    await reader.post("a", reader.activity("Follow", US), dialect=signs)
    await town.settle()

    assert dialects(town) == [first]
    assert [item["type"] for item in reader.received] == ["Accept"]


async def test_who_signs_so_in_vain_changes_nothing(town: Town, reader: Stranger) -> None:
    forged = reader.activity("Follow", US)
    await reader.post("a", forged, dialect="rfc9421", body=b'{"id": "x"}')
    await reader.post("a", forged, dialect="rfc9421", signed_as="https://b.example/inbox")
    await reader.post("a", reader.activity("Follow", US))
    await town.settle()

    assert dialects(town) == ["cavage"]


async def test_who_says_so_and_does_not_understand_it_is_knocked_at_once_more(
    town: Town, reader: Stranger
) -> None:
    reader.documents["/users/rita"] = reader.actor(generator={"type": "Application", "implements": [RFC9421]})
    door = reader._serve

    def serve(request: httpx.Request) -> httpx.Response:
        return (
            httpx.Response(401)
            if "signature-input" in request.headers and request.method == "POST"
            else door(request)
        )

    town.wires.apps[reader.host] = httpx.MockTransport(serve)

    for number in (1, 2):
        await reader.post("a", reader.activity("Follow", US, number=number))
        await town.settle()

    assert dialects(town) == ["rfc9421", "cavage", "cavage"]
    assert [item["type"] for item in reader.received] == ["Accept", "Accept"]


@pytest.mark.both_databases
async def test_two_who_learn_of_a_host_at_once_do_not_stand_in_each_others_way(database: Database) -> None:
    async def answered() -> None:
        async with database.begin() as session:
            await remember_habits(session, [Habits("peer.example", Dialect.CAVAGE, None)])

    async with database.begin() as session:
        await expect_dialect(session, "peer.example", Dialect.RFC9421)
        second = asyncio.create_task(answered())
        # It has looked, found nothing, and waits for us.
        await asyncio.sleep(0.2)
    await second

    async with database.read() as session:
        found = await hosts_at(session, ["peer.example"])
    assert found["peer.example"].dialect == Dialect.CAVAGE
