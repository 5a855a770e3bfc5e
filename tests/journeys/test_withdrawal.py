"""A case goes out, is corrected, and is withdrawn: everything arrives in its order, once; and then nobody shows a word of it."""

import json
from typing import Any

from sqlalchemy import select

from node.entries.entries import Entry
from node.peers.sending import Sent
from node.publishing.publications import Publication
from node.publishing.publish import correct, withdraw
from tests.rig.publications import a_case, publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON

WORDS = "bramblethorn"
TITLES: dict[str, Any] = {
    "title": {"en": f"Families kept in emergency rooms of {WORDS}"},
    "summary": {"en": WORDS + " and on" * 20},
}


async def corrected(town: Town, publication: Publication) -> None:
    node = town["a"].node
    note = {"date": node.clock.now().date().isoformat(), "text": {"en": f"Two years, not three, at {WORDS}."}}
    async with node.database.begin() as session:
        await correct(
            session, node.settings, node.keyring, case_id=publication.case_id,
            case=a_case(**TITLES, corrections=[note]), drafted_by="x", approved_by="y", now=node.clock.now(),
        )  # fmt: skip
    await node.bell.ring()


async def withdrawn(town: Town, publication: Publication) -> None:
    node = town["a"].node
    async with node.database.begin() as session:
        await withdraw(
            session, node.settings, node.keyring, case_id=publication.case_id, reason="factual-error",
            proposed_by="x", approved_by="y", now=node.clock.now(),
        )  # fmt: skip
    await node.bell.ring()


async def test_what_was_said_in_an_hour_without_anybody_arrives_in_its_order_and_once(town: Town) -> None:
    await town.befriend("hub", "a")
    await town.befriend("b", "a")
    reader = Stranger(town, "reader.example", "rita", key="peer")
    await reader.post("a", reader.activity("Follow", town["a"].settings.main_actor))
    await town.settle()

    door = town.wires.apps.pop(reader.host)
    for name in ("hub", "b"):
        await town.stop(name)
    publication = await publish_case(town["a"].node, a_case(**TITLES))
    await town.settle()
    town.clock.forward(minutes=20)
    await corrected(town, publication)
    await town.settle()
    town.clock.forward(minutes=40)
    await withdrawn(town, publication)
    await town.settle()
    town.wires.apps[reader.host] = door
    for name in ("hub", "b"):
        await town.start(name)
    for _ in range(6):
        town.clock.forward(hours=1)
        await town.settle()

    assert [item["type"] for item in reader.received] == ["Accept", "Create", "Update", "Delete"]
    assert WORDS in str(reader.received[1])
    for name in ("hub", "b"):
        host = town[name].settings.authority
        posts = [one for one in town.wires.carried if (one.method, one.url.host) == ("POST", host)]
        ids = dict.fromkeys(json.loads(one.content)["id"] for one in posts)
        told = [item["id"] for item in reader.received[1:]]
        assert [one for one in ids if one in told] == told, name
        assert (await shown(town, name)) == [], name


async def test_nobody_shows_a_word_of_what_is_withdrawn(town: Town) -> None:
    await town.befriend("hub", "a")
    await town.befriend("b", "a")
    publication = await publish_case(town["a"].node, a_case(**TITLES))
    await town.settle()
    town.clock.forward(minutes=1)
    await corrected(town, publication)
    await town.settle()
    before = [await shown(town, name) for name in ("a", "b", "hub")]

    town.clock.forward(minutes=1)
    await withdrawn(town, publication)
    await town.settle()

    assert all(before)
    for name in ("a", "b", "hub"):
        assert await shown(town, name) == [], name
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        stone = await http.get(publication.url)
        listed = (await http.get("/actors/cases/outbox")).json()["totalItems"]
    assert (stone.status_code, stone.json()["type"]) == (410, "Tombstone")
    assert stone.json()["deleted"].startswith("2026-")
    assert listed == 1


async def shown(town: Town, name: str) -> list[str]:
    """Every address of a server where the words of the case can be read."""
    main = town[name].settings.main_actor
    found: list[str] = []

    async def look(http: Any, address: str, **headers: str) -> Any:
        answer = await http.get(address, headers=headers)
        if WORDS in answer.text:
            found.append(address)
        return answer

    async with town.visitor(name) as http:
        for address in (
            "/",
            "/cases",
            "/cases?q=emergency",
            "/feeds/cases.atom",
            "/feeds/cases.json",
            "/api/v1/cases",
        ):
            await look(http, address)
        for item in (await http.get(f"{main}/outbox?page=1")).json()["orderedItems"]:
            await look(http, item["id"], Accept=ACTIVITY_JSON)
        async with town[name].node.database.read() as session:
            for sent in await session.scalars(select(Sent.id)):
                await look(http, sent, Accept=ACTIVITY_JSON)
            for url in await session.scalars(select(Entry.id)):
                path = url.partition(".example")[2]
                copy = path if name == "a" else f"/cases/a.example/{url.rpartition('/')[2]}"
                await look(http, path, Accept=ACTIVITY_JSON)
                await look(http, copy, Accept="text/html")
    return found
