"""Signatures that name their actor and not the key: one RSA key is meant where the actor lists one, and none where there are two."""

from datetime import timedelta
from typing import Any

import pytest

from node.peers.directory import find_actor
from tests.rig.keys import rsa_key
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.actors import read_actor

US = "https://a.example/actors/cases"


@pytest.fixture
def sam(town: Town) -> Stranger:
    return Stranger(town)


async def ask(town: Town, sam: Stranger, number: int = 1, **how: Any) -> int:
    answer = await sam.post("a", sam.activity("Follow", US, number=number), key_id=sam.id, **how)
    await town.settle()
    return answer.status_code


def a_key(sam: Stranger, name: str, key: str = "stranger", **more: Any) -> dict[str, Any]:
    pem = rsa_key(key).public.pem
    return {"id": f"{sam.id}#{name}", "owner": sam.id, "publicKeyPem": pem, **more}


@pytest.mark.parametrize(
    "listed",
    [
        lambda sam: [a_key(sam, "first"), a_key(sam, "second", "another")],
        lambda sam: [],
        lambda sam: [a_key(sam, "first", "another")],
        lambda sam: [a_key(sam, "first", expires="2026-01-01T00:00:00Z")],
    ],
    ids=["one of two", "none", "another key", "one that has ended"],
)
async def test_what_no_single_key_of_the_actor_holds_for_is_refused(
    town: Town, sam: Stranger, listed: Any
) -> None:
    sam.documents["/users/sam"] = sam.actor(publicKey=listed(sam))

    assert await ask(town, sam) == 401
    assert sam.received == []


async def test_a_signature_that_names_a_neighbour_is_none_of_theirs(town: Town, sam: Stranger) -> None:
    # From here on bob's server serves both.
    bob = Stranger(town, name="bob", key="another")
    bob.documents |= sam.documents

    answer = await bob.post("a", bob.activity("Follow", US), key_id=sam.id)

    assert answer.status_code == 401
    assert bob.received == []


async def test_the_only_key_of_the_actor_is_meant_and_asked_for_once(town: Town, sam: Stranger) -> None:
    """activitypub-express 4.4.2 and PeerTube of some years sign so, and list the key as `#main-key`."""
    assert await ask(town, sam) == 202
    town.clock.forward(seconds=31)
    assert await ask(town, sam, 2) == 202

    assert {item["type"] for item in sam.received} == {"Accept"}
    assert sam.asked.count("/users/sam") == 1


async def test_a_key_without_an_id_is_meant_too(town: Town, sam: Stranger) -> None:
    """SemApps 0.6."""
    key = a_key(sam, "first")
    del key["id"]
    sam.documents["/users/sam"] = sam.actor(publicKey=key)

    assert await ask(town, sam) == 202
    assert [item["type"] for item in sam.received] == ["Accept"]


async def test_of_two_keys_without_an_id_none_counts(town: Town, sam: Stranger) -> None:
    keys = [a_key(sam, "first"), a_key(sam, "second", "another")]
    sam.documents["/users/sam"] = sam.actor(publicKey=[{**key, "id": "_:b0"} for key in keys])

    assert await ask(town, sam) == 401


async def test_a_second_key_ends_that_the_first_is_meant(town: Town, sam: Stranger) -> None:
    assert await ask(town, sam) == 202

    sam.documents["/users/sam"] = sam.actor(publicKey=[a_key(sam, "first"), a_key(sam, "second", "another")])
    await find_actor(town["a"].node, sam.id, max_age=timedelta(0))
    town.clock.forward(seconds=31)

    assert await ask(town, sam, 2) == 401


async def test_a_key_that_took_the_place_of_the_only_one_is_asked_for(town: Town, sam: Stranger) -> None:
    assert await ask(town, sam) == 202

    sam.rsa = rsa_key("another")
    sam.documents["/users/sam"] = sam.actor(publicKey=a_key(sam, "main-key-2", "another"))
    town.clock.forward(minutes=6)

    assert await ask(town, sam, 2) == 202


def test_a_key_with_the_very_id_of_its_actor_comes_before_any_other(sam: Stranger) -> None:
    own, other = a_key(sam, "first") | {"id": sam.id}, a_key(sam, "second", "another")

    found = read_actor(sam.actor(publicKey=[other, own])).key(sam.id)

    assert found is not None
    assert found.id == sam.id
    assert found.spki_pem == own["publicKeyPem"]


def test_of_two_keys_none_is_meant_by_the_id_of_their_actor(sam: Stranger) -> None:
    listed = [a_key(sam, "first"), a_key(sam, "second", "another")]

    assert read_actor(sam.actor(publicKey=listed)).key(sam.id) is None
    assert read_actor(sam.actor(publicKey=listed[:1])).key(sam.id) is not None


@pytest.mark.parametrize("signed_with", ["#main-key", "#me"])
async def test_an_actor_whose_id_has_a_fragment_speaks_like_any_other(
    town: Town, sam: Stranger, signed_with: str
) -> None:
    """People who write their own documents name themselves `#me`, as on the rest of the linked web."""
    document = sam.id
    sam.id = f"{document}#me"
    key = {"id": f"{document}#main-key", "owner": sam.id, "publicKeyPem": sam.rsa.public.pem}
    sam.documents["/users/sam"] = sam.actor(publicKey=key, inbox=f"{document}/inbox")

    answer = await sam.post("a", sam.activity("Follow", US), key_id=f"{document}{signed_with}")
    await town.settle()

    assert answer.status_code == 202
    assert [item["type"] for item in sam.received] == ["Accept"]


async def test_a_fragment_of_somebodys_document_is_nobody_who_is_not_named_there(
    town: Town, sam: Stranger
) -> None:
    document, sam.id = sam.id, f"{sam.id}#me"

    own = await sam.post("a", sam.activity("Follow", US), key_id=f"{document}#me")
    passed_on = await sam.post("a", sam.activity("Follow", US, number=2), key_id=f"{document}#main-key")
    await town.settle()

    # Whose document it is may pass on what others said, and nothing here proves that they did.
    assert (own.status_code, passed_on.status_code) == (401, 202)
    assert sam.received == []
