"""What somebody passes on for another: on that one's word, or as that one's own server has it; never on the bringer's."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from federation import allowance, fetch, ldsignatures
from federation.keys import Signer
from federation.proofs import attach
from node.peers import checking
from node.peers.follows import between
from node.publishing.reactions import Reaction, count_reactions
from tests.attacks.stage import Stage
from tests.node.effects.test_groups import a_group
from tests.node.effects.test_process import a_document, admit, at_hub, mallory, victim
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import ACTIVITY_CONTEXT, AS, PUBLIC

__all__ = ["mallory", "victim"]


async def a_reply(town: Town, author: Stranger, **more: Any) -> dict[str, Any]:
    """A reply of theirs to a case of a."""
    publication = await publish_case(town["a"].node)
    return {
        "@context": AS,
        "id": f"https://{author.host}/notes/1",
        "type": "Note",
        "attributedTo": author.id,
        "inReplyTo": publication.url,
        "content": "<p>Hear the other side.</p>",
        "published": "2026-11-21T10:00:00Z",
        "to": [PUBLIC],
        **more,
    }


def signed_by(author: Stranger, activity: dict[str, Any], town: Town, signer: Signer | None = None) -> Any:
    """An activity with the older signature that most servers still make."""
    return ldsignatures.attach(
        activity | {"@context": ACTIVITY_CONTEXT}, signer or author.signer(), now=town.clock.now()
    )


async def a_case_at_the_hub(town: Town, author: Stranger) -> dict[str, Any]:
    """A case of theirs that the hub has, for it follows them."""
    await admit(town, author)
    case = a_document(author, town)
    await author.post("hub", author.activity("Create", case))
    await town.settle()
    return case


async def noted(town: Town, id: str) -> Reaction | None:
    await town.settle()
    async with town["a"].node.database.read() as session:
        return await session.get(Reaction, id)


async def test_a_retired_key_signs_nothing_that_is_passed_on(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    note = await a_reply(town, victim)
    note.pop("@context")
    shown = victim.actor()
    shown["publicKey"]["expires"] = town.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    victim.documents["/users/" + victim.id.rpartition("/")[2]] = shown
    before = signed_by(victim, victim.activity("Create", note), town)
    town.clock.forward(minutes=1)
    after = signed_by(victim, victim.activity("Create", note | {"id": f"{note['id']}9"}, number=9), town)

    await mallory.post("a", before)
    await mallory.post("a", after)

    # Whoever has that key dates what they sign as they like.
    assert await noted(town, note["id"]) is None
    assert await noted(town, f"{note['id']}9") is None

    victim.documents[note["id"].removeprefix(f"https://{victim.host}")] = note | {"@context": AS}
    await mallory.post("a", before | {"id": f"{before['id']}9"})

    assert await noted(town, note["id"]) is not None


async def test_a_reply_passed_on_under_its_authors_signature_is_noted(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    note = await a_reply(town, victim)
    note.pop("@context")

    await mallory.post("a", signed_by(victim, victim.activity("Create", note), town))

    assert await noted(town, note["id"]) is not None
    assert "/notes/1" not in victim.asked


async def test_a_signature_by_a_key_that_its_author_does_not_list_says_nothing_and_their_server_is_asked(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    note = await a_reply(town, victim)
    note.pop("@context")
    unlisted = mallory.rsa.signer(f"{victim.id}#another-key")

    await mallory.post("a", signed_by(victim, victim.activity("Create", note), town, unlisted))

    assert await noted(town, note["id"]) is None
    assert "/notes/1" in victim.asked


async def test_a_graph_whose_turn_is_not_soon_is_checked_later(
    town: Town, victim: Stranger, mallory: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = await a_reply(town, victim)
    note.pop("@context")
    monkeypatch.setattr(checking, "PATIENCE", timedelta(milliseconds=20))

    async with asyncio.timeout(30), town["a"].node.sorting:
        await mallory.post("a", signed_by(victim, victim.activity("Create", note), town))
        before = await noted(town, note["id"])
    town.clock.forward(minutes=1)

    assert before is None
    assert await noted(town, note["id"]) is not None


@pytest.mark.parametrize("about", ["id", "tombstone"])
@pytest.mark.parametrize("by", ["its author", "another under the author's name"])
async def test_a_delete_passed_on_under_its_authors_signature_takes_the_reply_away(
    town: Town, victim: Stranger, mallory: Stranger, by: str, about: str
) -> None:
    note = await a_reply(town, victim)
    victim.documents["/notes/1"] = note
    await victim.post("a", victim.activity("Create", note))
    was_there = await noted(town, note["id"])
    gone = note["id"] if about == "id" else {"id": note["id"], "type": "Tombstone"}
    farewell = victim.activity("Delete", gone, to=[PUBLIC])
    signer = victim.signer() if by == "its author" else mallory.rsa.signer(victim.key_id)

    await mallory.post("a", signed_by(victim, farewell, town, signer))

    is_believed = by == "its author"
    assert was_there is not None
    assert (await noted(town, note["id"]) is None) is is_believed
    # What is not signed by its author is held against what the author's server still shows.
    assert ("/notes/1" in victim.asked) is not is_believed


async def test_a_farewell_passed_on_ends_a_follow_under_the_actors_own_signature_alone(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    us = "https://a.example/actors/cases"
    await victim.post("a", victim.activity("Follow", us))
    await town.settle()
    unsigned, other_key, other_name, own = (
        victim.activity("Delete", victim.id, number=number, to=[PUBLIC]) for number in range(4)
    )
    states = []

    for sent in (
        unsigned,
        signed_by(victim, other_key, town, mallory.rsa.signer(victim.key_id)),
        signed_by(victim, other_name, town, mallory.signer()),
        signed_by(victim, own, town),
    ):
        await mallory.post("a", sent)
        await town.settle()
        async with town["a"].node.database.read() as session:
            row = await between(session, victim.id, us)
        states.append(row.state if row else None)

    assert states == ["accepted", "accepted", "accepted", "undone"]


@pytest.mark.parametrize(("days", "is_asked"), [(363, False), (364, True)])
async def test_an_old_signature_says_no_more_than_none_and_its_authors_server_is_asked(
    town: Town, victim: Stranger, mallory: Stranger, days: int, is_asked: bool
) -> None:
    note = await a_reply(town, victim)
    note.pop("@context")
    signed = signed_by(victim, victim.activity("Create", note), town)

    town.clock.forward(days=days)
    await mallory.post("a", signed)

    assert (await noted(town, note["id"]) is None) is is_asked
    assert ("/notes/1" in victim.asked) is is_asked


@pytest.mark.parametrize("forged", ["another-key", "other-words", "another-name"])
async def test_a_signature_that_is_not_its_authors_counts_for_nothing(
    town: Town, victim: Stranger, mallory: Stranger, forged: str
) -> None:
    like = victim.activity("Like", (await publish_case(town["a"].node)).url)
    match forged:
        case "another-key":
            sent = signed_by(victim, like, town, mallory.rsa.signer(victim.key_id))
        case "another-name":
            sent = signed_by(victim, like, town, mallory.signer())
        case _:
            sent = signed_by(victim, like, town) | {"id": "https://victim.example/activities/like-2"}

    assert (await mallory.post("a", sent)).status_code == 202

    assert await noted(town, sent["id"]) is None


async def test_a_proof_that_does_not_hold_is_not_made_up_for_by_a_signature(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    note = await a_reply(town, victim)
    victim.documents["/notes/1"] = note
    inner = {name: value for name, value in note.items() if name != "@context"}
    proof = {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofValue": "z1"}
    sent = signed_by(victim, victim.activity("Create", inner), town) | {"proof": proof}

    await mallory.post("a", sent)

    assert await noted(town, note["id"]) is None
    assert "/notes/1" not in victim.asked


async def test_without_either_a_reply_is_read_where_it_was_written(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    note = await a_reply(town, victim)
    victim.documents["/notes/1"] = note

    await mallory.post("a", victim.activity("Create", note | {"content": "Forged"}))

    assert await noted(town, note["id"]) is not None
    assert "/notes/1" in victim.asked


async def test_what_its_authors_server_does_not_say_is_not_noted(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    note = await a_reply(town, victim)
    somewhere = note | {"inReplyTo": "https://elsewhere.example/1"}
    victim.documents["/notes/2"] = note | {"id": "https://victim.example/notes/2", "attributedTo": mallory.id}
    victim.documents["/notes/3"] = somewhere | {"id": "https://victim.example/notes/3"}

    for number in (1, 2, 3):
        told = note | {"id": f"https://victim.example/notes/{number}"}
        await mallory.post("a", victim.activity("Create", told, number=number))
        assert await noted(town, told["id"]) is None


async def test_nobody_makes_us_ask_for_what_does_not_concern_us(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    note = await a_reply(town, victim, inReplyTo="https://elsewhere.example/1")
    case = a_document(victim, town)

    for number, (kind, about) in enumerate(
        [("Create", note), ("Create", case), ("Delete", note["id"]), ("Like", note["id"]), ("Update", case)]
    ):
        await mallory.post("a", victim.activity(kind, about, number=number))
    await town.settle()

    assert {"/notes/1", "/cases/c1"}.isdisjoint(victim.asked)


async def test_nobody_makes_us_ask_for_a_reply_to_a_case_of_somebody_else(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    case = await a_case_at_the_hub(town, victim)
    author = Stranger(town, "author.example")
    note = await a_reply(town, author, inReplyTo=case["id"])

    await mallory.post("hub", author.activity("Create", note))
    await town.settle()

    assert await at_hub(town) is not None
    assert "/notes/1" not in author.asked


async def test_nobody_makes_us_ask_for_a_case_in_the_name_of_its_publishers_neighbour(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    case = await a_case_at_the_hub(town, victim)
    neighbour = {"actor": f"https://{victim.host}/users/neighbour"}

    await mallory.post("hub", victim.activity("Update", case, number=2) | neighbour)
    await mallory.post("hub", victim.activity("Delete", case["id"], number=3) | neighbour)
    await town.settle()

    assert (await at_hub(town)).withdrawn_at is None
    assert "/cases/c1" not in victim.asked


async def test_a_withdrawal_passed_on_counts_when_its_server_says_the_same(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    case = await a_case_at_the_hub(town, victim)
    victim.documents["/cases/c1"] = case
    farewell = victim.activity("Delete", case["id"])

    await mallory.post("hub", farewell)
    await town.settle()
    still_there = await at_hub(town)
    victim.documents["/cases/c1"] = httpx.Response(404)
    await mallory.post("hub", farewell | {"id": "https://victim.example/activities/delete-2"})
    await town.settle()
    not_found = await at_hub(town)
    victim.documents["/cases/c1"] = httpx.Response(410)
    await mallory.post("hub", farewell | {"id": "https://victim.example/activities/delete-3"})
    await town.settle()
    gone = await at_hub(town)

    assert still_there.withdrawn_at is None
    assert not_found.withdrawn_at is None
    assert gone.withdrawn_at is not None


async def test_an_id_that_somebody_invents_does_not_shut_out_the_real_activity(
    town: Town, victim: Stranger, mallory: Stranger
) -> None:
    note = await a_reply(town, victim)
    victim.documents["/notes/1"] = note
    farewell = victim.activity("Delete", {"id": note["id"], "type": "Tombstone"})

    await mallory.post("a", victim.activity("Create", note) | {"id": farewell["id"]})
    was_there = await noted(town, note["id"])
    await victim.post("a", farewell)

    assert was_there is not None
    assert await noted(town, note["id"]) is None


# ---- what it costs others ------------------------------------------------------------------------------------------


def a_proof(key_id: object) -> dict[str, Any]:
    return {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": key_id,
        "proofPurpose": "assertionMethod",
        "proofValue": "z3",
        "created": "2026-11-21T12:00:00Z",
    }


UNPROVABLE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a proof that is none": {"proof": "z3"},
    "a proof of no key": {"proof": a_proof(None)},
    "a proof by a key elsewhere": {"proof": a_proof("https://evil.example/users/mallory#ed25519-key")},
    "one proof by a key elsewhere": {
        "proof": [a_proof("https://victim.example/users/u#key"), a_proof("did:key:z6Mk")]
    },
    "a signature that is none": {"signature": "x"},
    "a signature of no key": {"signature": {"type": "RsaSignature2017", "signatureValue": "eA=="}},
    "a signature by a key elsewhere": {
        "signature": {
            "type": "RsaSignature2017",
            "creator": "https://evil.example/k",
            "signatureValue": "eA==",
        }
    },
}


@pytest.mark.parametrize("with_it", UNPROVABLE)
async def test_of_what_cannot_be_proven_nobody_is_asked_who_said_it(
    town: Town, victim: Stranger, mallory: Stranger, with_it: str
) -> None:
    url = (await publish_case(town["a"].node)).url

    for number, kind in enumerate(("Like", "Flag", "Follow", "Announce", "Undo", "Add")):
        said = victim.activity(kind, url, actor=f"https://victim.example/users/u{number}")
        await mallory.post("a", said | UNPROVABLE[with_it])
        await mallory.post("a", mallory.activity("Announce", said | UNPROVABLE[with_it], number=number))
    await town.settle()

    assert victim.asked == []


def some_neighbours(town: Town, many: int) -> list[Stranger]:
    """Several actors on one big server."""
    people = [Stranger(town, "big.example", f"n{number}", key="other") for number in range(many)]
    Stage(town).neighbours(*people)
    return people


async def liked(town: Town, url: str) -> int:
    await town.settle()
    async with town["a"].node.database.read() as session:
        return (await count_reactions(session, url)).get("like", 0)


@pytest.mark.both_databases
async def test_a_stranger_makes_us_ask_little_of_one_server_and_what_holds_is_counted_later(
    town: Town, mallory: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 3)
    url, people = (await publish_case(town["a"].node)).url, some_neighbours(town, 2)
    invented = people[0].activity("Like", url)

    for number in range(6):
        nobody = f"https://big.example/users/u{number}"
        named = {
            "id": f"https://big.example/likes/{number}",
            "actor": nobody,
            "proof": a_proof(f"{nobody}#key"),
        }
        await mallory.post("a", invented | named)
    await town.settle()
    asked = sum(len(one.asked) for one in people)
    for number, one in enumerate(people):
        like = attach(one.activity("Like", url, number=number), one.prover(), now=town.clock.now())
        await mallory.post("a", like)
    at_once = await liked(town, url)
    for _ in range(20):
        town.clock.forward(minutes=1)
        await town.settle()

    assert asked <= 3 + 1  # and one of the trickle
    assert at_once == 0
    assert await liked(town, url) == 2


async def test_who_is_followed_may_name_more(
    town: Town, mallory: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 1)
    url, people = (await publish_case(town["a"].node)).url, some_neighbours(town, 4)
    group = await a_group(Stage(town))

    for number, one in enumerate(people):
        like = attach(one.activity("Like", url, number=number), one.prover(), now=town.clock.now())
        await group.post("a", group.activity("Announce", like, number=number))

    assert await liked(town, url) == 4


async def test_replies_that_a_stranger_names_are_read_few_at_once_and_the_rest_later(
    town: Town, victim: Stranger, mallory: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 2)
    note = await a_reply(town, victim)
    for number in range(4):
        named = note | {"id": f"https://victim.example/notes/{number}"}
        victim.documents[f"/notes/{number}"] = named
        await mallory.post("a", victim.activity("Create", named, number=number))
    await town.settle()
    asked = [path for path in victim.asked if path.startswith("/notes")]
    for _ in range(20):
        town.clock.forward(minutes=1)
        await town.settle()

    assert len(asked) == 2 + 1
    assert all([await noted(town, f"https://victim.example/notes/{number}") for number in range(4)])


async def test_after_a_while_a_stranger_may_name_more(
    town: Town, victim: Stranger, mallory: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "OF_ONE_ORIGIN", 1)
    note = await a_reply(town, victim)
    counts = []
    for number, later in enumerate((timedelta(0), timedelta(0), timedelta(0), fetch.FAILURE_LASTS)):
        town.clock.forward(seconds=later.seconds)
        named = note | {"id": f"https://victim.example/notes/{number}"}
        await mallory.post("a", victim.activity("Create", named, number=number))
        await town.settle()
        counts.append(f"/notes/{number}" in victim.asked)

    assert counts == [True, True, False, True]


@pytest.mark.parametrize("suite", ["proof", "signature"])
async def test_who_names_the_actor_and_not_a_key_makes_us_ask_for_them_once(
    town: Town, victim: Stranger, mallory: Stranger, suite: str
) -> None:
    url = (await publish_case(town["a"].node)).url
    named = {
        "proof": a_proof(victim.id),
        "signature": {"type": "RsaSignature2017", "creator": victim.id, "signatureValue": "eA=="},
    }

    for number in range(6):
        said = victim.activity("Like", url, number=number)
        await mallory.post("a", said | {suite: named[suite]})
    await town.settle()

    # Once to know who they are.
    assert victim.asked == [urlsplit(victim.id).path]
    assert await liked(town, url) == 0
