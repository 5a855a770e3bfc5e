"""Being found by servers that never heard of us: WebFinger both ways, NodeInfo, actors of any kind."""

import json
from pathlib import Path

import pytest

from federation.webfinger import resolve
from node.peers.directory import fetch_signer
from node.peers.ours import local_actors
from tests.rig.town import Town
from vocab.actors import read_actor
from vocab.terms import ACTIVITY_JSON, LD_JSON

SCHEMAS = Path(__file__).parents[3].parent / "shared" / "vectors" / "nodeinfo"


@pytest.mark.parametrize(
    ("resource", "leads_to"),
    [
        ("acct:cases@a.example", "/actors/cases"),
        ("acct:Cases@A.example", "/actors/cases"),
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
    ],
)
async def test_webfinger_knows_nobody_else(town: Town, resource: str, status: int) -> None:
    async with town.visitor("a") as http:
        answer = await http.get("/.well-known/webfinger", params={"resource": resource} if resource else {})

    assert answer.status_code == status


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
            assert "Accept" in answer.headers["vary"]
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
