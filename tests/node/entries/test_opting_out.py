"""What a publisher asks of robots (FEP-5e53) is kept to: words that are not to be found are not searched, and the page says so too."""

from typing import Any

import pytest

from federation.proofs import attach
from tests.node.effects.test_process import a_document, admit, at_hub, victim
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.properties import refuses_indexing, robots

__all__ = ["victim"]


def asking(victim: Stranger, town: Town, said: object) -> dict[str, Any]:
    """A case of theirs, with a proof, that asks this of robots."""
    bare = {name: value for name, value in a_document(victim, town).items() if name != "proof"}
    return dict(attach({**bare, "xRobotsTag": said}, victim.prover(), now=town.clock.now()))


async def found(town: Town) -> int:
    async with town.visitor("hub") as http:
        total: int = (await http.get("/api/v1/cases?q=accommodation")).json()["total"]
    return total


async def page(town: Town, case: dict[str, Any]) -> str:
    async with town.visitor("hub") as http:
        answer = await http.get(case["id"].replace("https://", "/cases/").replace("/cases/c1", "/c1"))
    assert answer.status_code == 200
    return answer.headers["x-robots-tag"]


@pytest.mark.parametrize(
    ("said", "count", "passed_on"),
    [
        ("noindex", 0, "noarchive, noindex"),
        ("NoAI, NONE", 0, "noarchive, noai, none"),
        (["noai", "noindex"], 0, "noarchive, noai, noindex"),
        ("noai", 1, "noarchive, noai"),
        ("noarchive", 1, "noarchive"),
        ("otherbot: noindex", 1, "noarchive"),
        ("noin\r\nSet-Cookie: a=b", 1, "noarchive"),
        ({"id": "https://victim.example/noindex"}, 1, "noarchive"),
    ],
    ids=str,
)
async def test_a_case_is_searched_only_where_it_does_not_refuse(
    town: Town, victim: Stranger, said: object, count: int, passed_on: str
) -> None:
    victim.documents["/users/cases"] = victim.actor(indexable=True)
    await admit(town, victim)
    case = asking(victim, town, said)

    await victim.post("hub", victim.activity("Create", case))
    await town.settle()

    assert await at_hub(town) is not None
    assert await found(town) == count
    assert await page(town, case) == passed_on


async def test_a_publisher_who_agrees_again_does_not_speak_for_a_case_that_refuses(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    await victim.post("hub", victim.activity("Create", asking(victim, town, "noindex")))
    victim.documents["/users/cases"] = victim.actor(indexable=True)
    await victim.post("hub", victim.activity("Update", victim.actor()))
    await town.settle()

    assert await at_hub(town) is not None
    assert await found(town) == 0


async def test_a_publisher_who_refuses_for_all_of_theirs_is_not_searched(
    town: Town, victim: Stranger
) -> None:
    counts = []
    await admit(town, victim)
    await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    for number, said in enumerate((None, "noindex")):
        victim.documents["/users/cases"] = victim.actor(indexable=True, xRobotsTag=said)
        await victim.post("hub", victim.activity("Update", victim.actor(), number=number))
        await town.settle()
        counts.append(await found(town))

    assert counts == [1, 0]


def test_what_is_asked_is_read_in_few_plain_words() -> None:
    assert robots({}) == robots({"xRobotsTag": 7}) == ()
    assert robots({"xRobotsTag": ", noai , noai, x" + ",a" * 50}) == ("noai",)
    assert len(robots({"xRobotsTag": [f"word{chr(97 + n)}" for n in range(26)]})) == 10
    assert refuses_indexing(("none",))
    assert not refuses_indexing(("nosnippet", "noai"))
