"""WebFinger: a handle and its actor must agree, both ways, after one hop at most."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from federation import discovery, webfinger
from federation.errors import BadAnswer, FetchError, Forbidden, Mismatch, NotThere, Oversized
from federation.fetch import fetch_actor
from federation.retrieval import Retrieval
from federation.webfinger import Handle, agree, build, handle_of, parse_handle, resolve
from tests.federation.town import Town, a_document, moved
from tests.rig.keys import rsa_key
from vocab.actors import Actor

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SIGNER = rsa_key("a").signer("https://node.example/actor#main-key")
CASES = "https://peer.example/actors/cases"


def finger(handle: str, *, host: str | None = None, scheme: str = "https") -> str:
    return f"{scheme}://{host or handle.split('@')[1]}/.well-known/webfinger?resource=acct:{handle}"


def a_jrd(handle: str, actor_id: str = CASES) -> httpx.Response:
    return a_document(build(f"acct:{handle}", actor_id=actor_id), content_type="application/jrd+json")


def an_actor(actor_id: str = CASES, name: str = "cases") -> dict[str, Any]:
    return {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": actor_id,
        "type": "Organization",
        "preferredUsername": name,
        "inbox": f"{actor_id}/inbox",
    }


async def resolved(town: Town, handle: str = "cases@peer.example", *, both_ways: bool = False) -> str:
    async with town.client() as http:
        return await resolve(http, handle, now=NOW, signer=SIGNER if both_ways else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cases",
        "@cases",
        "cases@",
        "@peer.example",
        "cases@peer@example.org",
        "a b@peer.example",
        "cäses@peer.example",
        "cases@user:x@peer.example",
        "cases@peer.example/path",
        "cases@peer.example?x",
        "cases@127.1",
        "cases@bü_cher.example",
        "cases@bücher..example",
        ".cases@peer.example",
        "a" * 101 + "@peer.example",
    ],
)
async def test_what_is_no_handle_is_refused(text: str) -> None:
    with pytest.raises(Forbidden):
        await resolved(Town(), text)


@pytest.mark.parametrize(
    "text",
    ["cases@peer.example", "@cases@Peer.Example", "acct:cases@peer.example:443", " cases@peer.example "],
)
def test_a_handle_is_read_however_it_is_written(text: str) -> None:
    assert parse_handle(text) == Handle("cases", "peer.example")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("@cases@Bücher.example", "xn--bcher-kva.example"),
        ("@cases@bu\u0308cher.example:8443", "xn--bcher-kva.example:8443"),
        ("acct:cases@straße.example", "xn--strae-oqa.example"),
        ("@cases@peer。example", "peer.example"),
    ],
)
def test_the_host_of_a_handle_may_be_in_the_letters_of_a_language(text: str, host: str) -> None:
    assert parse_handle(text) == Handle("cases", host)


async def test_a_handle_leads_to_its_actor() -> None:
    town = Town({finger("cases@peer.example"): a_jrd("cases@peer.example")})

    assert await resolved(town) == CASES
    assert "application/jrd+json" in town.requests[0].headers["accept"]


async def test_case_does_not_matter() -> None:
    assert (
        await resolved(
            Town({finger("Cases@peer.example"): a_jrd("cases@PEER.example")}), "@Cases@peer.example"
        )
        == CASES
    )


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"subject": "cases@peer.example", "links": a_jrd("cases@peer.example").json()["links"]},
        {"subject": "acct:cases"},
        {"subject": "acct:cases@peer.example"},
        {"subject": "acct:cases@peer.example", "links": "words"},
        {"subject": "acct:cases@peer.example", "links": ["words"]},
        {
            "subject": "acct:cases@peer.example",
            "links": [{"rel": "self", "type": "text/html", "href": CASES}],
        },
        {
            "subject": "acct:cases@peer.example",
            "links": [{"rel": "self", "type": "application/activity+json"}],
        },
        {
            "subject": "acct:cases@peer.example",
            "links": [{"rel": "self", "type": "application/activity+json", "href": "javascript:alert(1)"}],
        },
    ],
)
async def test_a_jrd_that_leads_nowhere_is_refused(document: object) -> None:
    with pytest.raises(FetchError):
        await resolved(Town({finger("cases@peer.example"): a_document(document)}))


@pytest.mark.parametrize("status", [404, 410])
async def test_an_unknown_handle_is_not_there(status: int) -> None:
    with pytest.raises(NotThere):
        await resolved(Town({finger("cases@peer.example"): httpx.Response(status)}))


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(200, content=b"<html>")])
async def test_another_answer_is_refused(answer: httpx.Response) -> None:
    with pytest.raises(BadAnswer):
        await resolved(Town({finger("cases@peer.example"): answer}))


async def test_another_host_may_answer_for_it_once() -> None:
    town = Town(
        {
            finger("cases@peer.example"): a_jrd("cases@social.peer.example"),
            finger("cases@social.peer.example"): a_jrd(
                "cases@social.peer.example", "https://social.peer.example/a"
            ),
        }
    )

    assert await resolved(town) == "https://social.peer.example/a"


async def test_a_chain_of_other_hosts_is_refused() -> None:
    town = Town(
        {
            finger("cases@peer.example"): a_jrd("cases@b.example"),
            finger("cases@b.example"): a_jrd("cases@c.example"),
        }
    )

    with pytest.raises(Mismatch):
        await resolved(town)


async def test_redirects_end() -> None:
    start = finger("cases@peer.example")
    loop = Town({start: moved(start)})
    chain = Town(
        {
            start: moved("https://b.example/0"),
            **{f"https://b.example/{n}": moved(f"/{n + 1}") for n in range(9)},
        }
    )

    with pytest.raises(Forbidden):
        await resolved(loop)
    assert len(loop.asked) == 1
    with pytest.raises(Oversized):
        await resolved(chain)
    assert len(chain.asked) == 4
    with pytest.raises(Forbidden):
        await resolved(Town({start: moved("http://169.254.169.254/")}))


@pytest.mark.parametrize(
    "location", ["https://[evil.example/", "//evil.example]/", "javascript:alert(1)", ""]
)
async def test_a_redirect_to_no_address_is_refused(location: str) -> None:
    with pytest.raises(Forbidden):
        await resolved(Town({finger("cases@peer.example"): moved(location)}))


async def test_a_redirect_to_the_same_document_elsewhere_is_followed() -> None:
    there = "https://www.peer.example/finger"
    town = Town({finger("cases@peer.example"): moved(there, 301), there: a_jrd("cases@peer.example")})

    assert await resolved(town) == CASES


async def test_an_actor_that_does_not_lead_back_is_refused() -> None:
    town = Town(
        {
            finger("cases@evil.example"): a_jrd("cases@evil.example", CASES),
            CASES: a_document(an_actor()),
            finger("cases@peer.example"): a_jrd("cases@peer.example"),
        }
    )

    with pytest.raises(Mismatch, match="known as"):
        await resolved(town, "cases@evil.example", both_ways=True)


async def test_an_actor_whose_host_names_somebody_else_is_refused() -> None:
    town = Town(
        {
            finger("cases@peer.example"): a_jrd("cases@peer.example", "https://peer.example/actors/other"),
            CASES: a_document(an_actor()),
        }
    )
    async with town.client() as http:
        with pytest.raises(Mismatch, match="somebody else"):
            await handle_of(http, Actor(CASES, "Organization", "cases", f"{CASES}/inbox"))


async def test_handle_and_actor_that_agree_are_taken() -> None:
    town = Town({finger("cases@peer.example"): a_jrd("cases@peer.example"), CASES: a_document(an_actor())})

    assert await resolved(town, both_ways=True) == CASES


async def test_an_actor_may_go_by_the_handle_of_a_canonical_host() -> None:
    actor_id = "https://social.peer.example/actors/cases"
    canonical = a_jrd("cases@peer.example", actor_id)
    town = Town(
        {
            finger("cases@peer.example"): canonical,
            finger("cases@social.peer.example"): canonical,
            actor_id: a_document(an_actor(actor_id)),
        }
    )

    assert await resolved(town, both_ways=True) == actor_id


# ---- a server whose handles are at another domain ---------------------------------------------------------------------

HOME = "https://social.peer.example/actors/cases"
AT_HOME, CANONICAL = "cases@social.peer.example", "cases@peer.example"


def split(**changed: httpx.Response) -> Town:
    """A server at social.peer.example whose handles are at peer.example, as Mastodon and GoToSocial answer there."""
    answers: dict[str, Any] = {
        finger(CANONICAL): a_jrd(CANONICAL, HOME),
        finger(AT_HOME): a_jrd(CANONICAL, HOME),
        HOME: a_document(an_actor(HOME)),
    }
    return Town(answers | changed)


def naming(handle: str) -> httpx.Response:
    """The actor, saying itself what it goes by (FEP-2c59)."""
    return a_document(an_actor(HOME) | {"webfinger": handle})


async def agreed(town: Town, handle: str) -> str:
    """The handle of the actor that `handle` leads to, both ways."""
    async with town.client() as http:
        found = await webfinger.finger(http, parse_handle(handle))
        actor = await fetch_actor(Retrieval(http, SIGNER, NOW), found.actor_id)
        return str(await agree(http, found, actor))


@pytest.mark.parametrize("asked", [AT_HOME, CANONICAL, "Cases@Social.Peer.Example"])
async def test_both_handles_lead_to_the_canonical_one(asked: str) -> None:
    town = split(**{finger("Cases@social.peer.example"): a_jrd(CANONICAL, HOME)})

    assert await agreed(town, asked) == CANONICAL


@pytest.mark.parametrize("asked", [AT_HOME, CANONICAL])
async def test_the_canonical_domain_may_be_another_altogether(asked: str) -> None:
    brand = "cases@brand.example"
    town = split(**{finger(AT_HOME): a_jrd(brand, HOME), finger(brand): a_jrd(brand, HOME)})

    assert await agreed(town, asked.replace(CANONICAL, brand)) == brand


@pytest.mark.parametrize("written", [CANONICAL, f"acct:{CANONICAL}"])
async def test_what_an_actor_says_that_it_goes_by_is_asked_for_and_nothing_else(written: str) -> None:
    town = split(**{HOME: naming(written)})

    assert await agreed(town, CANONICAL) == CANONICAL
    assert finger(AT_HOME) not in town.asked


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("two hops", {finger(CANONICAL): a_jrd("cases@c.example", HOME)}),
        ("a loop", {finger(CANONICAL): a_jrd(AT_HOME, HOME)}),
        ("another actor's id", {finger(CANONICAL): a_jrd(CANONICAL, CASES)}),
        ("nearly its id", {finger(CANONICAL): a_jrd(CANONICAL, f"{HOME}/")}),
        ("its id in capitals", {finger(CANONICAL): a_jrd(CANONICAL, HOME.replace("social", "Social"))}),
        ("no link", {finger(CANONICAL): a_document({"subject": f"acct:{CANONICAL}", "links": []})}),
        ("nobody of that name", {finger(CANONICAL): httpx.Response(404)}),
        ("a redirect inward", {finger(CANONICAL): moved("http://169.254.169.254/")}),
        ("a redirect on and on", {finger(CANONICAL): moved(finger(CANONICAL))}),
        ("no handle", {finger(AT_HOME): a_jrd("cases@127.1", HOME)}),
        ("what it says leads on", {HOME: naming(AT_HOME)}),
        ("what it says is somebody else", {HOME: naming("cases@c.example")}),
        ("what it says is nobody", {HOME: naming("nobody@peer.example")}),
        ("what it says is no handle", {HOME: naming("https://peer.example/")}),
    ],
)
async def test_another_answer_of_either_host_is_no_handle(
    what: str, changed: dict[str, httpx.Response]
) -> None:
    other = finger("cases@c.example")
    town = split(**({other: a_jrd("cases@c.example", CASES)} | changed))
    async with town.client() as http:
        actor = await fetch_actor(Retrieval(http, SIGNER, NOW), HOME)

        with pytest.raises(FetchError):
            await handle_of(http, actor)


@pytest.mark.parametrize("subject", ["cases@evil.example", CANONICAL, AT_HOME])
async def test_a_third_host_stands_for_nobody(subject: str) -> None:
    evil = "cases@evil.example"
    town = split(**{finger(evil): a_jrd(subject, HOME)})

    with pytest.raises(Mismatch):
        await agreed(town, evil)


async def test_an_actor_that_goes_by_a_handle_elsewhere_goes_by_no_other_at_a_third_host() -> None:
    town = split(**{HOME: naming(CANONICAL), finger("x@brand.example"): a_jrd("x@brand.example", HOME)})

    with pytest.raises(Mismatch, match="known as"):
        await agreed(town, "x@brand.example")


async def test_its_own_host_may_not_lead_elsewhere_than_the_actor_does() -> None:
    town = split(**{HOME: naming(CANONICAL), finger(AT_HOME): a_jrd("x@brand.example", HOME)})
    town.answers[finger("x@brand.example")] = a_jrd("x@brand.example", HOME)

    with pytest.raises(Mismatch, match="known as"):
        await agreed(town, AT_HOME)


async def test_the_actor_that_was_asked_for_is_the_one_that_counts() -> None:
    town = split()
    async with town.client() as http:
        found = await webfinger.finger(http, parse_handle(CANONICAL))
        with pytest.raises(Mismatch, match="another actor"):
            await agree(http, found, Actor(CASES, "Organization", "cases", f"{CASES}/inbox"))


async def test_every_address_on_the_way_is_asked_about() -> None:
    town = split(**{finger(CANONICAL): moved("https://www.peer.example/finger")})
    town.answers["https://www.peer.example/finger"] = a_jrd(CANONICAL, HOME)
    seen: list[str] = []

    async def permit(url: str) -> None:
        seen.append(url)
        if url.startswith("https://www."):
            raise Forbidden("decided about", url=url)

    async with town.client() as http:
        with pytest.raises(Forbidden, match="decided"):
            await resolve(http, AT_HOME, now=NOW, permit=permit)

    assert seen == [finger(AT_HOME), finger(CANONICAL), "https://www.peer.example/finger"]
    assert town.asked == seen[:2]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("peer.example", "https://peer.example"),
        ("peer.example:8443", "https://peer.example:8443"),
        ("127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("localhost:8001", "http://localhost:8001"),
        ("[::1]:8001", "http://[::1]:8001"),
        ("10.0.0.1", "https://10.0.0.1"),
    ],
)
def test_plain_http_is_for_this_machine_only(host: str, origin: str) -> None:
    assert discovery.origin_of_host(host) == origin


def test_ours_links_the_actor_in_both_types_and_the_page() -> None:
    document = build(
        "acct:hub@hub.example",
        actor_id="https://hub.example/actors/hub",
        page="https://hub.example/",
        is_server_actor=True,
    )

    assert document["subject"] == "acct:hub@hub.example"
    assert document["aliases"] == ["https://hub.example/actors/hub", "https://hub.example/"]
    links = document["links"]
    assert isinstance(links, list)
    assert [(link["rel"], link["type"]) for link in links] == [
        ("self", "application/activity+json"),
        ("self", 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'),
        (webfinger.PROFILE_PAGE, "text/html"),
        ("https://www.w3.org/ns/activitystreams#Service", "application/activity+json"),
    ]


def test_intents_are_templates_and_no_links() -> None:
    document = build(
        "acct:x@a.example",
        actor_id="https://a.example/x",
        intents={"Object": "https://a.example/?u={object}"},
    )

    assert document["links"][-1] == {  # type: ignore[index]  # a list, as the test above shows
        "rel": "https://w3id.org/fep/3b86/Object",
        "template": "https://a.example/?u={object}",
    }
