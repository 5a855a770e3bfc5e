"""A case travels: published on a node, delivered to the hub and to another node, corrected, withdrawn. Each in its order, once."""

from typing import Any

import pytest

from federation.proofs import Proven, check
from node.entries.search import Filter, entry_at, search
from node.peers.directory import find_actor, proving_keys
from node.peers.follows import follow, follows
from node.peers.ours import local_actor_at
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON

pytestmark = pytest.mark.both_databases


async def listed(town: Town, name: str, **wanted: Any) -> list[str]:
    async with town[name].node.database.read() as session:
        return [card.url for card in (await search(session, Filter(**wanted))).items]


async def test_a_follow_is_asked_for_and_accepted(town: Town) -> None:
    await town.befriend("hub", "a")

    async with town.hub.node.database.read() as session:
        assert await follows(session, town.hub.settings.main_actor, town["a"].settings.main_actor)
    async with town["a"].node.database.read() as session:
        assert await follows(session, town.hub.settings.main_actor, town["a"].settings.main_actor)


async def test_a_published_case_reaches_the_hub_and_the_other_node_with_its_proof(town: Town) -> None:
    await town.befriend("hub", "a")
    await town.befriend("b", "a")

    publication = await publish_case(town["a"].node)
    await town.settle()

    for name in ("hub", "b"):
        async with town[name].node.database.read() as session:
            card = await entry_at(session, publication.url)
        assert card is not None
        assert card.publisher_name == town["a"].settings.organisation
        assert card.proof_key == f"{town['a'].settings.main_actor}#ed25519-key"
        assert not card.own


async def test_what_was_published_before_the_follow_is_read_from_the_outbox(town: Town) -> None:
    publications = [await publish_case(town["a"].node, a_case(n)) for n in range(25)]

    await town.befriend("hub", "a")

    assert len(set(await listed(town, "hub"))) == 20
    async with town.hub.node.database.read() as session:
        for publication in publications:
            assert await entry_at(session, publication.url) is not None


async def test_the_same_address_serves_the_signed_object_and_its_proof_holds(town: Town) -> None:
    publication = await publish_case(town["a"].node)
    await town.befriend("hub", "a")

    async with town.visitor("a") as visitor:
        answer = await visitor.get(publication.url, headers={"Accept": ACTIVITY_JSON})
    document = answer.json()

    assert answer.headers["content-type"] == ACTIVITY_JSON
    assert document["id"] == publication.url
    keys, _ = await proving_keys(town.hub.node, town["a"].settings.main_actor)
    proof = check(document, keys, now=town.clock.now())
    assert isinstance(proof, Proven)
    assert proof.key_id.startswith(town["a"].settings.main_actor)
    document["name"] = "Something else"
    assert not hasattr(check(document, keys, now=town.clock.now()), "key_id")


async def test_a_correction_and_a_withdrawal_arrive_in_order(town: Town) -> None:
    await town.befriend("hub", "a")
    node = town["a"].node
    publication = await publish_case(node)
    case = a_case(title={"en": "A corrected title of a fictional case"})

    town.clock.forward(minutes=5)
    await correct_case(node, publication, case)
    await town.settle()
    async with town.hub.node.database.read() as session:
        corrected = await entry_at(session, publication.url)
    town.clock.forward(minutes=5)
    await withdraw_case(node, publication)
    await town.settle()
    async with town.hub.node.database.read() as session:
        withdrawn = await entry_at(session, publication.url)
    async with town.visitor("a") as visitor:
        page = await visitor.get(publication.url, headers={"Accept": ACTIVITY_JSON})

    assert corrected is not None
    assert corrected.case is not None
    assert corrected.case.title["en"] == "A corrected title of a fictional case"
    assert corrected.state == "corrected"
    assert withdrawn is not None
    assert withdrawn.case is None
    assert withdrawn.state == "withdrawn"
    assert await listed(town, "hub") == []
    assert page.status_code == 410
    assert page.json()["type"] == "Tombstone"


async def test_a_hub_that_was_down_gets_the_case_once_when_it_is_back(town: Town) -> None:
    await town.befriend("hub", "a")
    await town.stop("hub")

    publication = await publish_case(town["a"].node)
    await town.settle()
    await town.start("hub")
    town.clock.forward(hours=13)
    await town.settle()

    assert await listed(town, "hub") == [publication.url]


async def test_the_hub_announces_from_the_actors_of_state_and_article(town: Town) -> None:
    hub = town.hub.settings
    await town.befriend("hub", "a")
    node = town["b"].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    case = a_case()
    announcer = await find_actor(node, f"{hub.origin}/actors/state-{case.state.lower()}")
    async with node.database.begin() as session:
        await follow(session, node.settings, node.keyring, us=us, them=announcer, now=node.clock.now())
    await town.settle()

    publication = await publish_case(town["a"].node, case)
    await town.settle()

    async with town.visitor("hub") as visitor:
        page = (await visitor.get(f"/actors/article-{case.articles[0]}/outbox?page=1")).json()
    assert [item["object"] for item in page["orderedItems"]] == [publication.url]
