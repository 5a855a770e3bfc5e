"""Keys that an actor lists by their address alone: what is signed with them is taken while both say that they belong together."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from federation.errors import Unavailable
from federation.proofs import attach
from node.effects.proving import RefusedActivity, prove
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


# ---- one that cannot be had just now -------------------------------------------------------------------------------

BUSY = httpx.Response(503)


def proven_by_the_second(sam: Stranger) -> dict[str, Any]:
    return attach(sam.activity("Like", US), sam.ed25519.signer(SECOND), now=sam.town.clock.now())


async def test_a_key_that_cannot_be_had_just_now_stays_known_and_takes_no_other_with_it(
    town: Town, sam: Stranger
) -> None:
    await ask(town, sam)
    sam.documents["/keys/3"] = BUSY

    await find_actor(town["a"].node, sam.id, max_age=timedelta(0))

    assert set((await proving_keys(town["a"].node, sam.id))[0]) == {FIRST, SECOND}
    assert await ask(town, sam, 2) == 202


async def test_a_key_that_could_not_be_had_at_first_is_asked_for_when_something_is_proven_with_it(
    town: Town, sam: Stranger
) -> None:
    node, shown = town["a"].node, sam.documents["/keys/3"]
    sam.documents["/keys/3"] = BUSY
    assert await ask(town, sam) == 202
    assert set((await proving_keys(node, sam.id))[0]) == {FIRST}

    for _ in range(3):
        with pytest.raises(Unavailable):
            await prove(node, proven_by_the_second(sam), sam.id)
    # Once with its owner and once for the proof: that failure is remembered.
    assert sam.asked.count("/keys/3") == 2
    sam.documents["/keys/3"] = shown
    town.clock.forward(seconds=15)

    assert (await prove(node, proven_by_the_second(sam), sam.id)).key_id == SECOND
    assert set((await proving_keys(node, sam.id))[0]) == {FIRST, SECOND}


async def test_what_is_signed_with_a_key_that_cannot_be_had_just_now_may_come_again(
    town: Town, sam: Stranger
) -> None:
    shown = sam.documents["/keys/2"]
    sam.documents["/keys/2"] = BUSY

    assert await ask(town, sam) == 503
    sam.documents["/keys/2"] = shown
    town.clock.forward(seconds=15)
    assert await ask(town, sam) == 202


@pytest.mark.parametrize(
    "key_id",
    [
        "https://stranger.example/keys/none",
        "https://stranger.example/keys/2x",
        "https://elsewhere.example/keys/3",
    ],
)
async def test_a_proof_by_a_key_that_its_owner_does_not_list_is_refused_and_nobody_else_is_asked(
    town: Town, sam: Stranger, key_id: str
) -> None:
    await ask(town, sam)
    elsewhere = Stranger(town, "elsewhere.example", key="other")
    sam.documents["/keys/2x"] = sam.documents["/keys/3"] | {"id": "https://stranger.example/keys/2x"}
    forged = attach(sam.activity("Like", US), sam.ed25519.signer(key_id), now=town.clock.now())

    with pytest.raises(RefusedActivity):
        await prove(town["a"].node, forged, sam.id)
    assert elsewhere.asked == []
