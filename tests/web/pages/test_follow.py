"""Following from one's own account: the visitor's server says where it asks them; what it says wrongly leads nowhere."""

import asyncio
import logging
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from node.peers import visitors
from node.peers.hosts import decide
from node.peers.visitors import OF_ALL, OF_ONE_HOST, Asked
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from tests.web.pages.readers import HTML, words
from vocab.terms import ACTIVITY_JSON

ACTOR = "https%3A%2F%2Fa.example%2Factors%2Fcases"
FOLLOW, OBJECT = "https://w3id.org/fep/3b86/Follow", "https://w3id.org/fep/3b86/Object"
SUBSCRIBE = "http://ostatus.org/schema/1.0/subscribe"
FALLBACK = f"https://home.example/authorize_interaction?uri={ACTOR}"


class Home(Stranger):
    """The visitor's own server, home.example, with an answer to WebFinger."""

    def __init__(
        self, town: Town, *links: tuple[str, object], subject: str = "acct:you@home.example"
    ) -> None:
        super().__init__(town, "home.example", "you")
        named = [{"rel": relation, "template": template} for relation, template in links]
        own = {"rel": "self", "type": ACTIVITY_JSON, "href": self.id}
        self.documents["/.well-known/webfinger"] = {"subject": subject, "links": [own, *named]}


async def page(town: Town, account: str = "@you@home.example", **more: str) -> httpx.Response:
    async with town.visitor(more.pop("site", "a")) as visitor:
        return await visitor.get("/follow", params={"account": account} | more, headers=HTML)


def leads_to(answer: httpx.Response) -> str:
    """Where the one link that leaves goes."""
    assert answer.status_code == 200
    assert "location" not in answer.headers
    (after,) = answer.text.split('rel="noreferrer" href="')[1:]
    return unescape(after.partition('"')[0])


@pytest.mark.parametrize("relation", [FOLLOW, OBJECT])
async def test_the_visitors_server_says_where_it_asks_them(town: Town, relation: str) -> None:
    home = Home(town, (relation, "https://home.example/intents?o={object}"))

    answer = await page(town)

    assert leads_to(answer) == f"https://home.example/intents?o={ACTOR}"
    assert "Continue on home.example" in words(answer.text)
    assert "sends its members" not in answer.text
    assert home.asked == ["/.well-known/webfinger"]
    assert answer.headers["cache-control"] == "no-store"


async def test_the_default_port_is_no_other_place(town: Town) -> None:
    Home(town, (FOLLOW, "https://Home.example:443/intents?o={object}"))

    answer = await page(town)

    assert leads_to(answer) == f"https://Home.example:443/intents?o={ACTOR}"
    assert "sends its members" not in answer.text


async def test_a_server_that_names_no_intents_is_asked_the_older_way(town: Town) -> None:
    Home(town, (SUBSCRIBE, "https://home.example/ostatus?acct={uri}"))

    assert leads_to(await page(town)) == f"https://home.example/ostatus?acct={ACTOR}"


async def test_the_actor_that_was_chosen_is_the_one_to_follow(town: Town) -> None:
    Home(town, (FOLLOW, "https://home.example/intents?o={object}"))

    answer = await page(town, site="hub", actor="state-fr")

    assert leads_to(answer).endswith("?o=https%3A%2F%2Fhub.example%2Factors%2Fstate-fr")


@pytest.mark.parametrize("account", ["https://home.example/@you", "you@HOME.example", " @you@home.example "])
async def test_an_account_is_asked_for_however_it_is_written(town: Town, account: str) -> None:
    Home(town, (FOLLOW, "https://home.example/intents?o={object}"))

    assert leads_to(await page(town, account)) == f"https://home.example/intents?o={ACTOR}"
    asked = town.wires.carried[-1].url.params["resource"]
    assert asked == ("https://home.example/@you" if "//" in account else "acct:you@home.example")


@pytest.mark.parametrize(
    ("account", "server"),
    [
        ("@you@Bücher.example", "xn--bcher-kva.example"),
        ("https://bücher.example/@you", "xn--bcher-kva.example"),
        ("@you@straße.example", "xn--strae-oqa.example"),
        ("@you@home.example:443", "home.example"),
    ],
)
async def test_a_server_in_the_letters_of_a_language_is_that_server_and_no_other(
    town: Town, account: str, server: str
) -> None:
    answer = await page(town, account)

    assert leads_to(answer) == FALLBACK.replace("home.example", server)


async def test_another_place_that_the_server_names_is_said_before_anybody_goes_there(town: Town) -> None:
    Home(town, (FOLLOW, "https://social.home.example/intents?o={object}"))

    answer = await page(town)

    assert leads_to(answer) == f"https://social.home.example/intents?o={ACTOR}"
    said = words(answer.text)
    assert "home.example sends its members to social.home.example. Go on if you know that place." in said
    assert "Continue on social.home.example" in said


EVIL: list[object] = [
    "javascript:alert(1)//{object}",
    "data:text/html,<script>alert(1)</script>{uri}",
    "http://home.example/intents?o={object}",
    "https://192.168.1.1/setup.cgi?o={object}",
    "https://[::1]/?o={object}",
    "https://localhost/?o={object}",
    "https://router.local/?o={object}",
    "https://home.example@evil.example/?o={object}",
    'https://home.example/"><script>alert(1)</script>{object}',
    "https://home.example/intents",
    "https://home.example/intents?o={other}",
    "https://home.example/intents?o={+object}",
    "https://a.example/desk?o={object}",
    "https://a.example:443/desk?o={object}",
    "https://blocked.example/?o={object}",
    "https://blocked.example:443/?o={object}",
    None,
    ["https://home.example/intents?o={object}"],
]


@pytest.mark.parametrize("template", EVIL)
@pytest.mark.parametrize("relation", [FOLLOW, SUBSCRIBE])
async def test_an_evil_template_leads_where_a_server_that_says_nothing_leads(
    town: Town, relation: str, template: object
) -> None:
    Home(town, (relation, template))
    node = town["a"].node
    async with node.database.begin() as session:
        await decide(session, "blocked.example", "block", reason="a test", now=node.clock.now())

    answer = await page(town)

    assert leads_to(answer) == FALLBACK
    assert "alert(1)" not in answer.text


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(500),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(302, headers={"location": "http://127.0.0.1/"}),
        httpx.Response(302, headers={"location": "https://[evil.example/"}),
        httpx.Response(302, headers={"location": "https://a.example/actors/cases"}),
        {"subject": "acct:you@home.example"},
        {"subject": "acct:you@a.example", "links": []},
        {"subject": "acct:you@nobody.example", "links": []},
    ],
)
async def test_a_server_that_gives_no_answer_is_gone_to_as_before(town: Town, answer: Any) -> None:
    Home(town).documents["/.well-known/webfinger"] = answer

    assert leads_to(await page(town)) == FALLBACK
    assert [request for request in town.wires.carried if request.url.path.startswith("/actors")] == []


async def test_a_server_that_is_slow_keeps_nobody_waiting(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(404)

    town.wires.apps["home.example"] = httpx.MockTransport(never)
    monkeypatch.setattr(visitors, "ASK_SECONDS", 0.05)

    assert leads_to(await page(town)) == FALLBACK


@pytest.mark.parametrize(
    "account",
    ["you", "@you@server", "@you@localhost", "javascript:alert(1)@x.example/", "https://[::1/@you"],
)
async def test_what_is_no_account_makes_this_server_ask_nobody(town: Town, account: str) -> None:
    before = len(town.wires.carried)

    answer = await page(town, account)

    assert "This does not look like an account." in answer.text
    assert len(town.wires.carried) == before + 1  # the visitor's own


async def test_without_an_account_nobody_is_asked_and_the_page_may_be_kept(town: Town) -> None:
    before = len(town.wires.carried)

    answer = await page(town, "")

    assert answer.headers.get("cache-control") != "no-store"
    assert len(town.wires.carried) == before + 1


@pytest.mark.parametrize("shut", ["blocked", "closed", "members", "our own"])
async def test_a_server_that_is_not_spoken_with_is_not_asked(town: Town, shut: str) -> None:
    home = Home(town, (FOLLOW, "https://home.example/intents?o={object}"))
    site, account = "a", "@you@home.example"
    if shut == "blocked":
        node = town["a"].node
        async with node.database.begin() as session:
            await decide(session, home.host, "block", reason="a test", now=node.clock.now())
    elif shut == "our own":
        account = "@cases@a.example"
    else:
        site = (await town.open("c", federation=shut)).name
    before = len(town.wires.carried)

    found = leads_to(await page(town, account, site=site))

    assert "/authorize_interaction?uri=" in found
    assert home.asked == []
    assert len(town.wires.carried) == before + 1


async def test_a_page_that_is_loaded_again_and_again_does_not_knock_as_often(town: Town) -> None:
    home = Home(town, (FOLLOW, "https://home.example/intents?o={object}"))

    found = [leads_to(await page(town)) for _ in range(OF_ONE_HOST + 3)]

    assert len(home.asked) == OF_ONE_HOST
    assert found[-1] == FALLBACK
    town.clock.forward(minutes=1)
    assert leads_to(await page(town)) != FALLBACK


def test_all_servers_together_are_asked_so_often_and_no_more(town: Town) -> None:
    asked, now = Asked(), town.clock.now()

    assert all(asked.admit(f"{number}.example", now=now) for number in range(OF_ALL))
    assert not asked.admit("another.example", now=now)
    assert not asked.admit("another.example", now=now + timedelta(seconds=59))
    assert asked.admit("another.example", now=now + timedelta(minutes=1))


async def test_an_account_ends_in_no_log(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Home(town).documents["/.well-known/webfinger"] = httpx.Response(500)

    await page(town, "@somebody@home.example")

    ours = [record for record in caplog.records if record.name.split(".")[0] in {"federation", "node", "web"}]
    assert "visitor.not-led" in {record.getMessage() for record in ours}
    assert not [
        record for record in ours if "somebody" in str(vars(record)) or "home.example" in str(vars(record))
    ]


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("fr", "Pour cela, home.example envoie ses membres sur social.home.example."),
        ("es", "Para esto, home.example envía a sus miembros a social.home.example."),
    ],
)
async def test_the_page_speaks_the_visitors_language(town: Town, language: str, sentence: str) -> None:
    Home(town, (FOLLOW, "https://social.home.example/intents?o={object}"))

    answer = await page(town, lang=language)

    assert sentence in words(answer.text)
    assert leads_to(answer) == f"https://social.home.example/intents?o={ACTOR}"
