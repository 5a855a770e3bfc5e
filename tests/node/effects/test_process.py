"""Who may say what: each forged, stolen or replayed activity is kept without effect, and the honest one beside it works."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from federation.proofs import attach
from node.effects.process import LONGEST_REASON
from node.entries.entries import Entry
from node.entries.search import Filter, entry_at, search
from node.inbox.keeping import Received
from node.peers.directory import find_actor
from node.peers.follows import between, follow, follows
from node.peers.ours import local_actor_at
from node.publishing.reactions import Reaction, count_reactions
from tests.rig.publications import a_case, publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.cases import write_case
from vocab.terms import ACTIVITY_JSON, PUBLIC


@pytest.fixture
def victim(town: Town) -> Stranger:
    """An honest organisation that the hub follows."""
    return Stranger(town, "victim.example", "cases", key="other")


@pytest.fixture
def mallory(town: Town) -> Stranger:
    return Stranger(town, "evil.example", "mallory")


async def admit(town: Town, stranger: Stranger) -> None:
    """The hub asks to follow; the stranger accepts."""
    node = town.hub.node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, stranger.id)
    async with node.database.begin() as session:
        row = await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
    await stranger.post("hub", stranger.activity("Accept", row.activity, number=100))
    await town.settle()


def a_document(
    stranger: Stranger, town: Town, name: str = "c1", *, minutes: int = 0, **changed: Any
) -> dict[str, Any]:
    """A case as its publisher signs it."""
    published = town.clock.now().replace(microsecond=0)
    updated = published + timedelta(minutes=minutes) if minutes else None
    document = write_case(
        a_case(**changed),
        id=f"https://{stranger.host}/cases/{name}",
        actor=stranger.id,
        published=published,
        updated=updated,
        to=[PUBLIC],
        cc=[],
    )
    return attach(document, stranger.prover(), now=town.clock.now() + timedelta(minutes=minutes))


async def at_hub(town: Town, name: str = "c1", host: str = "victim.example") -> Any:
    async with town.hub.node.database.read() as session:
        return await entry_at(session, f"https://{host}/cases/{name}")


async def test_a_case_of_an_admitted_organisation_is_taken_in(town: Town, victim: Stranger) -> None:
    await admit(town, victim)

    await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    await town.settle()

    assert (await at_hub(town)).publisher_name == "A stranger (fictional)"


async def test_a_case_of_somebody_we_do_not_follow_is_not(town: Town, victim: Stranger) -> None:
    await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    await town.settle()

    assert await at_hub(town) is None


async def test_a_case_of_another_scheme_than_its_publisher_is_not(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    url = "http://victim.example/cases/c1"
    document = attach(a_document(victim, town) | {"id": url}, victim.prover(), now=town.clock.now())

    await victim.post("hub", victim.activity("Create", document))
    await town.settle()

    async with town.hub.node.database.read() as session:
        assert await entry_at(session, url) is None


async def test_a_case_without_a_proof_or_with_a_broken_one_is_not(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    bare = a_document(victim, town, "bare")
    del bare["proof"]
    changed = a_document(victim, town, "changed") | {"name": "Something else"}
    by_another = attach(
        {k: v for k, v in a_document(victim, town, "other").items() if k != "proof"},
        Stranger(town, "evil.example").prover(),
        now=town.clock.now(),
    )

    for number, document in enumerate((bare, changed, by_another)):
        await victim.post("hub", victim.activity("Create", document, number=number))
    await town.settle()

    for name in ("bare", "changed", "other"):
        assert await at_hub(town, name) is None


async def test_an_admitted_organisation_cannot_speak_for_another(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    await admit(town, victim)
    await admit(town, mallory)
    stolen = a_document(victim, town, "stolen")
    renamed = stolen | {"attributedTo": mallory.id}
    disguised = a_document(mallory, town, "d") | {"id": "https://victim.example/cases/d"}

    for number, document in enumerate((renamed, disguised)):
        await mallory.post("hub", mallory.activity("Create", document, number=number))
    await town.settle()

    assert await at_hub(town, "stolen") is None
    assert await at_hub(town, "d") is None


async def test_a_case_delivered_twice_is_one_and_announced_once(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    document = a_document(victim, town)

    for number in range(3):
        await victim.post("hub", victim.activity("Create", document, number=number))
    await town.settle()

    async with town.visitor("hub") as http:
        page = (await http.get("/actors/hub/outbox?page=1")).json()
    assert [item["type"] for item in page["orderedItems"]] == ["Announce"]
    async with town.hub.node.database.read() as session:
        assert (await search(session, Filter())).total == 1


async def test_an_old_signed_version_does_not_undo_a_correction(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    old = a_document(victim, town)
    new = a_document(victim, town, minutes=5, title={"en": "A corrected title of a fictional case"})
    town.clock.forward(minutes=10)

    for number, (kind, document) in enumerate(
        (("Create", old), ("Update", new), ("Update", old), ("Create", old))
    ):
        await victim.post("hub", victim.activity(kind, document, number=number))
    await town.settle()

    card = await at_hub(town)
    assert card.case.title["en"] == "A corrected title of a fictional case"
    assert card.state == "corrected"


async def test_an_update_that_comes_before_its_create_wins(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    old = a_document(victim, town)
    new = a_document(victim, town, minutes=5, title={"en": "A corrected title of a fictional case"})
    town.clock.forward(minutes=10)

    await victim.post("hub", victim.activity("Update", new))
    await victim.post("hub", victim.activity("Create", old))
    await town.settle()

    assert (await at_hub(town)).case.title["en"] == "A corrected title of a fictional case"


async def test_nobody_but_its_publisher_withdraws_a_case_and_a_withdrawal_is_for_good(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    await admit(town, victim)
    await admit(town, mallory)
    document = a_document(victim, town)
    await victim.post("hub", victim.activity("Create", document))
    await town.settle()

    await mallory.post("hub", mallory.activity("Delete", document["id"]))
    await town.settle()
    before = await at_hub(town)
    neighbour = Stranger(town, "victim.example", "bob", key="peer")
    await neighbour.post("hub", neighbour.activity("Delete", document["id"], number=2))
    await town.settle()
    still = await at_hub(town)
    Stranger(town, "victim.example", "cases", key="other")
    await victim.post("hub", victim.activity("Delete", {"id": document["id"], "type": "Tombstone"}, number=3))
    await victim.post("hub", victim.activity("Create", document, number=4))
    await town.settle()
    after = await at_hub(town)

    assert before.state == still.state == "live"
    assert after.state == "withdrawn"
    assert after.case is None
    async with town.hub.node.database.read() as session:
        row = await session.get(Entry, document["id"])
    assert row is not None
    assert row.text == ""
    assert row.fields == {}


async def test_a_withdrawal_takes_the_hubs_announcements_back(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    reader = Stranger(town, "reader.example", "rita", key="peer")
    await reader.post("hub", reader.activity("Follow", town.hub.settings.main_actor))
    document = a_document(victim, town)
    await victim.post("hub", victim.activity("Create", document))
    await town.settle()

    await victim.post("hub", victim.activity("Delete", document["id"]))
    await town.settle()

    announced = next(item for item in reader.received if item["type"] == "Announce")
    undone = next(item for item in reader.received if item["type"] == "Undo")
    assert announced["object"] == document["id"]
    assert undone["object"]["id"] == announced["id"]
    async with town.visitor("hub", headers={"accept": ACTIVITY_JSON}) as http:
        served = await http.get(undone["id"])
        first = (await http.get(f"{town.hub.settings.main_actor}/outbox?page=1")).json()["orderedItems"][0]
    assert served.json() == undone
    assert (first["type"], first["object"]) == ("Undo", announced["id"])
    assert {name: undone[name] for name in ("id", "published", "to", "cc")}.items() <= first.items()


async def test_an_accept_that_we_did_not_ask_for_changes_nothing(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    node = town.hub.node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, victim.id)
    async with node.database.begin() as session:
        asked = await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())

    await mallory.post("hub", mallory.activity("Accept", asked.activity))
    await mallory.post("hub", mallory.activity("Accept", asked.activity_id, number=2))
    await mallory.post(
        "hub", mallory.activity("Accept", {"type": "Follow", "actor": us.id, "object": mallory.id}, number=3)
    )
    await town.settle()

    async with node.database.read() as session:
        row = await between(session, us.id, victim.id)
        assert row is not None
        assert row.state == "requested"
        assert not await follows(session, us.id, mallory.id)


async def test_a_rejected_follow_ends_and_its_cases_are_not_taken_any_more(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    async with town.hub.node.database.read() as session:
        asked = await between(session, town.hub.settings.main_actor, victim.id)
    assert asked is not None

    await victim.post("hub", victim.activity("Reject", asked.activity))
    await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    await town.settle()

    assert await at_hub(town) is None


async def test_a_follower_who_leaves_hears_nothing_more_and_nobody_leaves_for_another(
    town: Town, mallory: Stranger
) -> None:
    reader = Stranger(town, "reader.example", "rita", key="peer")
    asked = reader.activity("Follow", town["a"].settings.main_actor)
    await reader.post("a", asked)
    await town.settle()

    await mallory.post("a", mallory.activity("Undo", asked))
    await town.settle()
    await publish_case(town["a"].node)
    await town.settle()
    heard = [item["type"] for item in reader.received]
    await reader.post("a", reader.activity("Undo", asked))
    await town.settle()
    await publish_case(town["a"].node, a_case(1))
    await town.settle()

    assert heard == ["Accept", "Create"]
    assert [item["type"] for item in reader.received] == ["Accept", "Create"]


async def test_replies_likes_and_boosts_are_noted_and_shown_to_nobody(town: Town, mallory: Stranger) -> None:
    publication = await publish_case(town["a"].node)
    script = "<script>alert(1)</script>"
    note = {
        "id": "https://evil.example/notes/1",
        "type": "Note",
        "attributedTo": mallory.id,
        "inReplyTo": publication.url,
        "content": script,
        "published": "2026-11-21T10:00:00Z",
    }

    await mallory.post("a", mallory.activity("Create", note))
    await mallory.post("a", mallory.activity("Like", publication.url))
    await mallory.post("a", mallory.activity("Announce", publication.url))
    await town.settle()

    async with town["a"].node.database.read() as session:
        assert await count_reactions(session, publication.url) == {"reply": 1, "like": 1, "boost": 1}
    async with town.visitor("a") as http:
        page = await http.get(publication.url, headers={"Accept": "text/html"})
    assert script not in page.text
    assert "evil.example" not in page.text

    await mallory.post("a", mallory.activity("Undo", "https://evil.example/activities/like-1"))
    await mallory.post("a", mallory.activity("Delete", {"id": note["id"], "type": "Tombstone"}))
    await town.settle()
    async with town["a"].node.database.read() as session:
        assert await count_reactions(session, publication.url) == {"boost": 1}
        assert await session.get(Reaction, note["id"]) is None


async def test_a_forwarded_activity_counts_when_its_actor_proved_it(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    await admit(town, victim)
    case = a_document(victim, town)
    victim.documents[case["id"].removeprefix(f"https://{victim.host}")] = case
    activity = attach(victim.activity("Create", case), victim.prover(), now=town.clock.now())
    altered = activity | {"id": "https://victim.example/activities/altered"}

    await mallory.post("hub", altered)
    await town.settle()
    nothing = await at_hub(town)
    await mallory.post("hub", activity)
    await town.settle()

    assert nothing is None
    assert await at_hub(town) is not None


async def test_a_context_that_is_added_to_a_proven_case_redefines_nothing(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    document = a_document(victim, town)
    document["@context"] = [*document["@context"], {"name": "https://evil.example/ns#ignored"}]

    await victim.post("hub", victim.activity("Create", document))
    await town.settle()

    card = await at_hub(town)
    async with town.hub.node.database.read() as session:
        row = await session.get(Entry, document["id"])
    assert card is None or (row is not None and b"evil.example" not in row.document)


async def test_what_was_processed_is_forgotten_but_for_its_digest(town: Town, mallory: Stranger) -> None:
    await mallory.post("a", mallory.activity("Like", "https://a.example/cases/none"))
    await town.settle()

    async with town["a"].node.database.read() as session:
        row = await session.scalar(select(Received))
    assert row is not None
    assert (row.activity_id, row.actor, row.signer, row.body) == ("", "", "", None)


async def test_an_actor_that_is_down_is_asked_again_later_and_then_answered(town: Town) -> None:
    reader = Stranger(town, "reader.example", "rita", key="peer")
    await reader.post("a", reader.activity("Like", "https://a.example/cases/none"))
    await town.settle()
    await reader.post("a", reader.activity("Follow", town["a"].settings.main_actor))
    door = town.wires.apps.pop("reader.example")

    await town.settle()
    assert reader.received == []
    town.wires.apps["reader.example"] = door
    town.clock.forward(hours=1)
    await town.settle()

    assert [item["type"] for item in reader.received] == ["Accept"]


async def test_a_refusal_is_told_without_who_it_was_and_what_they_wrote(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rita = Stranger(town, "reader.example", "canary-of-a-name")
    words = "canary-of-words " * 1000
    activities = [
        rita.activity("Flag", ["https://a.example/desk"], id=f"{rita.id}#flags/1", content=words),
        rita.activity("Accept", f"{rita.id}#follows/1", id=f"{rita.id}#accepts/1"),
        rita.activity("Create", {"id": f"{rita.id}/notes/1", "type": [words]}, id=f"{rita.id}#creates/1"),
        rita.activity("Like", f"{rita.id}/notes/2", id=f"{rita.id}#likes/1") | {"type": ["", words]},
    ]

    for activity in activities:
        assert (await rita.post("a", activity)).status_code == 202
    await town.settle()

    told = [vars(one) for one in caplog.records if one.name.startswith("node.")]
    assert [one["host"] for one in told if one["msg"] == "inbox.refused"] == [rita.host] * len(activities)
    assert "canary-of-a-name" not in str(told)
    assert max(len(str(one.get("reason", ""))) for one in told) <= LONGEST_REASON
