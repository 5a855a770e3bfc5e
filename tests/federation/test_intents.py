"""Intents of others: a template is filled in only where it leads to a public place of its own naming, and percent-encoded."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from federation import intents
from federation.errors import FetchError, Forbidden
from federation.intents import SUBSCRIBE, destination, fill_in
from federation.webfinger import INTENT
from tests.federation.town import Reply, Town, a_document, moved

CASES = "https://node.example/actors/cases?a=1&b=é#x"
ENCODED = "https%3A%2F%2Fnode.example%2Factors%2Fcases%3Fa%3D1%26b%3D%C3%A9%23x"
GOOD = "https://server.example/follow?o={object}"
THERE = f"https://server.example/follow?o={ENCODED}"

EVIL = [
    "javascript:alert(1)//{uri}",
    "javascript://server.example/%0Aalert(1)//{uri}",
    "JavaScript:alert('{uri}')",
    " javascript:alert(1)//{uri}",
    "java\tscript:alert(1)//{uri}",
    "data:text/html,{uri}",
    "vbscript:{uri}",
    "file:///etc/passwd?{uri}",
    "web+ap://server.example/{uri}",
    "intent://server.example/{uri}#Intent;scheme=https;end",
    "//server.example/{uri}",
    "/follow?o={uri}",
    "{uri}",
    "{+uri}",
    "http://server.example/follow?o={object}",
    "https://server.example:8443/follow?o={object}",
    "https://server.example:22/follow?o={object}",
    "https://127.0.0.1/follow?o={object}",
    "https://localhost/follow?o={object}",
    "https://server.localhost/follow?o={object}",
    "https://10.0.0.1/follow?o={object}",
    "https://192.168.1.1/setup.cgi?o={object}",
    "https://169.254.169.254/latest/meta-data/{object}",
    "https://[::1]/follow?o={object}",
    "https://[fd00::1]/follow?o={object}",
    "https://[::ffff:127.0.0.1]/follow?o={object}",
    "https://2130706433/follow?o={object}",
    "https://0x7f.1/follow?o={object}",
    "https://127.1/follow?o={object}",
    "https://router.local/follow?o={object}",
    "https://intranet/follow?o={object}",
    "https://printer.lan/follow?o={object}",
    "https://server.example@evil.example/follow?o={object}",
    "https://user:word@server.example/follow?o={object}",
    "https://server.example\\@evil.example/follow?o={object}",
    "https:\\\\server.example\\follow?o={object}",
    "https:/server.example/follow?o={object}",
    "https://{object}/follow",
    "https://{x}server.example/follow?o={object}",
    "https://server.example{object}/follow",
    "https://server.example./follow?o={object}",
    "https://sérver.example/follow?o={object}",
    "https://server.example/follow",
    "https://server.example/follow?o={}",
    "https://server.example/follow?o={on-success}",
    "https://server.example/follow?o={Object}",
    "https://server.example/follow?o={+object}",
    "https://server.example/follow{?object}",
    "https://server.example/follow{#object}&o={object}",
    "https://server.example/follow?o={object:3}&p={object}",
    "https://server.example/follow?o={object}&x={",
    "https://server.example/follow?o={object}\n.evil.example",
    "https://server.example/follow?o={object}\r\nLocation: x",
    'https://server.example/follow?o={object}"><script>alert(1)</script>',
    "https://server.example/follow?o={object}&x= y",
    "https://server.example/follow?o={object}&x=é",
    "https://server.example/" + "x" * 2048 + "{object}",
    "",
    None,
    7,
    ["https://server.example/follow?o={object}"],
    {"href": "https://server.example/follow?o={object}"},
]


@pytest.mark.parametrize("template", EVIL)
def test_a_template_that_leads_elsewhere_or_says_nothing_is_not_used(template: object) -> None:
    assert fill_in(template, CASES) is None


@pytest.mark.parametrize(
    ("template", "address"),
    [
        (GOOD, THERE),
        ("https://server.example/authorize_interaction?uri={uri}", f"https://server.example/authorize_interaction?uri={ENCODED}"),
        ("https://server.example/follow/{object}/now", f"https://server.example/follow/{ENCODED}/now"),
        ("https://server.example?o={object}", f"https://server.example?o={ENCODED}"),
        ("https://server.example/#/follow/{uri}", f"https://server.example/#/follow/{ENCODED}"),
        ("https://server.example:443/{uri}", f"https://server.example:443/{ENCODED}"),
        (f"{GOOD}&then={{on-success}}&else={{on-cancel}}&x={{any}}", f"{THERE}&then=&else=&x="),
        ("https://server.example/{object}/{uri}", f"https://server.example/{ENCODED}/{ENCODED}"),
    ],
)  # fmt: skip
def test_a_template_is_filled_in_percent_encoded_and_what_is_not_known_stays_empty(
    template: str, address: str
) -> None:
    assert fill_in(template, CASES) == address


def test_this_machine_is_for_development_only() -> None:
    for host in ("localhost:3000", "127.0.0.1:3000", "[::1]:3000"):
        template = f"http://{host}/follow?o={{object}}"

        assert fill_in(template, CASES) is None
        assert fill_in(template, CASES, allow_loopback=True) == f"http://{host}/follow?o={ENCODED}"
    assert fill_in("http://10.0.0.1/?o={object}", CASES, allow_loopback=True) is None


# ---- which one -------------------------------------------------------------------------------------------------------


def a_link(relation: str, template: object) -> dict[str, object]:
    return {"rel": relation, "template": template}


def at(name: str) -> str:
    return f"https://server.example/{name}?o={{object}}"


FOLLOW, OBJECT = a_link(f"{INTENT}Follow", at("follow")), a_link(f"{INTENT}Object", at("object"))
OSTATUS = a_link(SUBSCRIBE, at("subscribe"))


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ([OSTATUS, OBJECT, FOLLOW], "follow"),
        ([OSTATUS, OBJECT], "object"),
        ([OSTATUS], "subscribe"),
        ([a_link(f"{INTENT}Follow", "javascript:{object}"), OBJECT], "object"),
        ([a_link(f"{INTENT}Follow", None), FOLLOW], "follow"),
        ([{"rel": f"{INTENT}Follow", "href": "https://server.example/{object}"}, OSTATUS], "subscribe"),
        (["words", None, 7, [], FOLLOW], "follow"),
        ([a_link(f"{INTENT}Like", at("like")), a_link(f"{INTENT}Create", at("create"))], None),
        ([a_link(f"{INTENT}follow", at("follow"))], None),
        ([{"rel": [f"{INTENT}Follow"], "template": at("follow")}], None),
        ([], None),
        ("words", None),
        ({"rel": f"{INTENT}Follow", "template": at("follow")}, None),
        (None, None),
    ],
)
def test_to_follow_comes_before_to_open_and_before_the_older_way(links: object, expected: str | None) -> None:
    found = destination({"links": links}, CASES)

    assert found == (f"https://server.example/{expected}?o={ENCODED}" if expected else None)


# ---- asking ----------------------------------------------------------------------------------------------------------


def a_finger(handle: str, host: str = "server.example") -> str:
    return f"https://{host}/.well-known/webfinger?resource=acct%3A{handle.replace('@', '%40')}"


def a_jrd(subject: str = "acct:you@server.example", *links: Mapping[str, object]) -> Reply:
    return a_document({"subject": subject, "links": list(links)}, content_type="application/jrd+json")


async def asked(town: Town, resource: str = "acct:you@server.example", **more: Any) -> str | None:
    async def permit(url: str) -> None:
        if "blocked" in url or url.startswith("https://node.example/"):
            raise Forbidden("decided about", url=url)

    async with town.client() as http:
        return await intents.ask(http, "server.example", resource, CASES, permit=permit, **more)


async def test_the_server_of_the_account_is_asked_once_and_by_get() -> None:
    town = Town({a_finger("you@server.example"): a_jrd("acct:you@server.example", FOLLOW)})

    assert await asked(town) == THERE
    (request,) = town.requests
    assert (request.method, request.content) == ("GET", b"")
    assert "signature" not in request.headers


async def test_what_is_asked_for_stays_within_the_query() -> None:
    town = Town()

    with pytest.raises(FetchError):
        await asked(town, "acct:y&x=1#/../é@server.example")

    assert town.asked == [
        "https://server.example/.well-known/webfinger?resource=acct%3Ay%26x%3D1%23%2F..%2F%C3%A9%40server.example"
    ]


async def test_an_account_at_another_domain_than_its_server_is_asked_for_there_once() -> None:
    social = "you@social.server.example"
    town = Town(
        {
            a_finger("you@server.example"): a_jrd(f"acct:{social}"),
            a_finger(social, "social.server.example"): a_jrd(f"acct:{social}", FOLLOW),
        }
    )

    assert await asked(town) == THERE
    assert len(town.asked) == 2


async def test_it_is_not_asked_for_on_and_on() -> None:
    town = Town(
        {
            a_finger("you@server.example"): a_jrd("acct:you@b.example"),
            a_finger("you@b.example", "b.example"): a_jrd("acct:you@c.example"),
            a_finger("you@c.example", "c.example"): a_jrd("acct:you@c.example", FOLLOW),
        }
    )

    assert await asked(town) is None
    assert len(town.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(500),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b"{" + b" " * 70_000 + b"}"),
        moved("http://server.example/finger"),
        moved("https://blocked.example/finger"),
        a_jrd("acct:you@blocked.example"),
        a_jrd("acct:you@127.1"),
        a_jrd("acct:you@server.example", a_link(SUBSCRIBE, "https://blocked.example/{uri}")),
        a_jrd("acct:you@server.example", a_link(SUBSCRIBE, "https://node.example/desk?{uri}")),
    ],
)
async def test_an_answer_that_is_none_is_refused(answer: httpx.Response) -> None:
    town = Town({a_finger("you@server.example"): answer})

    with pytest.raises(FetchError):
        await asked(town)

    assert len(town.asked) == 1
