"""Keys that an actor lists by their address alone: what is signed with them is taken while both say that they belong together."""

from datetime import timedelta
from typing import Any

import pytest

from node.peers.directory import find_actor, proving_keys
from tests.rig.keys import ed25519_key
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import AS

US = "https://a.example/actors/cases"
FIRST, SECOND = "https://stranger.example/keys/2", "https://stranger.example/keys/3"


@pytest.fixture
def sam(town: Town) -> Stranger:
    """Shows no key, and lists two."""
    sam = Stranger(town)
    sam.documents["/users/sam"] = sam.actor(publicKey=FIRST, assertionMethod=[SECOND])
    sam.documents["/keys/2"] = a_key(sam)
    sam.documents["/keys/3"] = {
        "@context": "https://www.w3.org/ns/cid/v1",
        "id": SECOND,
        "type": "Multikey",
        "controller": sam.id,
        "publicKeyMultibase": ed25519_key("stranger").public.multibase,
    }
    return sam


def a_key(sam: Stranger, **more: Any) -> dict[str, Any]:
    return {"@context": AS, "id": FIRST, "owner": sam.id, "publicKeyPem": sam.rsa.public.pem, **more}


async def ask(town: Town, sam: Stranger, number: int = 1) -> int:
    answer = await sam.post("a", sam.activity("Follow", US, number=number), key_id=FIRST)
    await town.settle()
    return answer.status_code


@pytest.mark.parametrize(
    "change",
    [
        {"publicKey": None, "assertionMethod": [SECOND]},
        {"publicKey": "https://elsewhere.example/keys/2", "assertionMethod": []},
        {"publicKey": {"id": FIRST, "owner": "https://stranger.example/users/bob", "publicKeyPem": "x"}},
    ],
    ids=["not listed", "another is listed", "shown as another's"],
)
async def test_what_is_signed_with_a_key_that_its_owner_does_not_list_is_refused(
    town: Town, sam: Stranger, change: dict[str, Any]
) -> None:
    sam.documents["/users/sam"] = sam.actor(**change)

    assert await ask(town, sam) == 401
    assert sam.received == []


async def test_what_is_signed_with_a_linked_key_of_another_is_refused(town: Town, sam: Stranger) -> None:
    sam.documents["/keys/2"] = a_key(sam, owner="https://stranger.example/users/bob")

    assert await ask(town, sam) == 401


async def test_what_is_signed_with_a_linked_key_is_taken_and_its_proofs_can_be_checked(
    town: Town, sam: Stranger
) -> None:
    assert await ask(town, sam) == 202

    assert [item["type"] for item in sam.received] == ["Accept"]
    assert set((await proving_keys(town["a"].node, sam.id))[0]) == {FIRST, SECOND}


async def test_a_linked_key_outlives_a_look_at_its_owner_and_ends_when_it_is_listed_no_more(
    town: Town, sam: Stranger
) -> None:
    await ask(town, sam)
    await find_actor(town["a"].node, sam.id, max_age=timedelta(0))
    assert set((await proving_keys(town["a"].node, sam.id))[0]) == {FIRST, SECOND}

    sam.documents["/users/sam"] = sam.actor(publicKey=None, assertionMethod=[SECOND])
    await find_actor(town["a"].node, sam.id, max_age=timedelta(0))
    town.clock.forward(minutes=6)

    assert set((await proving_keys(town["a"].node, sam.id))[0]) == {SECOND}
    assert await ask(town, sam, 2) == 401
