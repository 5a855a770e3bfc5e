"""Attacks on what this server asks for: inward connections, redirects, and documents that speak for another address.

The first half runs on the real transport with a resolver of the test's own and no network below it: what must not be
connected to is seen not to be. Beside what is here, by the number of the attack:

37  tests/federation/test_transport.py::test_what_is_not_a_public_web_server_is_never_connected_to
38  tests/federation/test_addresses.py::test_an_address_that_is_not_of_the_public_internet_is_known
38  tests/federation/test_addresses.py::test_what_two_readers_could_read_differently_is_no_address
39  tests/federation/test_transport.py::test_a_name_is_resolved_once_and_the_checked_address_connected_to
40  tests/federation/test_nodeinfo.py::test_a_link_to_another_place_is_not_followed
40  tests/federation/test_fetch.py::test_every_request_is_signed_for_where_it_goes
41  tests/federation/test_fetch.py::test_a_redirect_away_from_https_or_to_no_address_is_refused
42  tests/federation/test_fetch.py::test_four_redirects_are_one_too_many
42  tests/federation/test_webfinger.py::test_redirects_end
43  tests/federation/test_fetch.py::test_a_document_that_names_another_id_is_fetched_from_there_and_only_from_there
44  tests/federation/test_fetch.py::test_an_id_that_is_redirected_away_is_refused
45  tests/federation/test_fetch.py::test_a_file_that_is_not_served_as_a_document_is_none
46  tests/web/pages/test_desk_api.py::test_a_picture_is_public_with_the_text_that_two_people_stand_behind_and_not_before
46  tests/web/pages/test_desk_api.py::test_what_staff_choose_is_a_picture_by_its_bytes_and_by_nothing_else
46  tests/web/pages/test_publications.py::test_a_page_loads_nothing_from_elsewhere_and_runs_nothing_inline
48  tests/node/effects/test_process.py::test_an_admitted_organisation_cannot_speak_for_another
49  tests/federation/test_fetch.py::test_collections_and_shared_inboxes_of_others_are_left_out
49  tests/federation/test_fetch.py::test_an_inbox_on_another_server_is_refused
50  tests/federation/test_webfinger.py::test_an_actor_that_does_not_lead_back_is_refused
50  tests/federation/test_webfinger.py::test_an_actor_whose_host_names_somebody_else_is_refused
50  tests/federation/test_webfinger.py::test_a_chain_of_other_hosts_is_refused
50  tests/federation/test_webfinger.py::test_another_answer_of_either_host_is_no_handle
50  tests/federation/test_webfinger.py::test_a_third_host_stands_for_nobody
51  tests/federation/test_addresses.py::test_what_two_readers_could_read_differently_is_no_address
52  tests/federation/test_addressing.py::test_nothing_is_posted_to_ourselves
"""

import ast
import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from federation import delivery, nodeinfo, webfinger
from federation.errors import FetchError, Forbidden
from federation.fetch import Fetcher, fetch_actor
from federation.retrieval import Retrieval
from node.peers.directory import find_by_handle
from tests.attacks.stage import FORGED, Stage, a_body, reasons, served
from tests.attacks.tap import Tap, an_answer, to
from tests.federation import vectors
from tests.federation.requests_to_us import rfc9421_signed
from tests.rig.keys import rsa_key
from tests.rig.stranger import Stranger

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SIGNER = rsa_key("a").signer("https://node.example/actors/node.example#main-key")
FOLLOWED = "https://node.example/actors/cases"


@pytest.fixture
def tap(monkeypatch: pytest.MonkeyPatch) -> Tap:
    tapped = Tap()

    async def create(loop: object, *arguments: Any, **more: Any) -> Any:
        return await tapped.create_connection(*arguments, **more)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", create)
    return tapped


# ---- where no connection is ever made ----------------------------------------------------------------------------

INWARD = {
    "37 this machine": "https://127.0.0.1/x",
    "37 this machine by name": "https://localhost/x",
    "37 a local name": "https://node.local/x",
    "37 the network of the house": "https://10.1.2.3/x",
    "37 the cloud's metadata": "https://169.254.169.254/latest/meta-data/",
    "37 the cloud's metadata by name": "https://metadata.google.internal/x",
    "37 this machine, IPv6": "https://[::1]/x",
    "37 a socket": "unix:///var/run/docker.sock",
    "38 no address": "https://0.0.0.0/x",
    "38 carrier-grade NAT": "https://100.64.0.1/x",
    "38 benchmarks": "https://198.18.0.1/x",
    "38 multicast": "https://224.0.0.1/x",
    "38 broadcast": "https://255.255.255.255/x",
    "38 NAT64": "https://[64:ff9b::7f00:1]/x",
    "38 Teredo": "https://[2001::7f00:1]/x",
    "38 6to4": "https://[2002:7f00:1::]/x",
    "38 IPv4-compatible": "https://[::7f00:1]/x",
    "38 IPv4-mapped": "https://[::ffff:7f00:1]/x",
    "38 site-local": "https://[fec0::1]/x",
    "38 unique local": "https://[fd00::1]/x",
    "38 one number": "https://2130706433/x",
    "38 hexadecimal": "https://0x7f.1/x",
    "38 short": "https://127.1/x",
    "38 octal": "https://0177.0.0.1/x",
    "38 circled digits": "https://①②⑦.0.0.1/x",
    "39 a name that means this machine": "https://rebound.example/x",
    "39 a name with a public address and an inward one": "https://both.example/x",
    "39 a name with a public address and an inward one of IPv6": "https://both6.example/x",
    "41 mail": "https://evil.example:25/x",
    "41 plain http": "http://evil.example/x",
    "41 a file": "file:///etc/passwd",
    "41 gopher": "gopher://evil.example/x",
    "41 another ActivityPub": "ap://did:key:z6Mk/x",
    "41 user information": "https://victim.example@evil.example/x",
    "40 a document in its own address": "data:application/json,{}",
}
NAMES = {
    "rebound.example": ["127.0.0.1"],
    "both.example": ["93.184.216.34", "10.0.0.1"],
    "both6.example": ["93.184.216.34", "::1"],
    "evil.example": ["93.184.216.34"],
}


@pytest.mark.parametrize("attack", INWARD)
@pytest.mark.parametrize(
    "use", ["actor", "key", "inbox", "webfinger", "another handle", "redirect", "nodeinfo"]
)
async def test_no_connection_is_made_inward(tap: Tap, attack: str, use: str) -> None:
    url = INWARD[attack]
    tap.names |= NAMES
    tap.answers["public.example"] = to(url)
    allowed: list[tuple[str, int]] = []
    async with tap.client() as http:
        if use == "actor":
            with pytest.raises(Forbidden):
                await fetch_actor(Retrieval(http, SIGNER, NOW), url)
        elif use == "key":
            with pytest.raises(Forbidden):
                await Fetcher(http).key_owner(f"{url}#main-key", signer=SIGNER, now=NOW)
        elif use == "inbox":
            assert isinstance(await delivery.post(http, url, b"{}", signer=SIGNER, now=NOW), delivery.Refused)
        elif use == "webfinger":
            host = url.split("://", 1)[-1].split("/")[0] or "localhost"
            if host == "did:key:z6Mk" or ":25" in host or url.startswith(("http:", "gopher:", "data:")):
                host = "rebound.example"
            with pytest.raises(FetchError):
                await webfinger.resolve(http, f"alice@{host}", now=NOW)
        elif use == "another handle":
            allowed = [("93.184.216.34", 443)]
            host = url.split("://", 1)[-1].split("/")[0] or "localhost"
            if url.startswith(("http:", "gopher:", "data:")):
                host = "rebound.example"
            jrd = json.dumps({"subject": f"acct:alice@{host}", "links": []}).encode()
            tap.answers["public.example"] = an_answer(200, jrd, kind="application/jrd+json")
            with pytest.raises(FetchError):
                await webfinger.resolve(http, "alice@public.example", now=NOW)
        elif use == "redirect":
            allowed = [("93.184.216.34", 443)]
            with pytest.raises((Forbidden, FetchError)):
                await fetch_actor(Retrieval(http, SIGNER, NOW), "https://public.example/x")
        else:
            allowed = [("93.184.216.34", 443)]
            links = [{"rel": f"{nodeinfo.SCHEMA}2.1", "href": url}]
            body = json.dumps({"links": links}).encode()
            tap.answers["public.example"] = an_answer(200, body, kind="application/json")
            with pytest.raises(FetchError):
                await nodeinfo.read(http, "https://public.example")

    assert tap.connected == allowed


@pytest.mark.parametrize("attack", ["39 a name that means something else a moment later"])
async def test_the_address_that_was_checked_is_the_one_connected_to(tap: Tap, attack: str) -> None:
    turns = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])

    async def resolve(host: str, port: int) -> list[str]:
        return next(turns)

    tap.answers["turning.example"] = an_answer(404)
    tap.resolve = resolve  # type: ignore[method-assign]  # a resolver that changes its mind
    async with tap.client() as http:
        with pytest.raises(FetchError):
            await fetch_actor(Retrieval(http, SIGNER, NOW), "https://turning.example/x")

    assert tap.connected == [("93.184.216.34", 443)]


@pytest.mark.parametrize("attack", ["42 a redirect to itself", "42 a redirect on and on"])
@pytest.mark.parametrize("use", ["actor", "key", "webfinger"])
async def test_redirects_end_soon(tap: Tap, attack: str, use: str) -> None:
    tap.answers["loop.example"] = lambda path: to(path if "itself" in attack else f"{path}x")
    async with tap.client() as http:
        asking: dict[str, Callable[[], Awaitable[object]]] = {
            "actor": lambda: fetch_actor(Retrieval(http, SIGNER, NOW), "https://loop.example/x"),
            "key": lambda: Fetcher(http).key_owner("https://loop.example/x#k", signer=SIGNER, now=NOW),
            "webfinger": lambda: webfinger.resolve(http, "alice@loop.example", now=NOW),
        }
        with pytest.raises(FetchError):
            await asking[use]()

    assert len(tap.requests) <= 4


@pytest.mark.parametrize("attack", ["40 a redirect to another host"])
async def test_a_signature_is_never_sent_on_to_another_host(tap: Tap, attack: str) -> None:
    tap.answers |= {"one.example": to("https://two.example/x"), "two.example": an_answer(404)}
    async with tap.client() as http:
        with pytest.raises(FetchError):
            await fetch_actor(Retrieval(http, SIGNER, NOW), "https://one.example/x")

    first, second = (
        next(line for line in request.split(b"\r\n") if line.startswith(b"signature:"))
        for request in tap.requests
    )
    assert first != second
    assert b"host: two.example" in tap.requests[1]


@pytest.mark.parametrize("attack", ["37 a key that leads inward, at the inbox"])
@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/users/x", "https://rebound.example/users/x", "https://localhost/x"]
)
async def test_an_inbox_makes_no_connection_inward(
    stage: Stage, tap: Tap, caplog: pytest.LogCaptureFixture, attack: str, url: str
) -> None:
    tap.names |= NAMES
    town = stage.town
    if "guarded" not in town._sites:
        await town.open("guarded")
    node = town["guarded"].node
    async with tap.client() as http:
        object.__setattr__(node, "http", http)
        object.__setattr__(node, "fetcher", Fetcher(http))
        body = a_body({"id": f"{url}/1", "type": "Follow", "actor": url, "object": FOLLOWED})
        request = rfc9421_signed(body=body, signer=rsa_key("stranger").signer(f"{url}#main-key"))
        request = type(request)(
            "POST",
            b"/inbox",
            [(name, b"guarded.example" if name == b"host" else value) for name, value in request.headers],
            body,
        )

        answer = await stage.knock(request, to="guarded")

    assert answer.status_code in {401, 403}
    assert reasons(caplog)
    assert tap.connected == []


# ---- documents that speak for another address --------------------------------------------------------------------


def a_victim(stage: Stage) -> Stranger:
    return stage.stranger("alice.example", "alice", key="other")


@pytest.mark.parametrize(
    ("attack", "serve"),
    [
        ("43 an actor under alice's id", lambda evil, alice: served(alice.actor(inbox=f"{evil.id}/inbox"))),
        (
            "44 sent to alice's server and back to a forgery",
            lambda evil, alice: httpx.Response(
                302, headers={"location": f"https://{alice.host}/open-redirect"}
            ),
        ),
        ("44 sent to alice", lambda evil, alice: httpx.Response(302, headers={"location": alice.id})),
        ("45 a file as JSON", lambda evil, alice: served(evil.actor(), content_type="application/json")),
        ("45 a file as text", lambda evil, alice: served(evil.actor(), content_type="text/plain")),
        (
            "45 a file as bytes",
            lambda evil, alice: served(evil.actor(), content_type="application/octet-stream"),
        ),
        (
            "45 JSON-LD without its profile",
            lambda evil, alice: served(evil.actor(), content_type="application/ld+json"),
        ),
        (
            "45 two types in one",
            lambda evil, alice: served(evil.actor(), content_type="text/html; application/activity+json"),
        ),
        ("45 no type", lambda evil, alice: served(evil.actor(), content_type=None)),
        ("49 an inbox elsewhere", lambda evil, alice: served(evil.actor(inbox=f"{alice.id}/inbox"))),
        ("49 an inbox of ours", lambda evil, alice: served(evil.actor(inbox="https://node.example/inbox"))),
        (
            "51 an id in capitals",
            lambda evil, alice: served(evil.actor(id=evil.id.replace(evil.host, evil.host.upper()))),
        ),
        (
            "51 an id with a port",
            lambda evil, alice: served(evil.actor(id=evil.id.replace(evil.host, f"{evil.host}:443"))),
        ),
    ],
)
async def test_a_document_that_does_not_speak_for_its_own_address_is_not_believed(
    stage: Stage,
    caplog: pytest.LogCaptureFixture,
    attack: str,
    serve: Callable[[Stranger, Stranger], httpx.Response],
) -> None:
    alice, evil = a_victim(stage), stage.stranger()
    evil.documents["/users/mallory"] = serve(evil, alice)
    alice.documents["/open-redirect"] = httpx.Response(
        302, headers={"location": f"https://{evil.host}/forged"}
    )
    evil.documents["/forged"] = alice.actor(inbox=f"{evil.id}/inbox")

    status = await stage.send(evil, evil.activity("Follow", FOLLOWED), to="node")

    assert status == 401
    assert reasons(caplog)
    assert alice.received == evil.received == []


@pytest.mark.parametrize(
    "attack",
    [
        "48 a case of another, embedded in an Announce",
        "48 a case of another, embedded in a Create of mallory's",
    ],
)
async def test_what_is_embedded_is_fetched_from_its_home_or_not_taken(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, mallory = await stage.victim(), await stage.admit(stage.stranger())
    forged = stage.case(alice, f"forged{len(attack)}") | {"summary": FORGED}
    caplog.clear()

    await stage.send(mallory, mallory.activity("Announce" if "Announce" in attack else "Create", forged))

    assert await stage.entry(forged["id"]) is None
    assert reasons(caplog)


@pytest.mark.parametrize(
    "name", ["spoofed-object", "create_without_authority", "update_others_object", "bogus-mastodon-announce"]
)
async def test_48_captured_forgeries_have_no_effect(
    stage: Stage, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    document = vectors.load(f"payloads/adversarial/{name}.json")
    mallory = await stage.admit(stage.stranger())
    caplog.clear()
    if document["type"] == "Note":
        document = mallory.activity("Create", document)

    await stage.send(
        mallory, document | {"actor": mallory.id, "id": f"https://{mallory.host}/activities/{name}"}
    )

    asked = {httpx.URL(str(request.url)).host for request in stage.town.wires.carried}
    assert "testserver" not in asked
    assert await stage.entry(str(document.get("object", {}).get("id"))) is None


@pytest.mark.parametrize("attack", ["49 a shared inbox of ours"])
@pytest.mark.parametrize("elsewhere", ["https://node.example/inbox", "https://alice.example/inbox"])
async def test_a_shared_inbox_of_another_server_is_not_posted_to(
    stage: Stage, attack: str, elsewhere: str
) -> None:
    alice, evil = a_victim(stage), stage.stranger()
    evil.documents["/users/mallory"] = evil.actor(endpoints={"sharedInbox": elsewhere})
    kept = await stage.kept()

    await stage.send(evil, evil.activity("Follow", FOLLOWED), to="node")

    assert [activity["type"] for activity in evil.received] == ["Accept"]
    assert alice.received == []
    # As it was signed, and as what its actor said.
    assert await stage.kept() == kept + 2


@pytest.mark.parametrize(
    ("attack", "subject"),
    [
        ("50 a handle of another host", "acct:alice@alice.example"),
        ("50 a handle of the actor's own name elsewhere", "acct:mallory@alice.example"),
        ("50 a handle of nobody", "acct:nobody@alice.example"),
        ("50 no handle", "https://alice.example/users/alice"),
        ("50 no subject", None),
    ],
)
async def test_a_handle_is_only_what_its_own_host_says(
    stage: Stage, attack: str, subject: str | None
) -> None:
    alice, evil = a_victim(stage), stage.stranger()
    jrd = {"links": [{"rel": "self", "type": "application/activity+json", "href": evil.id}]}
    evil.documents["/.well-known/webfinger"] = jrd | ({"subject": subject} if subject else {})
    alice.documents["/.well-known/webfinger"] = {
        "subject": "acct:alice@alice.example",
        "links": [{"rel": "self", "type": "application/activity+json", "href": alice.id}],
    }

    with pytest.raises(FetchError):
        await find_by_handle(stage.town["node"].node, f"mallory@{evil.host}")


@pytest.mark.parametrize("attack", ["50 a captured impostor"])
async def test_a_captured_impostor_is_refused(stage: Stage, attack: str) -> None:
    impostor = stage.stranger("fba.ryona.agenc", "graf")
    impostor.documents["/.well-known/webfinger"] = vectors.load(
        "payloads/adversarial/graf-imposter-webfinger.json"
    )

    with pytest.raises(FetchError):
        await find_by_handle(stage.town["node"].node, "graf@fba.ryona.agenc")


@pytest.mark.parametrize(
    ("attack", "written"),
    [
        ("51 in capitals", lambda host: host.upper()),
        ("51 with a port", lambda host: f"{host}:443"),
        ("51 with a dot", lambda host: f"{host}."),
        ("51 with an ideographic dot", lambda host: host.replace(".", "\u3002")),
        ("51 with an invisible letter", lambda host: host.replace("a", "a\u200b")),
        ("51 percent-encoded", lambda host: host.replace("a", "%61")),
    ],
)
async def test_a_host_in_another_spelling_does_not_speak_for_it(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, written: Callable[[str], str]
) -> None:
    alice = stage.stranger("alice.example", "alice", key="other")
    evil = stage.stranger()
    host = written(alice.host)
    activity = alice.activity("Follow", FOLLOWED, number=51)
    activity |= {"actor": alice.id.replace(alice.host, host), "id": activity["id"].replace(alice.host, host)}

    await stage.send(evil, activity, to="node")

    assert reasons(caplog)
    assert alice.received == evil.received == []


@pytest.mark.parametrize(
    ("attack", "key_id"),
    [
        ("52 a key of ours", "https://hub.example/actors/hub#main-key"),
        ("52 a key of ours that is not there", "https://hub.example/actors/nobody#main-key"),
        ("52 a key of ours, with the port", "https://hub.example:443/actors/hub#main-key"),
    ],
)
async def test_this_server_does_not_ask_itself_for_a_key(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, key_id: str
) -> None:
    evil = stage.stranger()
    before = len(stage.asked("hub.example"))

    status = await stage.send(evil, evil.activity("Follow", FOLLOWED), key_id=key_id)

    assert status in {401, 403}
    assert reasons(caplog)
    assert len(stage.asked("hub.example")) == before + 1  # the post itself


@pytest.mark.parametrize("attack", ["52 a case of ours, from another", "52 an outbox that leads to us"])
async def test_this_server_does_not_fetch_its_own_objects(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    evil = stage.stranger()
    if "outbox" in attack:
        create = {"type": "Create", "object": "https://hub.example/cases/none"}
        page = {"id": f"{evil.id}/outbox", "type": "OrderedCollection", "orderedItems": [create]}
        evil.documents["/users/mallory/outbox"] = page | {
            "next": "https://hub.example/actors/hub/outbox?page=1"
        }
    await stage.admit(evil)

    await stage.send(evil, evil.activity("Create", "https://hub.example/cases/none"))
    await stage.send(evil, evil.activity("Announce", "https://hub.example/cases/none"))

    gets = [request for request in stage.town.wires.carried if request.url.host == "hub.example"]
    assert [str(request.url) for request in gets if request.method == "GET"] == []


REFLECTED: dict[str, Any] = {
    "47 by an address among our pictures": ("/pictures/{}", {}),
    "47 by a proxy such as others have": ("/proxy/{}", {}),
    "47 by a media proxy such as others have": ("/media_proxy/{}", {}),
    "47 by a proxy of pictures": ("/proxy/avatar.webp", {"url": "{}"}),
    "47 by a custom emoji": ("/emoji/{}.png", {}),
    "47 by a file of a source": ("/api/v1/uploads/{}", {}),
    "47 by the copy of a case": ("/cases/{host}/x", {}),
    "47 by the copy of a case, with its whole address": ("/cases/{}", {}),
    "47 by WebFinger": ("/.well-known/webfinger", {"resource": "{}"}),
    "47 by a quote": ("/cases/none/stamps", {"of": "{}"}),
    "47 by following": ("/follow", {"account": "@mallory@{host}"}),
    "47 by a place to go on to": ("/follow", {"account": "{}"}),
    "47 by a list's filter": ("/cases", {"node": "{host}", "publisher": "{}"}),
    "47 by a feed's filter": ("/feeds/cases.json", {"publisher": "{}"}),
}


@pytest.mark.parametrize("attack", REFLECTED)
@pytest.mark.parametrize("server", ["node", "hub"])
async def test_no_address_of_ours_gives_out_bytes_of_others(stage: Stage, attack: str, server: str) -> None:
    """Whatever is under our origin would count as ours (Akkoma's reflections through emoji and proxies)."""
    evil = stage.stranger("reflected.example")
    spoof = {"id": "https://node.example/actors/cases", "type": "Person", "content": FORGED}
    evil.documents |= {path: spoof for path in ("/x", "/.well-known/webfinger", "/cases/x")}
    path, query = REFLECTED[attack]

    def filled(words: str) -> str:
        return words.replace("{host}", evil.host).replace("{}", f"https://{evil.host}/x")

    async with stage.town.visitor(server) as http:
        for accept in ("application/activity+json", "image/png", "text/html"):
            answer = await http.get(
                filled(path),
                params={name: filled(words) for name, words in query.items()},
                headers={"accept": accept},
            )
            assert FORGED not in answer.text
            assert answer.headers["x-content-type-options"] == "nosniff"
            if answer.status_code < 300 and "json" in answer.headers["content-type"]:
                assert evil.host not in str(answer.json().get("id", ""))

    assert [url for url in stage.asked(evil.host) if url.endswith("/x")] == []


@pytest.mark.parametrize("attack", ["47 any address at all"])
async def test_what_is_fetched_from_others_is_written_to_no_answer(stage: Stage, attack: str) -> None:
    """The pages that ask another server, by the functions that do: none of them is one that sends bytes on."""
    asking = {"find_document", "fetch_document", "get_json", "fetcher"}
    found = {
        file.name
        for doors in ("pages", "fediverse")
        for file in (Path(__file__).parents[2] / "web" / doors).rglob("*.py")
        for part in ast.walk(ast.parse(file.read_text()))
        if (part.attr if isinstance(part, ast.Attribute) else part.id if isinstance(part, ast.Name) else "")
        in asking
    }

    assert found == set()
