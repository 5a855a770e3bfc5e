"""What a group passes on: a hub embeds what its members signed, and what is embedded counts on its actor's word alone."""

import hashlib
import logging
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from federation.keys import base58_encode
from federation.proofs import Proven, check
from node.entries.search import entry_at
from node.inbox.keeping import forget_old
from node.outbox import Job
from node.peers.directory import find_actor, proving_keys
from node.peers.follows import follow, follows, read_back
from node.peers.hosts import decide
from node.peers.ours import local_actor_at
from node.publishing.reactions import count_reactions
from node.runtime import Node
from tests.attacks.stage import Stage, reasons
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.canonical import canonical
from vocab.properties import written
from vocab.terms import ACTIVITY_JSON, PUBLIC


@pytest.fixture
def stage(town: Town) -> Stage:
    return Stage(town)


@pytest.fixture(autouse=True)
def reasons_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def a_reader(stage: Stage) -> Stranger:
    """Somebody elsewhere who follows the hub."""
    reader = stage.stranger(name="rita", key="peer")
    await stage.send(reader, reader.activity("Follow", stage.town.hub.settings.main_actor))
    reader.received.clear()
    return reader


async def a_group(stage: Stage, at: str = "a") -> Stranger:
    """A group that a node follows."""
    group, node = stage.stranger(name="group", key="peer"), stage.town[at].node
    us = local_actor_at(node.settings, node.settings.main_actor)
    assert us is not None
    them = await find_actor(node, group.id)
    async with node.database.begin() as session:
        row = await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
    await stage.send(group, group.activity("Accept", row.activity), to=at)
    return group


async def read_back_at(node: Node, actor: str) -> None:
    async with node.database.begin() as session:
        await read_back(session, actor, now=node.clock.now())


def wrapped(reader: Stranger) -> list[dict[str, Any]]:
    """What was passed on to a reader, oldest first."""
    found = [one["object"] for one in reader.received if one["type"] == "Announce"]
    return [one for one in found if isinstance(one, dict)]


async def case_at(town: Town, name: str, url: str) -> Any:
    async with town[name].node.database.read() as session:
        return await entry_at(session, url)


async def reactions(town: Town, url: str) -> dict[str, int]:
    async with town["a"].node.database.read() as session:
        return await count_reactions(session, url)


# ---- a hub passes on -----------------------------------------------------------------------------------------------


async def test_who_follows_a_hub_is_told_the_address_and_then_what_the_member_signed(stage: Stage) -> None:
    alice, reader = await stage.victim(), await a_reader(stage)
    case = stage.case(alice)
    signed = stage.prove(alice, alice.activity("Create", case, to=[PUBLIC]))

    await stage.send(alice, signed)

    first, second = [one for one in reader.received if one["type"] == "Announce"]
    assert first["object"] == case["id"]
    assert second["object"] == signed
    for told in (first, second):
        # Mastodon orders by `published`, and shows what is public to everybody or the followers of who announces it.
        assert (told["published"], told["to"]) == (written(stage.town.clock.now()), [PUBLIC])
        assert told["cc"] == [f"{told['actor']}/followers"]
    keys, _ = await proving_keys(stage.town.hub.node, alice.id)
    assert isinstance(check(second["object"], keys, now=stage.town.clock.now()), Proven)
    async with stage.town.visitor("hub") as http:
        served = await http.get(second["id"], headers={"accept": ACTIVITY_JSON})
        actor = (await http.get("/actors/hub", headers={"accept": ACTIVITY_JSON})).json()
        page = (await http.get("/actors/hub/outbox?page=1")).json()
    assert served.json() == second
    assert actor["type"] == "Group"
    assert [one["id"] for one in page["orderedItems"]] == [first["id"]]


@pytest.mark.parametrize(
    "flaw", ["no proof", "another's proof", "changed since", "for followers only", "bcc"]
)
async def test_what_would_not_hold_elsewhere_or_is_not_for_everybody_is_not_passed_on(
    stage: Stage, flaw: str
) -> None:
    alice, mallory, reader = await stage.victim(), stage.stranger(), await a_reader(stage)
    activity = alice.activity("Create", stage.case(alice), to=[PUBLIC])
    signed = stage.prove(alice, activity)
    sent = {
        "no proof": activity,
        "another's proof": stage.prove(mallory, activity),
        "changed since": signed | {"summary": "Other words"},
        "for followers only": stage.prove(alice, activity, to=[f"{alice.id}/followers"]),
        "bcc": stage.prove(alice, activity, bcc=["https://somebody.example/users/x"]),
    }[flaw]

    await stage.send(alice, sent)

    assert await stage.entry(activity["object"]["id"]) is not None
    assert wrapped(reader) == []
    assert [one["object"] for one in reader.received] == [activity["object"]["id"]]


async def test_a_correction_and_a_withdrawal_are_passed_on_and_the_withdrawn_text_is_served_no_more(
    stage: Stage,
) -> None:
    alice, reader = await stage.victim(), await a_reader(stage)
    case = stage.case(alice)
    created = stage.prove(alice, alice.activity("Create", case, to=[PUBLIC]))
    updated = stage.prove(alice, alice.activity("Update", stage.case(alice, minutes=1), to=[PUBLIC]))
    tombstone = {"id": case["id"], "type": "Tombstone"}
    deleted = stage.prove(alice, alice.activity("Delete", tombstone, to=[PUBLIC]))

    for activity in (created, updated, deleted):
        await stage.send(alice, activity)

    assert wrapped(reader) == [created, updated, deleted]
    announced = [one for one in reader.received if one["type"] == "Announce"]
    (undo,) = [one for one in reader.received if one["type"] == "Undo"]
    assert undo["object"]["id"] == announced[0]["id"]
    async with stage.town.visitor("hub") as http:
        statuses = [
            (await http.get(one["id"], headers={"accept": ACTIVITY_JSON})).status_code
            for one in (*announced, undo)
        ]
    assert statuses == [404, 404, 404, 200, 200]


async def test_who_follows_only_the_hub_hears_of_corrections_and_withdrawals(town: Town) -> None:
    await town.befriend("hub", "a")
    await town.befriend("b", "hub")
    node = town["a"].node
    publication = await publish_case(node)
    await town.settle()

    town.clock.forward(minutes=5)
    await correct_case(node, publication, a_case(title={"en": "A corrected title of a fictional case"}))
    await town.settle()
    corrected = await case_at(town, "b", publication.url)
    town.clock.forward(minutes=5)
    await withdraw_case(node, publication)
    await town.settle()
    withdrawn = await case_at(town, "b", publication.url)

    assert corrected.state == "corrected"
    assert corrected.case.title["en"] == "A corrected title of a fictional case"
    assert withdrawn.state == "withdrawn"


async def test_a_case_that_is_corrected_to_concern_another_state_moves_from_actor_to_actor(
    stage: Stage,
) -> None:
    alice, state = await stage.victim(), stage.town.hub.origin + "/actors/state-"
    readers = {name: stage.stranger(name=name, key=key) for name, key in (("ie", "peer"), ("fr", "other"))}
    for name, reader in readers.items():
        await stage.send(reader, reader.activity("Follow", state + name))
        reader.received.clear()
    where = {"ie": {"state": "IE"}, "fr": {"state": "FR"}}
    there, moved, back = (
        stage.prove(
            alice,
            alice.activity(
                kind, stage.case(alice, minutes=number, fields=where[to]), number=number, to=[PUBLIC]
            ),
        )
        for number, kind, to in ((0, "Create", "ie"), (1, "Update", "fr"), (2, "Update", "ie"))
    )
    case = there["object"]["id"]

    for activity in (there, moved, back):
        await stage.send(alice, activity)

    said = {name: [(one["type"], one["object"]) for one in readers[name].received] for name in readers}
    first, again = [one["id"] for one in readers["ie"].received if one["object"] == case]
    (other,) = [one["id"] for one in readers["fr"].received if one["object"] == case]
    assert said["fr"][:2] == [("Announce", case), ("Announce", moved)]
    assert said["fr"][2] == ("Announce", back)
    assert said["ie"][:3] == [("Announce", case), ("Announce", there), ("Announce", moved)]
    assert said["ie"][4:] == [("Announce", case), ("Announce", back)]
    taken_back = {name: [what["id"] for kind, what in said[name] if kind == "Undo"] for name in said}
    assert taken_back == {"ie": [first], "fr": [other]}
    async with stage.town.visitor("hub") as http:
        statuses = [
            (await http.get(one, headers={"accept": ACTIVITY_JSON})).status_code
            for one in (first, other, again)
        ]
    assert statuses == [404, 404, 200]


async def test_a_withdrawal_that_was_found_before_it_came_is_passed_on_once_it_comes(stage: Stage) -> None:
    alice, reader = await stage.victim(), await a_reader(stage)
    case = stage.case(alice)
    created = stage.prove(alice, alice.activity("Create", case, to=[PUBLIC]))
    await stage.send(alice, created)
    alice.documents["/cases/c1"] = httpx.Response(410)
    await read_back_at(stage.town.hub.node, alice.id)
    await stage.town.settle()
    found = await stage.entry(case["id"])
    before = wrapped(reader)

    tombstone = {"id": case["id"], "type": "Tombstone"}
    deleted, again = (
        stage.prove(alice, alice.activity("Delete", tombstone, number=number, to=[PUBLIC]))
        for number in (1, 2)
    )
    for activity in (deleted, again):
        await stage.send(alice, activity)

    assert found is not None
    assert found.state == "withdrawn"
    assert before == [created]
    assert wrapped(reader) == [created, deleted]
    assert [one["type"] for one in reader.received].count("Undo") == 1


async def test_of_a_case_found_withdrawn_nobody_but_its_publisher_has_anything_passed_on(
    stage: Stage,
) -> None:
    alice, reader = await stage.victim(), await a_reader(stage)
    case = stage.case(alice)
    await stage.send(alice, stage.prove(alice, alice.activity("Create", case, to=[PUBLIC])))
    alice.documents["/cases/c1"] = httpx.Response(410)
    await read_back_at(stage.town.hub.node, alice.id)
    await stage.town.settle()
    before = len(reader.received)

    neighbour = Stranger(stage.town, alice.host, "bob", key="other")
    stage.neighbours(alice, neighbour)
    said = neighbour.activity("Delete", {"id": case["id"], "type": "Tombstone"}, to=[PUBLIC])
    await stage.send(neighbour, stage.prove(neighbour, said))

    assert len(reader.received) == before


async def test_a_withdrawal_that_never_came_is_passed_on_as_the_outbox_names_it(town: Town) -> None:
    reader = Stranger(town, "reader.example", key="peer")
    await town.befriend("hub", "a")
    await reader.post("hub", reader.activity("Follow", town.hub.settings.main_actor))
    publication = await publish_case(town["a"].node)
    await town.settle()
    town.clock.forward(minutes=1)
    await withdraw_case(town["a"].node, publication)
    async with town["a"].node.database.begin() as session:
        await session.execute(delete(Job).where(Job.kind == "deliver"))

    await read_back_at(town.hub.node, town["a"].settings.main_actor)
    await town.settle()

    *_, created, deleted = wrapped(reader)
    assert (created["type"], deleted["type"]) == ("Create", "Delete")
    assert deleted["object"]["id"] == publication.url
    keys, _ = await proving_keys(town.hub.node, town["a"].settings.main_actor)
    assert isinstance(check(deleted, keys, now=town.clock.now()), Proven)


# ---- what a group passes on to us ----------------------------------------------------------------------------------


async def test_what_its_actor_proved_counts_whoever_passes_it_on(stage: Stage) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, nobody = stage.stranger(name="alice", key="other"), stage.stranger(name="group")
    like = stage.prove(alice, alice.activity("Like", url))

    await stage.send(nobody, nobody.activity("Announce", like), to="a")
    await stage.send(nobody, nobody.activity("Announce", like, number=2), to="a")
    await stage.send(alice, like, to="a")

    assert await reactions(stage.town, url) == {"like": 1}


@pytest.mark.parametrize(("days", "count"), [(363, 1), (364, 0), (800, 0)])
async def test_what_is_so_old_that_nobody_knows_whether_it_was_here_is_not_taken_from_others(
    stage: Stage, days: int, count: int
) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, nobody = stage.stranger(name="alice", key="other"), stage.stranger(name="group")
    like = stage.prove(alice, alice.activity("Like", url))

    stage.town.clock.forward(days=days)
    await stage.send(nobody, nobody.activity("Announce", like), to="a")

    assert await reactions(stage.town, url) == ({"like": 1} if count else {})


async def test_what_its_actor_took_back_does_not_come_again_when_it_is_forgotten(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    node = stage.town["a"].node
    url = (await publish_case(node)).url
    alice, nobody = stage.stranger(name="alice", key="other"), stage.stranger(name="group")
    like = stage.prove(alice, alice.activity("Like", url))
    await stage.send(alice, like, to="a")
    await stage.send(alice, alice.activity("Undo", like, number=2), to="a")
    stage.town.clock.forward(days=366)
    await forget_old(node)

    await stage.send(nobody, nobody.activity("Announce", like), to="a")

    assert await reactions(stage.town, url) == {}
    assert reasons(caplog)[-1] == "proof: too old to be passed on, or without a date"


def without_a_date(author: Stranger, activity: dict[str, Any]) -> dict[str, Any]:
    """With a proof that does not say when it was made."""
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": author.prover().key_id,
        "proofPurpose": "assertionMethod",
    }
    data = b"".join(hashlib.sha256(canonical(part)).digest() for part in (options, activity))
    return activity | {"proof": options | {"proofValue": "z" + base58_encode(author.prover().sign(data))}}


@pytest.mark.parametrize(
    ("published", "count"), [("2026-11-21T11:00:00Z", 1), ("2025-11-21T11:00:00Z", 0), (None, 0)]
)
async def test_a_proof_without_a_date_holds_as_long_as_what_was_published_with_it(
    stage: Stage, published: str | None, count: int
) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, nobody = stage.stranger(name="alice", key="other"), stage.stranger(name="group")
    dated = {} if published is None else {"published": published}
    like = without_a_date(alice, alice.activity("Like", url) | dated)

    await stage.send(nobody, nobody.activity("Announce", like), to="a")

    assert await reactions(stage.town, url) == ({"like": 1} if count else {})


async def test_without_a_proof_what_its_actors_server_tells_counts(stage: Stage) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, group = stage.stranger(name="alice", key="other"), await a_group(stage)
    like = alice.activity("Like", url)
    alice.documents["/activities/like-1"] = like

    await stage.send(group, group.activity("Announce", {**like, "content": "The group's words"}), to="a")

    assert await reactions(stage.town, url) == {"like": 1}


@pytest.mark.parametrize("is_followed", [True, False])
async def test_a_case_that_a_group_passes_on_is_kept_when_the_group_is_followed(
    stage: Stage, is_followed: bool
) -> None:
    alice = stage.stranger(name="alice", key="other")
    group = await a_group(stage) if is_followed else stage.stranger(name="group", key="peer")
    case = stage.case(alice)
    alice.documents["/cases/c1"] = case

    create = stage.prove(alice, alice.activity("Create", case, to=[PUBLIC]))
    await stage.send(group, group.activity("Announce", create), to="a")

    assert (await case_at(stage.town, "a", case["id"]) is not None) is is_followed
    assert ("/cases/c1" in alice.asked) is is_followed


async def test_a_group_that_is_not_followed_makes_nobody_ask(stage: Stage) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, nobody = stage.stranger(name="alice", key="other"), stage.stranger(name="group")
    like = alice.activity("Like", url)
    alice.documents["/activities/like-1"] = like

    await stage.send(nobody, nobody.activity("Announce", like), to="a")

    assert await reactions(stage.town, url) == {}
    assert "/activities/like-1" not in alice.asked


@pytest.mark.parametrize(
    "told",
    [None, {"type": "Dislike"}, {"actor": "https://evil.example/users/x"}, {"object": "https://x.example/1"}],
)
async def test_what_is_told_otherwise_at_home_is_not_taken(
    stage: Stage, caplog: pytest.LogCaptureFixture, told: dict[str, str] | None
) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, group = stage.stranger(name="alice", key="other"), await a_group(stage)
    like = alice.activity("Like", url)
    if told is not None:
        alice.documents["/activities/like-1"] = like | told
    caplog.clear()

    await stage.send(group, group.activity("Announce", like), to="a")

    assert await reactions(stage.town, url) == {}


@pytest.mark.parametrize("named", ["embedded", "by its id", "under another id"])
async def test_a_like_that_is_passed_on_is_taken_back_likewise(stage: Stage, named: str) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, bob = stage.stranger(name="alice", key="other"), stage.stranger("bob.example", name="bob")
    group = await a_group(stage)
    likes = [stage.prove(one, one.activity("Like", url)) for one in (alice, bob)]
    for number, like in enumerate(likes, 1):
        await stage.send(group, group.activity("Announce", like, number=number), to="a")
    before = await reactions(stage.town, url)
    inner = {
        "embedded": likes[0],
        "by its id": likes[0]["id"],
        "under another id": likes[0] | {"id": f"{alice.id}/x"},
    }
    undo = stage.prove(alice, alice.activity("Undo", inner[named]))
    stolen = stage.prove(alice, alice.activity("Undo", likes[1], number=2))

    for number, one in enumerate((undo, undo, stolen), 3):
        await stage.send(group, group.activity("Announce", one, number=number), to="a")

    assert (before, await reactions(stage.town, url)) == ({"like": 2}, {"like": 1})


async def test_nobody_leaves_because_a_group_says_so(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    node, alice = stage.town["a"].node, stage.stranger(name="alice", key="other")
    follow_of = alice.activity("Follow", node.settings.main_actor)
    await stage.send(alice, follow_of, to="a")
    group = await a_group(stage)
    caplog.clear()

    for number, inner in enumerate((follow_of, follow_of["id"]), 1):
        undo = stage.prove(alice, alice.activity("Undo", inner, number=number))
        await stage.send(group, group.activity("Announce", undo, number=number), to="a")

    async with node.database.read() as session:
        assert await follows(session, alice.id, node.settings.main_actor)
    assert "no Undo of a Follow is passed on" in reasons(caplog)


@pytest.mark.parametrize("kind", ["Announce", "Follow", "Accept", "Move", "Flag", "Block"])
async def test_other_activities_are_not_passed_on(
    stage: Stage, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    alice, group = stage.stranger(name="alice", key="other"), await a_group(stage)
    inner = stage.prove(alice, alice.activity(kind, stage.town["a"].settings.main_actor))
    caplog.clear()

    await stage.send(group, group.activity("Announce", inner), to="a")

    assert f"no {kind} is passed on" in reasons(caplog)


async def test_an_id_of_another_host_is_refused(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, group = stage.stranger(name="alice", key="other"), await a_group(stage)
    inner = stage.prove(alice, alice.activity("Like", url) | {"id": f"https://{group.host}/activities/like"})
    caplog.clear()

    await stage.send(group, group.activity("Announce", inner), to="a")

    assert reasons(caplog) == ["passed on under an id of another host"]
    assert await reactions(stage.town, url) == {}


@pytest.mark.parametrize("policy", ["block", "limit"])
async def test_what_a_host_that_may_add_nothing_said_does_not_come_in_through_a_group(
    stage: Stage, policy: str
) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, group = stage.stranger(name="alice", key="other"), await a_group(stage)
    node = stage.town["a"].node
    async with node.database.begin() as session:
        await decide(session, alice.host, policy, reason="a test", now=node.clock.now())

    await stage.send(
        group, group.activity("Announce", stage.prove(alice, alice.activity("Like", url))), to="a"
    )

    assert await reactions(stage.town, url) == {}
    assert alice.asked == []


@pytest.mark.parametrize("answers", ["still there", "not found", "gone"])
async def test_an_unproven_delete_counts_only_when_its_object_is_gone_for_good(
    stage: Stage, answers: str
) -> None:
    alice, hub_reads = await stage.victim(), stage.stranger(name="group", key="peer")
    group = await stage.admit(hub_reads)
    case = stage.case(alice)
    await stage.send(alice, alice.activity("Create", case))
    if answers == "still there":
        alice.documents["/cases/c1"] = case
    elif answers == "gone":
        alice.documents["/cases/c1"] = httpx.Response(410)
    claimed = {"id": case["id"], "type": "Tombstone", "summary": "The group's words"}

    await stage.send(group, group.activity("Announce", alice.activity("Delete", claimed)))

    entry = await stage.entry(case["id"])
    assert entry is not None
    assert entry.state == ("withdrawn" if answers == "gone" else "live")
    assert b"words" not in entry.document


async def test_a_deleted_reply_does_not_come_back_because_it_is_passed_on_again(stage: Stage) -> None:
    url = (await publish_case(stage.town["a"].node)).url
    alice, group = stage.stranger(name="alice", key="other"), await a_group(stage)
    note = {
        "id": f"https://{alice.host}/notes/1",
        "type": "Note",
        "attributedTo": alice.id,
        "inReplyTo": url,
        "content": "x",
    }
    reply = stage.prove(alice, alice.activity("Create", note))

    await stage.send(group, group.activity("Announce", reply), to="a")
    before = await reactions(stage.town, url)
    await stage.send(alice, alice.activity("Delete", note["id"]), to="a")
    await stage.send(group, group.activity("Announce", reply, number=2), to="a")

    assert before == {"reply": 1}
    assert await reactions(stage.town, url) == {}


async def test_our_own_words_come_back_without_effect(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    group = await a_group(stage)
    publication = await publish_case(stage.town["a"].node)
    await stage.town.settle()
    ours = stage.town["a"].settings.main_actor
    inner = {
        "id": f"{stage.town['a'].origin}/activities/x",
        "type": "Delete",
        "actor": ours,
        "object": publication.url,
    }
    caplog.clear()

    await stage.send(group, group.activity("Announce", inner), to="a")

    assert (await case_at(stage.town, "a", publication.url)).state == "live"
    assert reasons(caplog) == []
