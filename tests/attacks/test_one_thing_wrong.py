"""Attacks in which all but one thing is as it should be: one check alone stops each of them, and the log names it.

Where several checks would stop a message, a test of it says nothing about any of them.

Beside what is here, by the number of the attack:

7   tests/node/inbox/test_done_again.py::test_a_follow_that_another_server_passes_on_later_does_not_bring_back_who_left
63  tests/node/effects/test_groups.py::test_what_is_told_otherwise_at_home_is_not_taken
64  tests/node/effects/test_forwarded.py::test_what_its_authors_server_does_not_say_is_not_noted
65  tests/node/effects/test_stamping.py::test_there_is_no_stamp_that_nobody_was_given
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from federation import ldsignatures
from node.effects.stamping import MAX_ASKED
from node.entries.entries import Entry
from node.peers.follows import between, count_followers
from node.peers.hosts import decide
from node.peers.reports import Report
from node.publishing.publish import withdraw
from node.publishing.reactions import Reaction, count_reactions
from tests.attacks.stage import FORGED, Stage, a_body, reasons, served
from tests.federation.requests_to_us import rfc9421_signed
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from vocab.terms import AS, PUBLIC, SECURITY_V1

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLLOWED = "https://node.example/actors/cases"
HUB = "https://hub.example/actors/hub"


def a_note(author: Stranger, case: str, **changed: Any) -> dict[str, Any]:
    note = {
        "@context": AS,
        "id": f"https://{author.host}/notes/1",
        "type": "Note",
        "attributedTo": author.id,
        "inReplyTo": case,
        "content": f"<p>{FORGED}</p>",
        "to": [PUBLIC],
    }
    return note | changed


# ---- at the door -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ["9 one's own words under an id of another's server"])
async def test_an_id_of_another_server_is_refused(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    """Kept, it would make the real activity of that id a repeat."""
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    activity = mallory.activity("Follow", FOLLOWED) | {"id": alice.activity("Follow", FOLLOWED)["id"]}

    status = await stage.send(mallory, activity, to="node")

    assert (status, reasons(caplog)) == (401, ["id-on-another-host"])


@pytest.mark.parametrize(
    ("attack", "said", "status"),
    [
        ("13 a key that was retired", {"expires": "2026-11-21T11:59:00Z"}, 401),
        ("13 a key that was lost", {"revoked": "2026-11-21T11:59:00Z"}, 401),
        (
            "13 a key that was lost and ends tomorrow",
            {"expires": "2026-11-22T00:00:00Z", "revoked": "2026-11-20T00:00:00Z"},
            401,
        ),
        ("13 a key that ends tomorrow, for comparison", {"expires": "2026-11-22T00:00:00Z"}, 202),
    ],
)
async def test_a_key_signs_nothing_after_its_end(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, said: dict[str, str], status: int
) -> None:
    mallory = stage.stranger()
    document = mallory.actor()
    ended = [document["assertionMethod"][0] | said]
    mallory.documents["/users/mallory"] = document | {"assertionMethod": ended}
    body = a_body(mallory.activity("Follow", FOLLOWED))

    answer = await stage.knock(rfc9421_signed(body=body, signer=mallory.prover()))

    assert answer.status_code == status
    assert reasons(caplog) == (["expired"] if status == 401 else [])


@pytest.mark.parametrize(
    ("attack", "encoding", "status"),
    [
        ("36 an actor in an encoding that nobody asked for", "x-packed", 401),
        ("36 an actor in no encoding, for comparison", "identity", 202),
    ],
)
async def test_an_encoded_answer_is_not_read(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str, encoding: str, status: int
) -> None:
    mallory = stage.stranger()
    answer = served(mallory.actor())
    answer.headers["content-encoding"] = encoding
    mallory.documents["/users/mallory"] = answer

    found = await stage.send(mallory, mallory.activity("Follow", FOLLOWED), to="node")

    assert found == status
    assert reasons(caplog) == (["key-unreachable BadAnswer"] if status == 401 else [])


@pytest.mark.parametrize("attack", ["51 a host with a dot at its end"])
async def test_a_host_with_a_dot_at_its_end_is_not_asked(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    dotted = stage.stranger("dotted.example.")

    status = await stage.send(dotted, dotted.activity("Follow", FOLLOWED), to="node")

    assert (status, reasons(caplog)) == (403, ["shut-out"])
    assert dotted.asked == []


# ---- what was decided meanwhile ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ["70 blocked after it was taken at the door"])
async def test_a_decision_holds_for_what_waits(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice = await stage.victim()
    case = stage.case(alice, "waiting")
    node = stage.town.hub.node
    answer = await alice.post("hub", alice.activity("Create", case, number=70))
    async with node.database.begin() as session:
        await decide(session, alice.host, "block", reason="a test", now=node.clock.now())

    await stage.town.settle()

    assert answer.status_code == 202
    assert reasons(caplog) == ["a host that is shut out"]
    assert await stage.entry(case["id"]) is None


# ---- what is passed on -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ["7 a Follow that was taken back, passed on once more"])
async def test_what_was_worked_off_is_not_done_again_because_it_is_passed_on(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, relay = stage.stranger(name="alice", key="other"), stage.stranger()
    follow = stage.prove(alice, alice.activity("Follow", FOLLOWED))
    await stage.send(alice, follow, to="node")
    await stage.send(alice, alice.activity("Undo", follow), to="node")
    caplog.clear()

    await stage.send(relay, follow, to="node")

    assert reasons(caplog) == ["a repeat of what was worked off before"]
    async with stage.town["node"].node.database.read() as session:
        row = await between(session, alice.id, FOLLOWED)
    assert row is not None
    assert row.state == "undone"


@pytest.mark.parametrize("attack", ["31 a proof by a key that had been retired"])
async def test_a_retired_key_proves_nothing_new(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, relay = stage.stranger(name="alice", key="other"), stage.stranger()
    document = alice.actor()
    ended = [document["assertionMethod"][0] | {"expires": "2026-11-21T11:59:00Z"}]
    alice.documents["/users/alice"] = document | {"assertionMethod": ended}

    await stage.send(relay, stage.prove(alice, alice.activity("Follow", FOLLOWED)), to="node")

    assert reasons(caplog) == ["proof: made with a key after it was retired"]
    assert alice.received == []


@pytest.mark.parametrize("attack", ["31 an older signature by a key that had been retired"])
async def test_a_retired_key_signs_no_statements(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, relay = stage.stranger(name="alice", key="other"), stage.stranger()
    document = alice.actor()
    document["publicKey"] = {**document["publicKey"], "expires": "2026-11-21T11:59:00Z"}
    alice.documents["/users/alice"] = document
    signed = ldsignatures.attach(
        alice.activity("Follow", FOLLOWED) | {"@context": [AS, SECURITY_V1]},
        alice.signer(),
        now=stage.town.clock.now(),
    )

    await stage.send(relay, signed, to="node")

    assert reasons(caplog) == ["signature: made with a key after it was retired"]
    assert alice.received == []


@pytest.mark.parametrize("attack", ["89 a good case of somebody whom a node does not follow"])
async def test_a_node_keeps_no_case_of_strangers(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice = stage.stranger(name="alice", key="other")
    case = stage.case(alice, "unasked")

    await stage.send(alice, alice.activity("Create", case), to="node")

    assert reasons(caplog) == ["a case of an organisation that we do not follow"]
    async with stage.town["node"].node.database.read() as session:
        assert await session.get(Entry, case["id"]) is None


@pytest.mark.parametrize("attack", ["20 a proof by a key that cannot be the actor's"])
async def test_nobody_is_asked_who_said_what_cannot_be_proven(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    forged = stage.prove(mallory, alice.activity("Follow", FOLLOWED))

    await stage.send(mallory, forged, to="node")

    assert reasons(caplog) == ["proof: wrong-key"]
    assert alice.asked == []


Passed = Callable[[Stranger, Stranger, str], dict[str, Any]]

# What a stranger passes on in alice's name without a proof: a reply to a case of ours, which is asked for at her server.
AT_HOME: dict[str, tuple[Passed, str, bool]] = {
    "64 a reply that is not there": (
        lambda alice, bob, case: alice.activity(
            "Create", a_note(alice, case, id=f"https://{alice.host}/none")
        ),
        "HTTP 404",
        True,
    ),
    "64 a reply of somebody else there": (
        lambda alice, bob, case: alice.activity(
            "Create", a_note(alice, case, id=f"https://{alice.host}/notes/bob")
        ),
        "its author's server tells it otherwise",
        True,
    ),
    "64 a reply on another server": (
        lambda alice, bob, case: alice.activity(
            "Create", a_note(alice, case, id=f"https://{bob.host}/notes/1")
        ),
        "an object on another host than its author",
        False,
    ),
    "64 a reply to somebody else": (
        lambda alice, bob, case: alice.activity("Create", a_note(alice, f"https://{bob.host}/cases/1")),
        "proof: missing",
        False,
    ),
    "64 a Like, which has no place of its own": (
        lambda alice, bob, case: alice.activity("Like", case),
        "proof: missing",
        False,
    ),
}


@pytest.mark.parametrize("attack", AT_HOME)
async def test_what_is_passed_on_without_a_proof_counts_as_its_authors_server_tells_it(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    passed, reason, is_asked = AT_HOME[attack]
    case = await stage.publication()
    alice, bob, relay = (
        stage.stranger(name="alice", key="other"),
        stage.stranger(name="bob"),
        stage.stranger(),
    )
    alice.documents["/notes/1"] = a_note(alice, case)
    alice.documents["/notes/bob"] = a_note(
        alice, case, id=f"https://{alice.host}/notes/bob", attributedTo=bob.id
    )

    await stage.send(relay, passed(alice, bob, case), to="node")

    assert reasons(caplog) == [reason]
    assert bool(alice.asked) is is_asked
    assert bob.asked == []
    async with stage.town["node"].node.database.read() as session:
        assert await session.scalar(select(Reaction.id).where(Reaction.actor == alice.id)) is None


WRAPPED: dict[str, tuple[Callable[[Stranger, Stranger, dict[str, Any]], dict[str, Any]], str]] = {
    "63 under an id of the group's own": (
        lambda alice, group, said: said | {"id": f"https://{group.host}/activities/63"},
        "passed on under an id of another host",
    ),
    "63 that alice's server tells as another's": (
        lambda alice, group, said: said | {"id": f"https://{alice.host}/activities/of-bob"},
        "its actor's server tells it otherwise",
    ),
    "63 that alice's server tells as another kind": (
        lambda alice, group, said: said | {"id": f"https://{alice.host}/activities/like"},
        "its actor's server tells it otherwise",
    ),
    "63 of a kind that nobody passes on": (
        lambda alice, group, said: said | {"type": "Follow"},
        "no Follow is passed on",
    ),
    "63 in an Announce of its own": (
        lambda alice, group, said: (
            said | {"type": "Announce", "object": {"type": "Announce", "object": said}}
        ),
        "no Announce is passed on",
    ),
}


@pytest.mark.parametrize("attack", WRAPPED)
async def test_what_a_group_wraps_without_a_proof_is_as_its_actors_server_tells_it(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    wrap, reason = WRAPPED[attack]
    alice, group = await stage.victim(), await stage.admit(stage.stranger(name="group"))
    case = stage.case(alice, "wrapped")
    said = alice.activity("Create", case, number=63)
    alice.documents["/activities/of-bob"] = said | {
        "id": f"https://{alice.host}/activities/of-bob",
        "actor": f"https://{alice.host}/users/bob",
    }
    alice.documents["/activities/like"] = said | {
        "id": f"https://{alice.host}/activities/like",
        "type": "Like",
    }
    caplog.clear()

    await stage.send(group, group.activity("Announce", wrap(alice, group, said)))

    assert reasons(caplog) == [reason]
    assert await stage.entry(case["id"]) is None


@pytest.mark.parametrize("attack", ["63 by a group that nobody here follows"])
async def test_a_group_of_strangers_makes_nobody_ask(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice, group = await stage.victim(), stage.stranger(name="group")
    said = alice.activity("Create", stage.case(alice, "asked"), number=64)
    alice.documents["/activities/create-64"] = said
    alice.asked.clear()
    caplog.clear()

    await stage.send(group, group.activity("Announce", said))

    assert reasons(caplog) == ["proof: missing"]
    assert alice.asked == []


@pytest.mark.parametrize("attack", ["89 a good case of nobody's, announced by a member"])
async def test_a_member_puts_nobody_elses_case_into_a_hub(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    member, stranger = await stage.admit(stage.stranger()), stage.stranger(name="cases", key="other")
    case = stage.case(stranger, "uninvited")
    stranger.documents["/cases/uninvited"] = case
    caplog.clear()

    await stage.send(member, member.activity("Announce", case["id"]))

    assert reasons(caplog) == ["not a member", "a case of an organisation that we do not follow"]
    assert await stage.entry(case["id"]) is None


# ---- what is said of our cases -----------------------------------------------------------------------------------------

REPLIES: dict[str, tuple[Callable[[Stranger, Stranger], dict[str, Any]], str]] = {
    "48 in another's name": (
        lambda alice, mallory: {"attributedTo": alice.id},
        "a reply attributed to somebody else",
    ),
    "48 at another's server": (
        lambda alice, mallory: {"id": f"https://{alice.host}/notes/1"},
        "a reply attributed to somebody else",
    ),
    "48 in nobody's name": (
        lambda alice, mallory: {"attributedTo": None},
        "a reply attributed to somebody else",
    ),
    "48 without an id": (lambda alice, mallory: {"id": None}, "a reply attributed to somebody else"),
}


@pytest.mark.parametrize("attack", REPLIES)
async def test_a_reply_is_its_authors_own(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    change, reason = REPLIES[attack]
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    note = a_note(mallory, await stage.publication(), **change(alice, mallory))

    await stage.send(mallory, mallory.activity("Create", note), to="node")

    assert reasons(caplog) == [reason]
    async with stage.town["node"].node.database.read() as session:
        assert (
            await session.scalar(select(Reaction.id).where(Reaction.actor.in_([alice.id, mallory.id])))
            is None
        )


@pytest.mark.parametrize("attack", ["68 of what is not public", "68 of something of another's"])
async def test_a_report_of_nothing_of_ours_is_not_kept(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    mallory = stage.stranger()
    named = "https://node.example/cases/none" if "public" in attack else "https://elsewhere.example/cases/1"

    await stage.send(mallory, mallory.activity("Flag", [named], content=FORGED), to="node")

    assert reasons(caplog) == ["Flag of nothing that is public here"]
    async with stage.town["node"].node.database.read() as session:
        assert await session.scalar(select(Report.id).where(Report.reporter == mallory.id)) is None


@pytest.mark.parametrize("attack", ["68 with a script, of a case that is public"])
async def test_a_report_is_kept_as_plain_words(stage: Stage, attack: str) -> None:
    mallory, case = stage.stranger(), await stage.publication()
    content = (
        "<p>Look<script>alert(68)</script> at <img src=x onerror=alert(68)>this, alice@victim.example</p>"
    )

    await stage.send(
        mallory,
        mallory.activity("Flag", [case, "https://node.example/cases/none"], content=content),
        to="node",
    )

    async with stage.town["node"].node.database.read() as session:
        kept = await session.scalar(select(Report).where(Report.reporter == mallory.id))
    assert kept is not None
    # Nothing of what it names beside: whether that is there is nobody's business.
    assert (kept.objects, kept.text) == ([case], "Look at this, […]")


ASKED: dict[str, tuple[Callable[[Stranger, Stranger], Any], str]] = {
    "65 for a post on another's server": (
        lambda alice, mallory: f"https://{alice.host}/notes/1",
        "QuoteRequest for something on another host",
    ),
    "65 for a post on a server that only looks like it": (
        lambda alice, mallory: f"https://{mallory.host}.evil.example/notes/1",
        "QuoteRequest for something on another host",
    ),
    "65 for a post on another's server, under one's own name": (
        lambda alice, mallory: f"https://{mallory.host}@{alice.host}/notes/1",
        "QuoteRequest without what is asked for",
    ),
    "65 for a script": (
        lambda alice, mallory: "javascript:alert(65)",
        "QuoteRequest without what is asked for",
    ),
    "65 for nothing": (lambda alice, mallory: None, "QuoteRequest without what is asked for"),
    "65 for an address without an end": (
        lambda alice, mallory: f"https://{mallory.host}/" + "x" * 2000,
        "QuoteRequest without what is asked for",
    ),
}


@pytest.mark.parametrize("attack", ASKED)
async def test_a_stamp_is_for_what_is_ones_own(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    instrument, reason = ASKED[attack]
    alice, mallory = stage.stranger(name="alice", key="other"), stage.stranger()
    case = await stage.publication()

    await stage.send(
        mallory, mallory.activity("QuoteRequest", case, instrument=instrument(alice, mallory)), to="node"
    )

    assert reasons(caplog) == [reason]
    assert mallory.received == []


@pytest.mark.parametrize("attack", ["65 to quote another's case", "65 to quote a case that is withdrawn"])
async def test_a_stamp_is_given_for_what_is_public_here_and_ours(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    mallory = stage.stranger()
    if "another's" in attack:
        alice, to = await stage.victim(), "hub"
        case = stage.case(alice)["id"]
        await stage.send(alice, alice.activity("Create", stage.case(alice), to=[PUBLIC]))
        assert await stage.entry(case) is not None
    else:
        node, to = stage.town["node"].node, "node"
        published = await publish_case(node)
        case = published.url
        stage.town.clock.forward(minutes=1)
        async with node.database.begin() as session:
            await withdraw(
                session, node.settings, node.keyring, case_id=published.case_id, reason="factual-error",
                proposed_by="one", approved_by="two", now=node.clock.now(),
            )  # fmt: skip
        await stage.town.settle()
    caplog.clear()

    post = f"https://{mallory.host}/notes/1"
    await stage.send(mallory, mallory.activity("QuoteRequest", case, instrument=post), to=to)

    assert reasons(caplog) == ["QuoteRequest for something that is not public here"]
    assert mallory.received == []


@pytest.mark.parametrize("attack", ["65 for another's post, by a neighbour", "65 for what answers already"])
async def test_a_stamp_makes_nothing_else_of_what_is_known(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    alice = stage.stranger(name="alice", key="other")
    bob = Stranger(stage.town, alice.host, "bob", key="peer")
    stage.neighbours(alice, bob)
    case = await stage.publication()
    post = f"https://{alice.host}/notes/9"
    kind = "QuoteRequest" if "neighbour" in attack else "ReplyRequest"
    note = post if "neighbour" in attack else a_note(alice, case, id=post)
    await stage.send(alice, alice.activity(kind, case, instrument=note), to="node")
    asker = bob if "neighbour" in attack else alice
    caplog.clear()

    await stage.send(asker, asker.activity("QuoteRequest", case, instrument=post, number=2), to="node")

    assert reasons(caplog) == ["QuoteRequest for what is known as something else"]
    async with stage.town["node"].node.database.read() as session:
        kept = await session.get_one(Reaction, post)
    assert kept.actor == alice.id


@pytest.mark.parametrize("attack", ["65 for one post after the other"])
async def test_one_actor_is_given_few_stamps_for_a_case(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    mallory, case = stage.stranger(), await stage.publication()
    async with stage.town["node"].node.database.read() as session:
        before = (await count_reactions(session, case)).get("quote", 0)

    for number in range(MAX_ASKED + 2):
        post = f"https://{mallory.host}/notes/{number}"
        await stage.send(
            mallory, mallory.activity("QuoteRequest", case, instrument=post, number=number), to="node"
        )

    assert reasons(caplog) == ["too many of one actor: QuoteRequest"] * 2
    async with stage.town["node"].node.database.read() as session:
        assert (await count_reactions(session, case))["quote"] == before + MAX_ASKED


@pytest.mark.parametrize("attack", ["55 the Delete of a case on another server"])
async def test_a_delete_of_what_is_elsewhere_is_nobodys(
    stage: Stage, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    mallory = await stage.admit(stage.stranger())
    caplog.clear()

    await stage.send(mallory, mallory.activity("Delete", "https://elsewhere.example/cases/1"))

    assert reasons(caplog) == ["Delete of something on another host"]
    assert await stage.entry("https://elsewhere.example/cases/1") is None


@pytest.mark.parametrize("attack", ["9 a Follow of the actor that signs what we fetch"])
async def test_the_instance_actor_is_followed_by_nobody(stage: Stage, attack: str) -> None:
    mallory = stage.stranger()
    instance = "https://node.example/actors/node.example"

    await stage.send(mallory, mallory.activity("Follow", instance), to="node")

    assert [(one["type"], one["actor"]) for one in mallory.received] == [("Reject", instance)]
    async with stage.town["node"].node.database.read() as session:
        follow = await between(session, mallory.id, instance)
        assert await count_followers(session, instance) == 0
    assert follow is not None
    assert follow.state == "rejected"
