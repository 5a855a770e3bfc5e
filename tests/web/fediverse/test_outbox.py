"""The outbox as crawlers read it: what each item is, since when and for whom, without asking for every activity."""

import json

import pytest

from federation.proofs import Proven, check
from node.entries.search import standing
from node.peers.changing import announce_move
from node.peers.directory import find_actor, proving_keys
from node.peers.ours import say_alias
from node.publishing.featured import feature
from node.publishing.publish import correct
from node.publishing.reactions import ReplyText, keep_reaction, show_reply
from tests.rig.publications import a_case, publish_case, withdraw_case
from tests.rig.town import Town
from vocab.activities import read_activity
from vocab.terms import ACTIVITY_JSON, PUBLIC
from web.fediverse import actors
from web.fediverse.actors import PAGE, WHOLE_BYTES
from web.fediverse.objects import FEW_REPLIES

OTHER = "https://b.example/cases/other"


async def test_each_item_says_what_it_is_since_when_and_for_whom(town: Town) -> None:
    url = (await publish_case(town["a"].node)).url
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        head = (await http.get("/actors/cases/outbox")).json()
        page = (await http.get(head["first"])).json()
        whole = (await http.get(page["orderedItems"][0]["id"])).json()

    (item,) = page["orderedItems"]
    read = read_activity(item)
    assert head["outboxOf"] == "https://a.example/actors/cases"
    assert (read.type, read.object_id, read.to) == ("Create", url, (PUBLIC,))
    assert read.cc == ("https://a.example/actors/cases/followers",)
    for name in ("id", "type", "actor", "published", "to", "cc"):
        assert item[name] == whole[name]


async def test_an_item_says_nothing_else_than_its_activity_does(town: Town) -> None:
    node = town["a"].node
    actor = node.settings.main_actor
    url = (await publish_case(node)).url
    async with node.database.begin() as session:
        await feature(session, node.settings, node.keyring, url, now=node.clock.now())
    async with town["b"].node.database.begin() as session:
        await say_alias(session, town["b"].settings.main_actor, actor, "also-known-as", now=town.clock.now())
    await announce_move(node, town["b"].settings.main_actor)

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        items = (await http.get(f"{actor}/outbox?page=1")).json()["orderedItems"]
        activities = [(await http.get(item["id"])).json() for item in items]

    found = {item["type"]: item for item in items}
    assert found.keys() == {"Create", "Add", "Update", "Move"}
    assert found["Add"]["target"] == f"{actor}/featured"
    assert found["Move"]["target"] == town["b"].settings.main_actor
    members = ("id", "type", "actor", "published", "to", "cc", "target")
    for item, activity in zip(items, activities, strict=True):
        assert {name: item.get(name) for name in members} == {name: activity.get(name) for name in members}


async def test_a_case_that_stands_is_in_its_page_whole_as_it_was_signed(town: Town) -> None:
    """snac 2.96 shows a new follower these, and asks for none that is only named."""
    urls = {(await publish_case(town["a"].node, a_case(number))).url for number in range(2)}

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        items = (await http.get("/actors/cases/outbox?page=1")).json()["orderedItems"]
        activities = [(await http.get(item["id"])).json() for item in items]

    assert items == activities
    assert {item["object"]["id"] for item in items} == urls
    author = await find_actor(town["b"].node, "https://a.example/actors/cases")
    keys, _ = await proving_keys(town["b"].node, author.id)
    assert all(isinstance(check(item, keys, now=town.clock.now()), Proven) for item in items)


async def test_a_case_that_was_corrected_stands_whole_as_it_is_now_and_a_withdrawn_one_nowhere(
    town: Town,
) -> None:
    """What was put right since must not be read anew from a list of what was said first."""
    node = town["a"].node
    wrong, withdrawn = await publish_case(node, a_case(0)), await publish_case(node, a_case(1))
    two = {"drafted_by": "one", "approved_by": "two"}
    for title in ("Corrected (fictional)", "Corrected again (fictional)"):
        town.clock.forward(minutes=5)
        async with node.database.begin() as session:
            better = a_case(0, title={"en": title})
            now = node.clock.now()
            await correct(
                session, node.settings, node.keyring, case_id=wrong.case_id, case=better, now=now, **two
            )
    town.clock.forward(minutes=5)
    await withdraw_case(node, withdrawn)

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        page = (await http.get("/actors/cases/outbox?page=1")).json()

    delete, last, first, create = page["orderedItems"]
    assert page["srt:upToDate"] is True
    assert (delete["type"], delete["object"]) == ("Delete", withdrawn.url)
    assert (last["type"], last["object"]["nameMap"]["en"]) == ("Update", "Corrected again (fictional)")
    assert (first["type"], first["object"]) == ("Update", wrong.url)
    assert (create["type"], create["object"]) == ("Create", wrong.url)


async def test_a_page_holds_whole_what_there_is_room_for(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(PAGE + 2):
        await publish_case(town["a"].node, a_case(number % 2))
        town.clock.forward(seconds=1)
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        one = await http.get("/actors/cases/outbox?page=1")
        two = (await http.get(one.json()["next"])).json()
        monkeypatch.setattr(actors, "WHOLE_BYTES", 3 * len(json.dumps(one.json()["orderedItems"][0])))
        small = (await http.get("/actors/cases/outbox?page=1")).json()

    assert len(one.content) < WHOLE_BYTES + PAGE * 1000
    for page in (one.json(), two):
        assert all(isinstance(item["object"], dict) for item in page["orderedItems"])
    whole = [isinstance(item["object"], dict) for item in small["orderedItems"]]
    assert whole[:2] == [True, True]
    assert 2 <= sum(whole) <= 4


async def test_whoever_reads_the_outbox_of_a_node_asks_for_no_case_that_stands_there(town: Town) -> None:
    """A hub reads a new member's two hundred cases in twenty answers."""
    node = town["a"].node
    urls = {(await publish_case(node, a_case(number % 2))).url for number in range(2 * PAGE + 1)}
    town.wires.carried.clear()
    await town.befriend("hub", "a")
    await town.settle()

    async with town.hub.node.database.read() as session:
        assert await standing(session, urls) == urls
    asked = [request.url.path for request in town.wires.carried if request.url.host == "a.example"]
    assert asked.count("/actors/cases/outbox") == 4
    assert not [path for path in asked if path.startswith("/cases/")]


async def test_a_page_has_one_address_whatever_else_is_asked(town: Town) -> None:
    for number in range(PAGE + 1):
        await publish_case(town["a"].node, a_case(number))
    at = "https://a.example/actors/cases/outbox"

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        first = (await http.get(f"{at}?page=1")).json()
        second = (await http.get(first["next"])).json()
        others = ("?x=1&page=1&y=2", "?page=7&after=nonsense", "?page=", "?after=&page=1")
        led = [await http.get(f"{at}{one}") for one in others] + [await http.get(f"{first['next']}&x=1")]

    assert [one.status_code for one in led] == [301] * 5
    assert [one.headers["location"] for one in led] == [f"{at}?page=1"] * 4 + [first["next"]]
    assert first["id"] == f"{at}?page=1"
    assert second["id"] == first["next"]
    assert len(first["orderedItems"]) == PAGE
    assert len(second["orderedItems"]) == 1


async def test_replies_say_what_they_are_replies_to(town: Town) -> None:
    url = (await publish_case(town["a"].node)).url

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        replies = (await http.get(f"{url}/replies")).json()

    assert replies["repliesOf"] == url
    assert replies["first"]["items"] == []


async def test_cases_that_belong_together_are_linked_as_objects(town: Town) -> None:
    case = a_case(related=[{"id": OTHER, "relation": "similar"}])
    url = (await publish_case(town["a"].node, case)).url

    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        tags = (await http.get(url)).json()["tag"]

    links = [tag for tag in tags if tag["type"] == "Link"]
    assert [(tag["href"], tag["rel"]) for tag in links] == [(OTHER, "related")]
    assert links[0]["mediaType"].startswith("application/ld+json; profile=")


async def test_the_first_page_of_replies_holds_few_and_the_next_the_others(town: Town) -> None:
    node = town["a"].node
    url = (await publish_case(node)).url
    notes = [f"https://stranger.example/notes/{number}" for number in range(FEW_REPLIES + 2)]
    for note in notes:
        async with node.database.begin() as session:
            actor = "https://stranger.example/users/sam"
            await keep_reaction(
                session, id=note, kind="reply", actor=actor, case_url=url, now=node.clock.now()
            )
            text = ReplyText("S", "s@x", note, "<p>Yes</p>", None, "0" * 64, is_public=True)
            await show_reply(session, note, text, by="somebody", now=node.clock.now())
    accept = {"Accept": "application/activity+json"}
    async with town.visitor("a") as http:
        whole = (await http.get(f"{url}/replies", headers=accept)).json()
        following = (await http.get(whole["first"]["next"], headers=accept)).json()
        beyond = await http.get(f"{url}/replies?page=3", headers=accept)

    assert whole["totalItems"] == len(notes)
    assert (whole["first"]["items"], following["items"]) == (notes[:FEW_REPLIES], notes[FEW_REPLIES:])
    assert "next" not in following
    assert beyond.status_code == 404


async def test_an_announcement_that_nobody_was_sent_is_proven_to_whoever_reads_it(town: Town) -> None:
    """A hub announces a case by actors whom nobody follows yet."""
    await town.befriend("hub", "a")
    url = (await publish_case(town["a"].node, a_case(0, state="FR"))).url
    await town.settle()
    hub = await find_actor(town["b"].node, "https://hub.example/actors/state-fr")
    keys, _ = await proving_keys(town["b"].node, hub.id)

    async with town.visitor("hub", headers={"Accept": ACTIVITY_JSON}) as http:
        (item,) = (await http.get("/actors/state-fr/outbox?page=1")).json()["orderedItems"]
        first = await http.get(item["id"])
        town.clock.forward(hours=1)
        again = await http.get(item["id"])

    assert first.json()["object"] == url
    assert again.content == first.content
    assert isinstance(check(first.json(), keys, now=town.clock.now()), Proven)
