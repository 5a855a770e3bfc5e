"""WebFinger: a handle and its actor must agree, both ways, after one hop at most."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from federation import discovery, webfinger
from federation.errors import BadAnswer, FetchError, Forbidden, Mismatch, NotThere, Oversized
from federation.webfinger import Handle, build, handle_of, parse_handle, resolve
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
        {"subject": "cases@peer.example"},
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
        {start: moved("https://b.example/0")}
        | {f"https://b.example/{n}": moved(f"/{n + 1}") for n in range(9)}
    )

    with pytest.raises(Forbidden):
        await resolved(loop)
    assert len(loop.asked) == 1
    with pytest.raises(Oversized):
        await resolved(chain)
    assert len(chain.asked) == 4
    with pytest.raises(Forbidden):
        await resolved(Town({start: moved("http://169.254.169.254/")}))


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
