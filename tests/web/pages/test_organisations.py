"""The way to an organisation near one: two steps from the front page, nobody listed on their own word alone, and no page heavy."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from node.peers.actors import RemoteActor
from node.peers.follows import Follow, Followed, accepted_by
from node.peers.hosts import decide
from node.peers.network import NetworkMember
from node.runtime import Node
from tests.rig.town import Town
from tests.web.door import barriers
from tests.web.pages.readers import put, sample, sample_host, words
from vocab import states
from web.app import make_app

MOST = 100_000
LANE = "Harbour Lane Social Rights Watch"


@pytest.fixture
def settings(settings: Callable[..., Any]) -> Callable[..., Any]:
    return partial(settings, states="FR")


async def know(node: Node, host: str, name: str, *, state: str = "accepted", **changed: Any) -> None:
    """An actor of another server, which this server follows unless `state` says otherwise."""
    now = node.clock.now()
    actor = f"https://{host}/actors/cases"
    row = RemoteActor(
        id=actor, host=host, type="Organization", handle=f"cases@{host}", name=name, url=f"https://{host}/"
    )
    row.inbox, row.fetched_at, row.is_network = f"{actor}/inbox", now, True
    for key, value in changed.items():
        setattr(row, key, value)
    async with node.database.begin() as session:
        session.add(row)
        session.add(
            Follow(
                activity_id=f"https://a.example/{host}",
                follower=node.settings.main_actor,
                followed=actor,
                state=state,
                activity={},
                changed_at=now,
            )
        )


async def list_member(node: Node, host: str, name: str, listed: str) -> None:
    async with node.database.begin() as session:
        session.add(NetworkMember(actor=f"https://{host}/actors/cases", host=host, name=name, states=listed))


async def test_nobody_is_listed_on_their_own_word_and_no_blocked_host_at_all(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    await know(node, "asked.example", "Asked only", state="requested", states="IE")
    await know(node, "blog.example", "A blog", is_network=False, states="IE")
    await know(node, "shut.example", "Shut out", states="IE")
    await list_member(node, "shut-too.example", "Shut out too", "IE")
    await put(node, sample("01"), "01", host="stranger.example")
    async with node.database.begin() as session:
        for host in ("shut.example", "shut-too.example"):
            await decide(session, host, "block", reason="(fictional)", now=node.clock.now())

    page = (await visitor.get("/organisations/ie")).text + (await visitor.get("/organisations/all")).text

    for name in ("Asked only", "A blog", "Shut out", "stranger.example"):
        assert name not in page


async def test_what_is_no_state_answers_404(visitor: httpx.AsyncClient) -> None:
    for code in ("xx", "f", "fra", "²"):
        assert (await visitor.get(f"/organisations/{code}")).status_code == 404


async def test_an_organisation_is_found_by_its_word_its_hubs_list_and_its_cases(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    await know(node, sample_host("01"), LANE)
    await put(node, sample("01"), "01", host=sample_host("01"))
    await know(node, "said.example", "Said so (fictional)", states="IE BE")
    await list_member(node, "listed.example", "Listed (fictional)", "IE")

    page = (await visitor.get("/organisations/ie?lang=en")).text

    said = words(page)
    assert [said.index(name) for name in (LANE, "Listed (fictional)", "Said so (fictional)")] == sorted(
        said.index(name) for name in (LANE, "Listed (fictional)", "Said so (fictional)")
    )
    assert "1 public case from this State" in said
    assert "Works in: Belgium, Ireland" in said
    assert "Has published in: English" in said
    assert 'href="https://said.example/alert?lang=en"' in page
    assert node.settings.organisation not in said.partition("Works in")[2].partition("What this is not")[0]


async def test_where_nobody_is_known_the_nearest_things_are_named(
    node: Node, visitor: httpx.AsyncClient
) -> None:
    alone = (await visitor.get("/organisations/al?lang=en")).text
    member = replace(node, settings=replace(node.settings, hub="https://hub.example"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=make_app(member)), base_url=node.settings.origin
    ) as there:
        led = (await there.get("/organisations/al?lang=en")).text

    assert "We know of no organisation of this network that works there yet" in words(alone)
    assert 'href="/alert?lang=en"' in alone
    assert 'href="/organisations/all?lang=en"' in alone
    assert "hub.example" not in alone
    assert 'href="https://hub.example/organisations/al?lang=en"' in led


async def test_every_state_can_be_chosen_once_and_those_without_the_charter_stand_apart(
    visitor: httpx.AsyncClient,
) -> None:
    page = (await visitor.get("/organisations")).text
    bound, _, others = page.partition("Not bound by the Charter")
    chosen = [re.findall(r'href="/organisations/([a-z]{2})"', part) for part in (bound, others)]

    assert sorted(chosen[0] + chosen[1]) == sorted(state.code.lower() for state in states.states())
    assert {"fr", "pl"} <= set(chosen[0])  # the revised Charter, and that of 1961
    assert {"ch", "ru"} <= set(chosen[1])  # never bound, and no longer a member
    assert page.count("✓") == 2  # the sign itself is explained, and one State has it


@pytest.mark.parametrize("language", ["en", "fr", "es"])
async def test_no_page_on_the_way_weighs_a_hundred_kilobytes(
    node: Node, visitor: httpx.AsyncClient, language: str
) -> None:
    for number in range(40):
        await list_member(node, f"m{number}.example", f"Member {number} (fictional)", "FR ES IE")

    for path in ("/", "/organisations", "/organisations/fr", "/organisations/all"):
        answer = await visitor.get(f"{path}?lang={language}", headers={"Accept-Encoding": "identity"})
        files = re.findall(r'<(?:link|script)\b[^>]*?\b(?:href|src)="(/static/[^"]+)"', answer.text)
        weight = len(answer.content)
        for address in files:
            packed = await visitor.get(address, headers={"Accept-Encoding": "gzip"})
            weight += int(packed.headers["content-length"])
        assert weight < MOST, path
        assert "set-cookie" not in answer.headers
        assert f'<html lang="{language}">' in answer.text


async def test_a_node_reads_whom_its_hub_names_and_in_which_states_they_say_they_work(town: Town) -> None:
    await town.open("ie", states="IE")
    await town.open("fr", states="FR", hub="https://hub.example")
    for name in ("fr", "ie"):
        await town.befriend("hub", name)

    # Nobody starts anything: being asked by the hub is enough.
    town.clock.forward(minutes=2)
    await town.settle()

    async with town.visitor("fr") as visitor:
        page = (await visitor.get("/organisations/ie?lang=en")).text
    async with town.visitor("hub") as visitor:
        at_the_hub = (await visitor.get("/organisations/ie?lang=en")).text
    for text in (page, at_the_hub):
        assert "Organisation IE (fictional)" in words(text)
        assert 'href="https://ie.example/alert?lang=en"' in text
        assert "Organisation FR (fictional)" not in words(text).partition("What this is not")[0]


async def test_a_list_that_is_not_the_hubs_own_changes_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await town.open("ie", states="IE")
    await town.open("fr", hub="https://hub.example")
    await town.befriend("hub", "ie")
    await read_list(town, "fr")

    async def nobody(*_: object, **__: object) -> list[object]:
        return []

    monkeypatch.setattr("node.hub.members.accepted_by", nobody)
    monkeypatch.setattr("node.peers.lists.proofs.attach", lambda document, signer, now: document)
    town.clock.forward(hours=2)
    await town.settle()

    assert "members.unread" in caplog.messages
    async with town.visitor("fr") as visitor:
        assert "Organisation IE (fictional)" in (await visitor.get("/organisations/ie")).text


@pytest.mark.parametrize(
    "address",
    [
        "https://[",
        "https://a.example]/actors/cases",
        "https:///actors/cases",
        f"https://{'a.' * 150}example/",
    ],
)
async def test_what_is_no_address_in_the_hubs_list_takes_nobody_else_from_it(
    town: Town, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    await town.open("ie", states="IE")
    await town.open("fr", hub="https://hub.example")
    await town.befriend("hub", "ie")

    async def more(session: AsyncSession, follower: str, **part: int) -> list[Followed]:
        found = await accepted_by(session, follower, **part)
        return [replace(found[0], id=address, name="Nowhere", url=address), *found]

    monkeypatch.setattr("node.hub.members.accepted_by", more)
    await read_list(town, "fr")

    async with town.visitor("fr") as visitor:
        page = (await visitor.get("/organisations/ie")).text
    assert "Organisation IE (fictional)" in page
    assert "Nowhere" not in page


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Amnesty\u202e\u2066 gro.live\u2069\u200e\u200f\x07\x9b", "Amnesty gro.live"),
        ("\u202e\u2066\x1b", "ie.example"),
    ],
)
async def test_a_name_in_the_hubs_list_turns_no_line_around(
    town: Town, monkeypatch: pytest.MonkeyPatch, said: str, shown: str
) -> None:
    await town.open("ie", states="IE")
    await town.open("fr", hub="https://hub.example")
    await town.befriend("hub", "ie")

    async def turned(session: AsyncSession, follower: str, **part: int) -> list[Followed]:
        return [replace(one, name=said) for one in await accepted_by(session, follower, **part)]

    monkeypatch.setattr("node.hub.members.accepted_by", turned)
    await read_list(town, "fr")

    async with town["fr"].node.database.read() as session:
        kept = await session.scalars(select(NetworkMember.name))
    assert kept.all() == [shown]


async def read_list(town: Town, name: str) -> None:
    from node.roles import begin

    await begin(town[name].node)
    await town.settle()


@pytest.mark.browser
async def test_somebody_on_a_phone_comes_from_the_front_page_to_a_door_in_their_state_in_two_steps(
    node: Node, visitor: httpx.AsyncClient, browser: Any
) -> None:
    """The journey of somebody concerned: no account, nothing fetched from anybody else, and a way out that Back does not undo."""
    await know(node, "ie.tracker.example", LANE, states="IE")
    context = await browser.new_context(viewport={"width": 390, "height": 800}, locale="en-GB")
    asked: list[str] = []

    async def answer(route: Any) -> None:
        asked.append(urlsplit(route.request.url).netloc)
        found = await visitor.get(route.request.url, headers=await route.request.all_headers())
        await route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

    await context.route("**/*", answer)
    phone = await context.new_page()

    async def is_well_made() -> None:
        assert await phone.evaluate("document.documentElement.scrollWidth") <= 390
        assert await barriers(phone) == []

    await phone.goto(node.settings.origin)
    await phone.get_by_role("link", name="Find an organisation near you").click()
    await phone.get_by_role("heading", name="In which State?").wait_for()
    await is_well_made()
    await phone.get_by_role("link", name="Ireland").click()
    await phone.get_by_role("heading", name=LANE).wait_for()
    await is_well_made()
    assert "No emergency service" in await phone.inner_text("main")
    assert await phone.get_by_role("link", name="Write to them").get_attribute("href") == (
        "https://ie.tracker.example/alert?lang=en"
    )
    assert set(asked) == {"a.example"}
    assert await context.cookies() == []

    await phone.keyboard.press("Escape")
    await phone.keyboard.press("Escape")
    await phone.wait_for_url("https://www.wikipedia.org/")
    await phone.go_back()

    assert "/organisations/ie" not in phone.url
    await context.close()
