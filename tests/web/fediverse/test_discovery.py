"""Being found by servers that never heard of us: WebFinger both ways, NodeInfo, actors of any kind."""

import hashlib
import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from federation.webfinger import resolve
from node.peers.directory import fetch_signer
from node.peers.ours import local_actors
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case
from tests.rig.town import Town
from vocab.actors import read_actor
from vocab.terms import ACTIVITY_JSON, LD_JSON

SCHEMAS = Path(__file__).parents[3].parent / "shared" / "vectors" / "nodeinfo"


@pytest.mark.parametrize(
    ("resource", "leads_to"),
    [
        ("acct:cases@a.example", "/actors/cases"),
        ("acct:Cases@A.example", "/actors/cases"),
        ("ACCT:cases@a.example", "/actors/cases"),
        ("HTTPS://A.example/actors/cases", "/actors/cases"),
        ("HTTPS://a.example", "/actors/a.example"),
        # In other letters, as people write the host of a handle; these are the same ones twice as wide.
        ("acct:cases@\uff21\u3002example", "/actors/cases"),
        ("https://\uff41.example/actors/cases", "/actors/cases"),
        ("@cases@a.example", "/actors/cases"),
        ("https://a.example/actors/cases", "/actors/cases"),
        ("https://a.example/", "/actors/a.example"),
        ("https://a.example", "/actors/a.example"),
        ("acct:a.example@a.example", "/actors/a.example"),
    ],
)
async def test_webfinger_leads_to_the_actor(town: Town, resource: str, leads_to: str) -> None:
    async with town.visitor("a") as http:
        answer = await http.get("/.well-known/webfinger", params={"resource": resource})

    body = answer.json()
    assert answer.headers["content-type"] == "application/jrd+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    own = {link["type"]: link["href"] for link in body["links"] if link["rel"] == "self"}
    assert own == {ACTIVITY_JSON: f"https://a.example{leads_to}", LD_JSON: f"https://a.example{leads_to}"}


@pytest.mark.parametrize(
    ("rels", "answered"),
    [
        (["self"], {"self"}),
        (
            ["http://webfinger.net/rel/profile-page", "self"],
            {"http://webfinger.net/rel/profile-page", "self"},
        ),
        (["http://webfinger.net/rel/avatar"], set()),
    ],
)
async def test_who_asks_webfinger_for_some_relations_is_answered_these_alone(
    town: Town, rels: list[str], answered: set[str]
) -> None:
    """RFC 7033 §4.3."""
    async with town.visitor("a") as http:
        answer = await http.get(
            "/.well-known/webfinger", params={"resource": "acct:cases@a.example", "rel": rels}
        )

    body = answer.json()
    assert body["subject"] == "acct:cases@a.example"
    assert {link["rel"] for link in body["links"]} == answered


@pytest.mark.parametrize(
    ("resource", "status"),
    [
        ("", 400),
        ("acct:nobody@a.example", 404),
        ("acct:cases@b.example", 404),
        ("acct:hub@a.example", 404),
        ("acct:state-fr@a.example", 404),
        ("https://b.example/actors/cases", 404),
        ("acct:../../etc@a.example", 404),
        ("nonsense", 404),
        ("acct:cases@b\u00fccher.example", 404),
        ("acct:cases@b\u00fc..example", 404),
        ("acct:acct:cases@a.example", 404),
        ("https://a.example/ACTORS/cases", 404),
        ("mailto:cases@a.example", 404),
    ],
)
async def test_webfinger_knows_nobody_else(town: Town, resource: str, status: int) -> None:
    async with town.visitor("a") as http:
        answer = await http.get("/.well-known/webfinger", params={"resource": resource} if resource else {})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/.well-known/webfinger", 400),
        ("GET", "/.well-known/webfinger?resource=acct:nobody@a.example", 404),
        ("POST", "/.well-known/webfinger?resource=acct:cases@a.example", 405),
        ("GET", "/.well-known/webfinger/?resource=acct:cases@a.example", 307),
        ("GET", "/.well-known/webfinger?resource=acct:cases@a.example", 200),
        ("GET", "/.well-known/host-meta", 200),
        ("GET", "/.well-known/nodeinfo", 200),
        ("GET", "/nodeinfo/2.1", 200),
        ("GET", "/nodeinfo/9", 404),
    ],
)
async def test_what_is_said_to_who_looks_for_us_is_for_every_origin(
    town: Town, method: str, address: str, status: int
) -> None:
    async with town.visitor("a") as http:
        answer = await http.request(method, address, follow_redirects=False)

    assert answer.status_code == status
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert answer.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]


@pytest.mark.parametrize("address", ["/", "/about", "/alert", "/.well-known/social-rights-tracker/keys"])
async def test_what_else_is_refused_is_for_our_own_pages(town: Town, address: str) -> None:
    async with town.visitor("a") as http:
        answer = await http.request("POST", address)

    assert answer.status_code in {403, 404, 405}
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_no_address_is_named_as_an_actors_that_leads_to_another(town: Town) -> None:
    async with town.visitor("a") as http:
        for resource in ("acct:cases@a.example", "acct:a.example@a.example"):
            found = (await http.get("/.well-known/webfinger", params={"resource": resource})).json()
            for alias in found["aliases"]:
                again = (await http.get("/.well-known/webfinger", params={"resource": alias})).json()
                assert again["links"][0] == found["links"][0]
            assert found["aliases"]


@pytest.mark.parametrize(
    "name",
    ["hub", "state-fr", "article-31", "theme-migration", "group-homeless", "kind-violation", "hub.example"],
)
async def test_every_handle_of_the_hub_leads_back_to_itself(town: Town, name: str) -> None:
    node = town["a"].node

    found = await resolve(node.http, f"@{name}@hub.example", now=town.clock.now(), signer=fetch_signer(node))

    assert found == f"https://hub.example/actors/{name}"


async def test_every_actor_is_readable_without_a_signature_and_shows_both_keys(town: Town) -> None:
    async with town.visitor("hub", headers={"Accept": ACTIVITY_JSON}) as http:
        for ours in local_actors(town.hub.settings):
            answer = await http.get(ours.id)
            actor = read_actor(answer.json())
            assert answer.headers["content-type"] == ACTIVITY_JSON
            assert "Accept" in answer.headers["vary"].split(", ")
            assert actor.id == ours.id
            assert actor.webfinger == f"{ours.name}@hub.example"
            assert actor.attribution_domains == ("hub.example",)
            assert ("https://w3id.org/fep/8b32", "FEP-8b32: Object Integrity Proofs") in actor.implements
            assert [(key.id, key.algorithm) for key in actor.keys] == [
                (f"{ours.id}#main-key", "rsa"),
                (f"{ours.id}#ed25519-key", "ed25519"),
            ]


async def test_followers_show_their_number_and_not_themselves(town: Town) -> None:
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        for name in ("followers", "following"):
            body = (await http.get(f"/actors/cases/{name}")).json()
            assert body["totalItems"] == 0
            assert body[f"{name}Of"] == "https://a.example/actors/cases"
            assert "first" not in body
            assert "items" not in body
            assert "orderedItems" not in body


@pytest.mark.parametrize("version", ["2.0", "2.1"])
async def test_nodeinfo_is_what_its_schema_says(town: Town, version: str) -> None:
    async with town.visitor("a") as http:
        index = (await http.get("/.well-known/nodeinfo")).json()
        href = next(link["href"] for link in index["links"] if link["rel"].endswith(version))
        document = (await http.get(href)).json()

    assert document["version"] == version
    assert document["software"]["name"] == "social-rights-tracker"
    assert document["protocols"] == ["activitypub"]
    schema = SCHEMAS / version / "schema.json"
    if not schema.exists():
        pytest.skip(
            f"the NodeInfo schemas are not at {SCHEMAS}: put the conformance vectors beside the checkout"
        )
    required = json.loads(schema.read_text("utf-8"))["required"]
    assert set(required) <= set(document)


async def test_an_unknown_version_of_nodeinfo_is_not_there(town: Town) -> None:
    async with town.visitor("a") as http:
        assert (await http.get("/nodeinfo/9.9")).status_code == 404


async def test_host_meta_and_security_txt_say_where_to_go(town: Town) -> None:
    async with town.visitor("a") as http:
        host_meta = await http.get("/.well-known/host-meta")
        security = await http.get("/.well-known/security.txt")

    assert "https://a.example/.well-known/webfinger?resource={uri}" in host_meta.text
    assert "Contact: https://a.example/alert" in security.text
    assert "Expires: " in security.text


@pytest.mark.parametrize(
    ("site", "handle", "names"),
    [
        ("a", "cases@a.example", ["Object", "Create", "Flag"]),
        ("a", "a.example@a.example", []),
        ("hub", "hub@hub.example", ["Object"]),
        ("hub", "state-fr@hub.example", []),
    ],
)
async def test_intents_lead_to_pages_that_are_there_and_ask_who_you_are(
    town: Town, site: str, handle: str, names: list[str]
) -> None:
    """FEP-3b86: a GET shows, and changes nothing."""
    async with town.visitor(site) as http:
        document = (await http.get("/.well-known/webfinger", params={"resource": f"acct:{handle}"})).json()
        templates = {
            link["rel"].removeprefix("https://w3id.org/fep/3b86/"): link["template"]
            for link in document["links"]
            if "/3b86/" in link["rel"]
        }
        assert list(templates) == names
        for name in {"Create", "Flag"} & templates.keys():
            filled = templates[name].replace("{object}", "x").replace("{inReplyTo}", "x")
            assert (await http.get(filled)).status_code == 401


async def test_an_object_that_somebody_names_is_shown_here_or_not_at_all(town: Town) -> None:
    await town.befriend("a", "b")
    own = (await publish_case(town["a"].node)).url
    copy = (await publish_case(town["b"].node)).url
    await town.settle()
    async with town.visitor("a") as http:

        async def led(uri: str) -> tuple[int, str]:
            answer = await http.get("/authorize_interaction", params={"uri": uri})
            return answer.status_code, answer.headers.get("location", "")

        assert await led(own) == (303, own.removeprefix("https://a.example"))
        assert await led(copy) == (303, f"/cases/b.example/{copy.rpartition('/')[2]}")
        assert await led("https://a.example/actors/cases") == (303, "/follow?actor=cases")
        assert await led("acct:cases@a.example") == (303, "/follow?actor=cases")
        for elsewhere in ("", "https://evil.example/", "//evil.example", "javascript:alert(1)", "/desk"):
            assert (await led(elsewhere))[0] == 404


async def test_a_case_says_where_its_history_is_and_the_newest_comes_first(town: Town) -> None:
    """FEP-bad1: what its publisher did, with the hash of each version; after a withdrawal that alone."""
    node = town["a"].node
    publication = await publish_case(node)
    town.clock.forward(minutes=5)
    note = {"date": "2026-11-21", "text": {"en": "Two, not three (fictional)."}}
    await correct_case(node, publication, a_case(corrections=[note]))
    async with town.visitor("a", headers={"Accept": ACTIVITY_JSON}) as http:
        article = await http.get(publication.url)
        history = (await http.get(article.json()["history"])).json()
        items = history["orderedItems"]
        first = (await http.get(items[-1]["id"])).json()
        town.clock.forward(minutes=5)
        await withdraw_case(node, publication)
        left = (await http.get(f"{publication.url}/history")).json()["orderedItems"]
        assert (await http.get("https://a.example/cases/none/history")).status_code == 404

    assert (history["type"], history["totalItems"]) == ("OrderedCollection", 2)
    assert [item["type"] for item in items] == ["Update", "Create"]
    assert items[0]["srt:caseHash"] == hashlib.sha256(article.content).hexdigest()
    assert items[1]["srt:caseHash"] != items[0]["srt:caseHash"]
    assert first["object"]["id"] == publication.url
    assert [item["type"] for item in left] == ["Delete"]


async def test_the_address_of_the_server_leads_to_its_own_actor_as_such(town: Town) -> None:
    settings, rel = town["a"].settings, "https://www.w3.org/ns/activitystreams#Service"
    async with town.visitor("a") as http:
        told = [
            (await http.get("/.well-known/webfinger", params={"resource": resource})).json()
            for resource in (f"{settings.origin}/", settings.main_actor)
        ]

    led = [[link["href"] for link in one["links"] if link["rel"] == rel] for one in told]
    assert led == [[settings.instance_actor], []]


async def test_a_conversation_has_an_owner_and_begins_with_its_case(town: Town) -> None:
    url = (await publish_case(town["a"].node)).url
    async with town.visitor("a") as http:
        answer = await http.get(f"{url}/context", headers={"accept": "application/activity+json"})

    document = answer.json()
    assert answer.headers["link"] == '<https://www.w3.org/TR/activitypub/>; rel="type"'
    assert (document["type"], document["attributedTo"]) == (
        "OrderedCollection",
        town["a"].settings.main_actor,
    )
    assert document["orderedItems"] == [url]


@pytest.mark.parametrize("name", ["a", "hub"])
async def test_every_actor_has_a_picture_that_other_servers_take_and_pages_elsewhere_may_show(
    town: Town, name: str
) -> None:
    server = town[name].node
    accept = {"accept": ACTIVITY_JSON}

    async with town.visitor(name) as http:
        documents = [
            (await http.get(actor.id, headers=accept)).json() for actor in local_actors(server.settings)
        ]
        addresses = {document["icon"]["url"] for document in documents}
        picture = await http.get(addresses.pop())

    assert not addresses
    assert {document["icon"]["type"] for document in documents} == {"Image"}
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["cross-origin-resource-policy"] == "cross-origin"
    with Image.open(BytesIO(picture.content)) as shown:
        assert shown.format == "PNG"
        assert shown.size == (400, 400)
