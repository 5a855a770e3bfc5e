"""A case goes out, is corrected, and is withdrawn: nobody shows a word of it then, and nobody who had not got it yet is sent one."""

import asyncio
import json
from typing import Any

from sqlalchemy import select

from federation import cavage
from node.entries.entries import Entry
from node.peers.hosts import decide
from node.peers.sending import Sent
from node.publishing.positions import draft_position, end_position, publish_position
from node.publishing.publications import Publication
from node.publishing.publish import correct, withdraw
from tests.rig.publications import a_case, publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON, PUBLIC

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


async def test_of_what_was_withdrawn_in_an_hour_without_anybody_only_the_withdrawal_arrives(
    town: Town,
) -> None:
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

    assert [item["type"] for item in reader.received] == ["Accept", "Delete"]
    for name in ("hub", "b"):
        host = town[name].settings.authority
        posts = [one for one in town.wires.carried if (one.method, one.url.host) == ("POST", host)]
        assert any(json.loads(one.content)["id"] == reader.received[1]["id"] for one in posts), name
        assert [one for one in posts if WORDS.encode() in one.content] == [], name
        assert (await shown(town, name)) == [], name


async def test_what_was_said_in_an_hour_without_anybody_arrives_in_its_order_and_once(town: Town) -> None:
    await town.befriend("hub", "a")
    reader = Stranger(town, "reader.example", "rita", key="peer")
    await reader.post("a", reader.activity("Follow", town["a"].settings.main_actor))
    await town.settle()

    door = town.wires.apps.pop(reader.host)
    await town.stop("hub")
    publication = await publish_case(town["a"].node, a_case(**TITLES))
    await town.settle()
    town.clock.forward(minutes=20)
    await corrected(town, publication)
    await town.settle()
    town.wires.apps[reader.host] = door
    await town.start("hub")
    for _ in range(6):
        town.clock.forward(hours=1)
        await town.settle()

    assert [item["type"] for item in reader.received] == ["Accept", "Create", "Update"]
    host = town.hub.settings.authority
    posts = [one for one in town.wires.carried if (one.method, one.url.host) == ("POST", host)]
    ids = dict.fromkeys(json.loads(one.content)["id"] for one in posts)
    told = [item["id"] for item in reader.received[1:]]
    assert [one for one in ids if one in told] == told


async def test_whoever_was_sent_a_case_and_follows_no_more_is_told_that_it_is_withdrawn(town: Town) -> None:
    readers = {
        name: Stranger(town, f"{name}.example", name, key="peer")
        for name in ("stays", "left", "shut", "late")
    }
    for name in ("stays", "left", "shut"):
        reader = readers[name]
        await reader.post("a", reader.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    publication = await publish_case(town["a"].node, a_case(**TITLES))
    await town.settle()
    follow = readers["left"].activity("Follow", town["a"].settings.main_actor)
    await readers["left"].post("a", readers["left"].activity("Undo", follow, number=2))
    async with town["a"].node.database.begin() as session:
        await decide(session, readers["shut"].host, "block", reason="", now=town.clock.now())
    await town.settle()
    town.clock.forward(minutes=1)
    other = await publish_case(town["a"].node, a_case(2))
    await town.settle()
    assert other.url not in str(readers["left"].received)

    await withdrawn(town, publication)
    await town.settle()

    told = {name: [one["type"] for one in reader.received] for name, reader in readers.items()}
    assert told == {
        "stays": ["Accept", "Create", "Create", "Delete"],
        "left": ["Accept", "Create", "Delete"],
        "shut": ["Accept", "Create"],
        "late": [],
    }


async def test_whoever_was_sent_a_position_and_follows_no_more_is_told_that_it_was_taken_back(
    town: Town,
) -> None:
    await town.befriend("b", "a")
    publication = await publish_case(town["a"].node, a_case(**TITLES))
    await town.settle()
    node, reader = town["b"].node, Stranger(town, "reader.example", "rita", key="peer")
    settings, keyring, follow = (
        node.settings,
        node.keyring,
        reader.activity("Follow", town["b"].settings.main_actor),
    )
    await reader.post("b", follow)
    await town.settle()
    async with node.database.begin() as session:
        said = await draft_position(
            session, settings, case_url=publication.url, kind="dissent", language="en",
            text=f"Not so at {WORDS}", by="x", now=node.clock.now(),
        )  # fmt: skip
    async with node.database.begin() as session:
        await publish_position(session, settings, keyring, said.id, by="y", now=node.clock.now())
    await town.settle()
    await reader.post("b", reader.activity("Undo", follow, number=2))
    await town.settle()

    async with node.database.begin() as session:
        await end_position(session, settings, keyring, said.id, by="y", now=node.clock.now())
    await town.settle()

    assert [one["type"] for one in reader.received] == ["Accept", "Create", "Delete"]


async def test_whoever_followed_a_hub_when_it_passed_a_case_on_is_told_that_it_is_withdrawn(
    town: Town,
) -> None:
    await town.befriend("hub", "a")
    reader = Stranger(town, "reader.example", "rita", key="peer")
    relayed = Stranger(town, "relayed.example", "rob", key="other")
    hub = town.hub.settings.main_actor
    for one, followed in ((reader, hub), (relayed, PUBLIC)):
        await one.post("hub", one.activity("Follow", followed))
    await town.settle()
    publication = await publish_case(town["a"].node, a_case(**TITLES))
    await town.settle()
    assert WORDS in str(reader.received)
    assert WORDS in str(relayed.received)
    for one, followed in ((reader, hub), (relayed, PUBLIC)):
        await one.post("hub", one.activity("Undo", one.activity("Follow", followed), number=2))
    await town.settle()
    before = len(reader.received), len(relayed.received)

    town.clock.forward(minutes=1)
    await withdrawn(town, publication)
    await town.settle()

    last = [
        (item["type"], item["object"]["type"])
        for one, n in zip((reader, relayed), before, strict=True)
        for item in one.received[n:]
    ]
    assert sorted(last) == [("Announce", "Delete"), ("Delete", "Tombstone"), ("Undo", "Announce")]


async def test_a_server_whose_people_follow_a_hub_alone_hears_of_the_withdrawal_from_the_cases_home(
    town: Town,
) -> None:
    await town.befriend("hub", "a")
    reader = Stranger(town, "reader.example", "rita", key="peer")
    await reader.post("hub", reader.activity("Follow", town.hub.settings.main_actor))
    await town.settle()
    publication = await publish_case(town["a"].node, a_case(**TITLES))
    await town.settle()
    announced = next(item["object"] for item in reader.received if item["type"] == "Announce")
    asked = cavage.sign("GET", announced, signer=reader.signer(), now=town.clock.now())
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        copy = await http.get(announced, headers={name.decode(): value.decode() for name, value in asked})
    while errands := set(town["a"].node.errands):
        await asyncio.wait(errands)
    assert WORDS in copy.text

    town.clock.forward(minutes=1)
    await withdrawn(town, publication)
    await town.settle()

    heard = [item for item in reader.received if item["type"] == "Delete"]
    assert [(item["actor"], item["object"]["id"]) for item in heard] == [
        (town["a"].settings.main_actor, announced)
    ]


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
