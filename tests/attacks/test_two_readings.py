"""Attacks with documents that two readings understand differently: one name in two spellings, a name that a context redefines, another
document than the one that was asked for.

Beside what is here, by the number of the attack:

43  tests/attacks/test_fetching.py::test_a_document_that_does_not_speak_for_its_own_address_is_not_believed
"""

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import select

from federation import ldsignatures, proofs
from federation.keys import base58_encode
from node.effects.taking import fetch_case
from node.entries.entries import Entry
from node.peers.actors import RemoteKey
from node.peers.follows import Follow, between
from node.publishing.reactions import Reaction
from tests.attacks.stage import Stage, reasons
from tests.rig.publications import a_case, publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.actors import Actor, PublicKey, write_actor
from vocab.canonical import canonical
from vocab.jsonld import canonize, parse, write
from vocab.terms import PUBLIC, SRT

DATA_INTEGRITY = "https://w3id.org/security/data-integrity/v1"
AS_CONTEXT = "https://www.w3.org/ns/activitystreams"
PICTURE: dict[str, Any] = {
    "sha256": "0a" * 32,
    "media_type": "image/jpeg",
    "width": 120,
    "height": 80,
    "path": f"/pictures/{'0a' * 32}.jpg",
    "alt": {"en": "A corridor with four doors (drawing)"},
}

IN_FRENCH = {"language": "fr"} | {
    name: dict.fromkeys(("fr", "uk", "el"), words)
    for name, words in {
        "title": "Expulsions sans décision",
        "summary": "Des familles sont expulsées de leur logement sans décision de justice et sans qu'on leur en propose un autre.",
        "verification_statement": "Deux personnes ont lu les décisions et ont parlé aux familles.",
    }.items()
}


async def with_a_case(stage: Stage) -> tuple[Stranger, str]:
    """A member of the hub, and the address of a case of theirs that the hub shows."""
    alice = await stage.victim()
    case = stage.case(alice)
    await stage.send(alice, alice.activity("Create", case, to=[PUBLIC], cc=[], number=5))
    return alice, str(case["id"])


async def state_of(town: Town, url: str) -> str:
    async with town.hub.node.database.read() as session:
        return str(await session.scalar(select(Entry.state).where(Entry.id == url)))


@pytest.mark.parametrize("spelling", ["as:id", f"{AS_CONTEXT}#id", "@id"])
async def test_an_actor_under_two_ids_replaces_nobodys_keys(
    town: Town, caplog: pytest.LogCaptureFixture, spelling: str
) -> None:
    stage = Stage(town)
    alice, case = await with_a_case(stage)
    mallory = stage.stranger()
    hub = town.hub
    await stage.send(mallory, mallory.activity("Follow", hub.node.settings.main_actor))
    forged = write_actor(
        Actor(
            id=alice.id,
            type="Organization",
            preferred_username="cases",
            inbox=f"{alice.id}/inbox",
            keys=(PublicKey(alice.key_id, alice.id, "rsa", spki_pem=mallory.rsa.public.pem),),
        )
    )
    document = {spelling: alice.id, **forged, "id": mallory.id}
    if spelling == "@id":
        document = {("@type" if name == "type" else name): value for name, value in document.items()}
    mallory.documents["/users/mallory"] = document

    await stage.send(mallory, mallory.activity("Update", mallory.id, number=2))

    async with hub.node.database.read() as session:
        key = await session.get_one(RemoteKey, alice.key_id)
    assert key.material == alice.rsa.public.pem
    town.clock.forward(minutes=6)
    withdrawal = alice.activity("Delete", case, number=99)
    answer = await mallory.post("hub", withdrawal, key_id=alice.key_id)
    await town.settle()
    assert answer.status_code == 401
    assert await state_of(town, case) == "live"


@pytest.mark.parametrize("what", ["proof", "signature"])
async def test_a_context_that_gives_actor_another_meaning_makes_nobody_else_speak(
    town: Town, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """Mallory proves, or signs, what she says; expanded, it is Alice who says it."""
    stage = Stage(town)
    alice, case = await with_a_case(stage)
    mallory, carrier = stage.stranger(), stage.stranger(key="peer")
    renamed: dict[str, Any] = {
        "actor": "https://evil.example/ns#x",
        "real": {"@id": "as:actor", "@type": "@id"},
    }
    document: dict[str, Any] = {
        "@context": [AS_CONTEXT, DATA_INTEGRITY, renamed],
        "id": f"https://{mallory.host}/a/1",
        "type": "Delete",
        "actor": mallory.id,
        "real": alice.id,
        "object": case,
    }
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-rdfc-2022",
        "created": town.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verificationMethod": f"{mallory.id}#ed25519-key",
        "proofPurpose": "assertionMethod",
    }
    value = "z" + base58_encode(mallory.prover().sign(proofs._rdfc_data(canonize(document), options)))
    proven = {**document, "proof": {**options, "proofValue": value}}
    signed = ldsignatures.attach(document, mallory.signer(), now=town.clock.now())

    await stage.send(carrier, proven if what == "proof" else signed)

    assert f"{what}: of another activity" in reasons(caplog)
    assert await state_of(town, case) == "live"


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ({"as:srt:state": "DE", f"{SRT}state": "FR"}, ["srt:state"]),
        ({"as:nameMap": {"en": "Read by nobody who expands it"}}, ["nameMap"]),
    ],
    ids=["a State", "a title"],
)
async def test_a_case_that_says_something_else_to_who_expands_it_is_not_shown(
    town: Town, caplog: pytest.LogCaptureFixture, hidden: dict[str, Any], said: list[str]
) -> None:
    """Each of these is a name of ours to who takes `as:` off, and stands for nothing to who expands the document."""
    stage = Stage(town)
    alice = await stage.victim()
    bare = {name: value for name, value in stage.case(alice).items() if name not in (*said, "proof")}
    case = stage.prove(alice, {**bare, **hidden})

    await stage.send(alice, alice.activity("Create", case, to=[PUBLIC], cc=[], number=5))

    assert "a context that gives names another meaning" in reasons(caplog)
    assert await stage.entry(str(case["id"])) is None


async def test_an_actor_found_under_anothers_address_does_not_act_as_that_other(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(town)
    alice, _ = await with_a_case(stage)
    mallory = stage.stranger()
    hub = town.hub.node.settings.main_actor
    await stage.send(mallory, mallory.activity("Like", "https://nowhere.example/1"))
    town.clock.forward(hours=25)
    mallory.documents["/users/mallory"] = alice.actor()

    await stage.send(mallory, mallory.activity("Follow", hub, number=8))

    async with town.hub.node.database.read() as session:
        assert await between(session, alice.id, hub) is None
        followers = (await session.scalars(select(Follow.follower).where(Follow.followed == hub))).all()
    assert alice.id not in followers


async def test_an_activity_under_two_ids_takes_nobodys_place(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(town)
    mallory = stage.stranger()
    case = (await publish_case(town["a"].node)).url
    theirs = "https://victim.example/like/1"

    await stage.send(mallory, {"as:id": theirs, **mallory.activity("Like", case, number=3)}, to="a")

    assert "id is there twice, and not the same" in reasons(caplog)
    async with town["a"].node.database.read() as session:
        assert await session.get(Reaction, theirs) is None


async def test_who_passes_a_case_on_takes_no_picture_from_it(town: Town) -> None:
    """A proof holds for 640, 640.0 and 6.4e2: to the program that signed they are one number."""
    stage = Stage(town)
    alice, mallory = await stage.victim(), stage.stranger()
    case = stage.case(alice, fields={"image": PICTURE})
    alice.documents["/cases/c1"] = case
    said = stage.prove(alice, alice.activity("Create", case, to=[PUBLIC], cc=[], number=5))
    spelled = {'"width": 120': '"width": 120.0', '"height": 80': '"height": 8e1'}
    body = json.dumps(said)
    for honest, other in spelled.items():
        assert honest in body
        body = body.replace(honest, other)

    await stage.send(mallory, body.encode())

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.case().image == a_case(image=PICTURE).image


async def test_who_passes_a_case_on_chooses_neither_its_bytes_nor_which_language_comes_first(
    town: Town,
) -> None:
    """A proof holds for members in any order; of the bytes others tell which version they speak of, and its first text is the original."""
    stage = Stage(town)
    alice, mallory = await stage.victim(), stage.stranger()
    case = stage.case(alice, fields=IN_FRENCH)
    alice.documents["/cases/c1"] = case
    said = stage.prove(alice, alice.activity("Create", case, to=[PUBLIC], cc=[], number=5))

    await stage.send(mallory, backwards(said))

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.sha256 == hashlib.sha256(write(case)).hexdigest()
    for name in ("title", "summary"):
        assert next(iter(entry.fields[name])) == "fr"


async def test_who_passes_a_correction_on_does_not_choose_which_language_comes_first(town: Town) -> None:
    stage = Stage(town)
    alice, _ = await with_a_case(stage)
    mallory = stage.stranger()
    case = stage.case(alice, minutes=5, fields=IN_FRENCH)

    await stage.send(
        mallory, backwards(stage.prove(alice, alice.activity("Update", case, to=[PUBLIC], cc=[], number=6)))
    )

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.state == "corrected"
    for name in ("title", "summary"):
        assert next(iter(entry.fields[name])) == "fr"


@pytest.mark.parametrize("how", ["bare", "wrapped"])
@pytest.mark.parametrize(
    "publisher", ["a member", "a member no more", "a member whose server does not show it"]
)
async def test_a_correction_has_the_same_bytes_whoever_passes_it_on(
    town: Town, publisher: str, how: str
) -> None:
    stage = Stage(town)
    alice, url = await with_a_case(stage)
    hub = town.hub.node
    mallory, carol = stage.stranger(), stage.stranger(name="carol", key="peer")
    await stage.send(carol, carol.activity("Follow", hub.settings.main_actor))
    case = stage.case(alice, minutes=5, fields=IN_FRENCH)
    shows = publisher != "a member whose server does not show it"
    if shows:
        alice.documents["/cases/c1"] = case
    if publisher == "a member no more":
        async with hub.database.begin() as session:
            row = await between(session, hub.settings.main_actor, alice.id)
            assert row is not None
            row.state = "undone"
    if how == "wrapped":
        await stage.admit(mallory)
    carol.received.clear()
    said = stage.prove(alice, alice.activity("Update", case, to=[PUBLIC], cc=[], number=6))
    turned = backwards(said)

    await stage.send(mallory, turned if how == "bare" else mallory.activity("Announce", turned, number=7))

    kept = case if shows else parse(canonical(case))
    entry = await stage.entry(url)
    assert entry is not None
    assert entry.sha256 == hashlib.sha256(write(kept)).hexdigest()
    (told,) = (one["object"] for one in carol.received if isinstance(one["object"], dict))
    assert write(told) == write({**parse(canonical(said)), "object": kept})


@pytest.mark.parametrize("how", ["its publisher sends it", "its publisher's server shows it"])
async def test_a_correction_that_its_own_server_did_not_show_gets_the_bytes_of_that_server_when_they_come(
    town: Town, how: str
) -> None:
    """By these others know which version it is: what somebody says of it, and what its publisher's history says."""
    stage = Stage(town)
    alice, url = await with_a_case(stage)
    mallory, carol = stage.stranger(), stage.stranger(name="carol", key="peer")
    await stage.send(carol, carol.activity("Follow", town.hub.node.settings.main_actor))
    case = stage.case(alice, minutes=5, fields=IN_FRENCH)
    said = stage.prove(alice, alice.activity("Update", case, to=[PUBLIC], cc=[], number=6))
    await stage.send(mallory, backwards(said))
    before = await stage.entry(url)
    carol.received.clear()

    alice.documents["/cases/c1"] = case
    if how == "its publisher sends it":
        await stage.send(alice, said)
    else:
        await fetch_case(town.hub.node, url)
        await town.settle()
    after = await stage.entry(url)
    # No other order takes its place, nor one that is no longer theirs to choose.
    await stage.send(alice, stage.prove(alice, backwards(said) | {"id": f"{said['id']}0"}))

    assert before is not None
    assert after is not None
    assert before.sha256 == hashlib.sha256(write(parse(canonical(case)))).hexdigest()
    assert after.sha256 == hashlib.sha256(write(case)).hexdigest()
    assert (after.document, after.state) == (write(case), "corrected")
    assert (before.fields, before.last_changed_at) == (after.fields, after.last_changed_at)
    assert carol.received == []
    last = await stage.entry(url)
    assert last is not None
    assert last.document == write(case)


def backwards(value: Any) -> Any:
    """The same document, the members of each object the other way round."""
    if isinstance(value, dict):
        return {name: backwards(inner) for name, inner in reversed(value.items())}
    return [backwards(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("member", ["target", "object"])
async def test_an_address_that_is_none_holds_up_nobody(
    town: Town, caplog: pytest.LogCaptureFixture, member: str
) -> None:
    stage = Stage(town)
    mallory, carrier = stage.stranger(), stage.stranger(key="peer")
    hub = town.hub.node.settings.main_actor
    broken = mallory.activity("Create", {"id": f"https://{mallory.host}/n/1", "type": "Note"}, number=3)
    broken |= {member: "https://["}

    await stage.send(carrier, broken)
    await stage.send(carrier, carrier.activity("Follow", hub))

    async with town.hub.node.database.read() as session:
        assert await between(session, carrier.id, hub) is not None
