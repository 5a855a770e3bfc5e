"""The hub's pages: coverage before content, a table beside the map, and no way to a ranking."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from node.peers.actors import RemoteActor
from node.peers.follows import Follow
from node.runtime import Node, open_node
from tests.rig.clock import FrozenClock
from tests.rig.databases import make_tables
from tests.rig.keys import keyring
from tests.rig.wires import Wires
from tests.web.pages.readers import HTML, put, sample, sample_host, withdraw, words
from vocab import states
from web.app import make_app

HONESTY = "They do not measure how common a problem is and must not be used to rank States."


@pytest.fixture
async def hub(settings: Callable[..., Any], clock: FrozenClock) -> AsyncIterator[Node]:
    """An open hub without cases."""
    chosen = settings(role="hub", origin="https://hub.example", name="Sample hub (fictional)")
    async with (
        httpx.AsyncClient(transport=Wires()) as http,
        open_node(chosen, clock=clock, http=http, keyring=keyring("hub", born=clock.now())) as opened,
    ):
        await make_tables(opened.database)
        yield opened


@pytest.fixture
async def reader(hub: Node) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who reads the hub."""
    transport = httpx.ASGITransport(app=make_app(hub))
    async with httpx.AsyncClient(transport=transport, base_url=hub.settings.origin, headers=HTML) as client:
        yield client


async def filled(hub: Node, *numbers: str) -> None:
    for number in numbers:
        await put(hub, sample(number), number, host=sample_host(number))


async def admit(hub: Node, host: str, name: str, *, state: str = "accepted") -> None:
    """Make a member: the hub follows it."""
    now = hub.clock.now()
    actor = f"https://{host}/actors/cases"
    async with hub.database.begin() as session:
        session.add(
            RemoteActor(
                id=actor,
                host=host,
                type="Organization",
                handle=f"cases@{host}",
                name=name,
                url=f"https://{host}/",
                inbox=f"{actor}/inbox",
                fetched_at=now,
            )
        )
        session.add(
            Follow(
                activity_id=f"https://hub.example/{host}",
                follower=hub.settings.main_actor,
                followed=actor,
                state=state,
                activity={},
                changed_at=now,
            )
        )


async def test_who_did_not_accept_is_no_member_and_who_left_is_named_as_such(
    hub: Node, reader: httpx.AsyncClient
) -> None:
    await admit(hub, "es.tracker.example", "Red Mirador", state="requested")
    await filled(hub, "01")

    page = (await reader.get("/nodes")).text

    assert "Red Mirador" not in page
    assert "no longer a member; its cases stay" in page
    assert "https://ie.tracker.example/alert" not in page


async def test_states_and_articles_that_do_not_exist_answer_404(reader: httpx.AsyncClient) -> None:
    names = ("0", "32", "031", "thirty", "²", "٣", "9" * 5000)
    for path in ("/states/xx", *(f"/articles/{name}" for name in names)):
        assert (await reader.get(path)).status_code == 404, path[:40]


async def test_a_hub_takes_no_alerts_and_says_who_does(hub: Node, reader: httpx.AsyncClient) -> None:
    await admit(hub, "ie.tracker.example", "Harbour Lane Social Rights Watch")

    page = (await reader.get("/nodes")).text

    assert "has not published yet" in page
    assert (await reader.get("/alert")).status_code == 404
    assert "This hub takes no alerts" in page
    assert 'href="https://ie.tracker.example/alert"' in page


async def test_no_order_by_number_can_be_asked_for(hub: Node, reader: httpx.AsyncClient) -> None:
    await filled(hub, "01", "02", "18")

    plain = words((await reader.get("/states")).text)
    asked = words((await reader.get("/states?sort=cases&order=desc")).text)
    names = re.findall(r'<th scope="row"><a href="[^"]*">([^<]+)', (await reader.get("/states")).text)

    assert plain == asked
    assert names == sorted(names, key=str.casefold)


@pytest.mark.parametrize("path", ["/", "/states", "/states/fr", "/articles/30", "/cases"])
async def test_every_page_with_counts_carries_the_caveat(
    hub: Node, reader: httpx.AsyncClient, path: str
) -> None:
    await filled(hub, "02")

    assert HONESTY in words((await reader.get(path)).text)


async def test_coverage_comes_before_content(hub: Node, reader: httpx.AsyncClient) -> None:
    await filled(hub, "01", "02")

    page = (await reader.get("/")).text

    assert "2 of 46 States have an active node." in words(page)
    assert page.index("2 of 46 States") < page.index('class="card"')


async def test_a_state_without_cases_is_never_a_zero(reader: httpx.AsyncClient) -> None:
    table = re.search(r"<tbody>(.*?)</tbody>", (await reader.get("/")).text, re.DOTALL)
    page = words((await reader.get("/states/al")).text)

    assert table is not None
    assert ">0<" not in table[1]
    assert table[1].count("no published case") == len(states.states())
    assert "No published case" in page
    assert "0 published" not in page


async def test_the_map_has_one_square_per_state_and_the_table_the_same_rows(
    hub: Node, reader: httpx.AsyncClient
) -> None:
    await filled(hub, "01")

    page = (await reader.get("/")).text
    squares = re.findall(r'class="tile x(\d+) y(\d+) (active|silent)"', page)

    assert len(squares) == len({square[:2] for square in squares}) == len(states.states())
    assert [square[2] for square in squares].count("active") == 1
    assert page.count('<th scope="row">') == len(states.states())


async def test_a_node_silent_for_45_days_is_marked(
    hub: Node, reader: httpx.AsyncClient, clock: FrozenClock
) -> None:
    long_ago = clock.now() - timedelta(days=46)
    await put(hub, sample("01"), "01", host="ie.tracker.example", published_at=long_ago)
    await put(hub, sample("02"), "02", host="fr.tracker.example")
    await admit(hub, "ie.tracker.example", "Harbour Lane Social Rights Watch")
    await admit(hub, "fr.tracker.example", "Observatoire Clairval des droits sociaux")

    page = (await reader.get("/nodes")).text

    assert page.count("silent for more than 45 days") == 1
    assert (
        page.index("Harbour Lane") < page.index("silent for more than") < page.index("Observatoire Clairval")
    )


async def test_an_article_says_what_it_asks_and_lists_its_cases(hub: Node, reader: httpx.AsyncClient) -> None:
    await filled(hub, "01", "02", "06")

    page = words((await reader.get("/articles/17")).text)

    assert "The right of children and young persons to social, legal and economic protection" in page
    assert "Art. 17§2" in page
    assert "2 published cases" in page
    assert "Waiting time of delivery couriers" not in page


async def test_what_was_corrected_this_week_is_named(hub: Node, reader: httpx.AsyncClient) -> None:
    now = hub.clock.now()
    host = sample_host("06")
    await put(hub, sample("06"), "06", host=host, published_at=now - timedelta(days=30), updated_at=now)

    page = words((await reader.get("/")).text)

    assert "Changed this week" in page
    assert "corrected on 21 November 2026" in page


async def test_what_was_withdrawn_this_week_is_named_without_its_title(
    hub: Node, reader: httpx.AsyncClient
) -> None:
    url = await put(hub, sample("01"), "01", host="ie.tracker.example")
    await withdraw(hub, url, "factual-error")

    page = words((await reader.get("/")).text)

    assert "A case of Harbour Lane Social Rights Watch withdrawn on 21 November 2026" in page
    assert "emergency accommodation" not in page


async def test_every_page_of_the_hub_speaks_three_languages(hub: Node, reader: httpx.AsyncClient) -> None:
    await filled(hub, "01", "02", "04", "06", "07", "12", "18", "19")

    for path in ("/", "/cases", "/states", "/states/ua", "/articles", "/articles/23", "/nodes", "/about"):
        for language in ("en", "fr", "es"):
            answer = await reader.get(f"{path}?lang={language}")
            assert answer.status_code == 200, (path, language)
            assert f'<html lang="{language}">' in answer.text
