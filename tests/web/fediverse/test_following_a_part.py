"""Each State, article, theme, group and kind is an actor, a feed and an address for programs, with the same cases in each."""

import re
from xml.etree import ElementTree

import pytest

from node.peers.ours import local_actors
from tests.rig.publications import a_case, correct_case, publish_case
from tests.rig.town import Town
from vocab.terms import ACTIVITY_JSON, LD_JSON

ATOM = "{http://www.w3.org/2005/Atom}"
FITTING = {"state": "FR", "provisions": ["31.2"], "groups": ["homeless"]}


@pytest.mark.parametrize(
    ("facet", "value"),
    [
        ("state", "FR"),
        ("article", "31"),
        ("theme", "equality-inclusion"),
        ("group", "homeless"),
        ("kind", "violation"),
    ],
)
async def test_an_actor_its_feeds_and_its_list_name_the_same_cases(
    town: Town, facet: str, value: str
) -> None:
    await town.befriend("hub", "a")
    await publish_case(town["a"].node, a_case(8))
    await town.settle()
    town.clock.forward(hours=1)
    here = await publish_case(town["a"].node, a_case(0, **FITTING))
    await town.settle()
    town.clock.forward(hours=1)
    also = await publish_case(town["a"].node, a_case(0, **FITTING))
    await town.settle()

    name = f"{facet}-{value.lower()}"
    async with town.visitor("hub", headers={"Accept": ACTIVITY_JSON}) as http:
        actor = (await http.get(f"/actors/{name}")).json()
        announced = (await http.get(f"/actors/{name}/outbox?page=1")).json()["orderedItems"]
        page = await http.get(f"/actors/{name}", headers={"Accept": "text/html"})
        atom = ElementTree.fromstring((await http.get(f"/feeds/cases.atom?{facet}={value}")).content)  # noqa: S314 (our own feed)
        feed = (await http.get(f"/feeds/cases.json?{facet}={value}")).json()
        listed = (await http.get(f"/api/v1/cases?{facet}={value}")).json()

    cases = [item["object"] for item in announced if isinstance(item["object"], str)]
    assert cases[:2] == [also.url, here.url]
    assert actor["url"] == f"https://hub.example/cases?{facet}={value}"
    assert page.headers["location"] == f"/cases?{facet}={value}"
    assert [entry.findtext(f"{ATOM}id") for entry in atom.findall(f"{ATOM}entry")] == cases
    assert [item["id"] for item in feed["items"]] == cases
    assert [item["id"] for item in listed["cases"]] == cases


@pytest.mark.parametrize("name", ["state-fr", "article-31", "state-ie", "article-30"])
async def test_an_actor_names_what_its_feed_does_after_a_case_was_corrected_to_concern_others(
    town: Town, name: str
) -> None:
    await town.befriend("hub", "a")
    publication = await publish_case(town["a"].node, a_case(0, state="IE", provisions=["30"]))
    await town.settle()
    town.clock.forward(hours=1)
    await correct_case(town["a"].node, publication, a_case(0, **FITTING))
    await town.settle()

    facet, _, value = name.partition("-")
    async with town.visitor("hub", headers={"Accept": ACTIVITY_JSON}) as http:
        items = (await http.get(f"/actors/{name}/outbox?page=1")).json()["orderedItems"]
        feed = (await http.get(f"/feeds/cases.json?{facet}={value.upper()}")).json()["items"]

    announced = [item["object"] for item in items if item["type"] == "Announce"]
    assert announced == [item["id"] for item in feed]
    assert announced == ([publication.url] if name in ("state-fr", "article-31") else [])


ALTERNATE = re.compile(r'<link rel="alternate" type="application/activity\+json" href="([^"]*)">')
# What Mastodon asks for when somebody pastes an address into its search field.
PASTED = {"Accept": f"{LD_JSON}, {ACTIVITY_JSON}, text/html;q=0.1"}


@pytest.mark.parametrize(
    "address",
    [
        "hub/cases?state=FR&article=31",
        "hub/cases?state=FR&q=housing",
        "hub/cases?state=FR&page=2",
        "hub/cases?state=XX",
        "hub/cases?provision=31.2",
        "hub/cases?publisher=cases",
        "hub/cases?node=a.example",
        "hub/cases",
        "a/cases?state=FR",
    ],
)
async def test_a_page_that_no_actor_announces_names_none(town: Town, address: str) -> None:
    site, _, path = address.partition("/")
    async with town.visitor(site) as http:
        page = await http.get(f"/{path}", headers=PASTED)

    assert page.status_code == 200
    assert ALTERNATE.findall(page.text) == []


async def test_the_page_of_a_state_in_small_letters_leads_to_its_actor_too(town: Town) -> None:
    """As snac shows the address of the hashtag #France."""
    async with town.visitor("hub") as http:
        page = await http.get("/cases?state=fr", headers=PASTED)

    assert ALTERNATE.findall(page.text) == ["https://hub.example/actors/state-fr"]


async def test_the_page_of_every_actor_leads_back_to_it_where_it_is_pasted(town: Town) -> None:
    settings = town.hub.settings
    async with town.visitor("hub", headers=PASTED) as http:
        for ours in local_actors(settings):
            if ours.id != settings.instance_actor:
                page = await http.get(ours.page)
                assert page.headers["content-type"].startswith("text/html")
                assert ALTERNATE.findall(page.text) == [ours.id]
