"""A hub as a relay in the way of Mastodon: who follows the public collection is forwarded what members said, and nothing else."""

import logging
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import select

from federation.proofs import Proven, check
from node import outbox
from node.entries.entries import Entry
from node.peers.directory import proving_keys
from node.peers.follows import between
from node.peers.hosts import decide
from node.peers.sending import Sent, SentTo, sent_by
from tests.attacks.stage import Stage, reasons
from tests.rig.publications import publish_case, withdraw_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import PUBLIC

pytestmark = pytest.mark.both_databases


@pytest.fixture
def stage(town: Town) -> Stage:
    return Stage(town)


@pytest.fixture(autouse=True)
def reasons_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def a_subscriber(stage: Stage, *, public: str = PUBLIC, to: str = "hub") -> Stranger:
    """A server whose own actor asks for everything public, as Mastodon's does when its administrator adds a relay."""
    server = stage.stranger(name="instance", key="peer")
    await stage.send(server, server.activity("Follow", public), to=to)
    return server


def told(server: Stranger, *kinds: str) -> list[dict[str, Any]]:
    return [one for one in server.received if one["type"] in kinds]


async def test_a_node_relays_nothing(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    server = await a_subscriber(stage, to="a")

    assert server.received == []
    assert "Follow of an actor that is not ours" in reasons(caplog)


@pytest.mark.parametrize("public", [PUBLIC, "as:Public"])
async def test_nobody_subscribes_or_leaves_for_another_with_what_that_one_said_to_another_hub(
    stage: Stage, caplog: pytest.LogCaptureFixture, public: str
) -> None:
    """It names no server: whoever got it could bring it to each."""
    server, mallory = stage.stranger(name="instance", key="peer"), stage.stranger()
    asked = server.activity("Follow", public)

    await stage.send(mallory, stage.prove(server, asked))

    assert await state_at(stage, server) is None
    assert "Follow that names no server, passed on" in reasons(caplog)

    await stage.send(server, server.activity("Follow", public, number=2))
    await stage.send(mallory, stage.prove(server, server.activity("Undo", asked, number=3)))

    assert await state_at(stage, server) == "accepted"
    assert "Undo that names no server, passed on" in reasons(caplog)


async def state_at(stage: Stage, server: Stranger) -> str | None:
    async with stage.town.hub.node.database.read() as session:
        row = await between(session, server.id, PUBLIC)
    return row.state if row is not None else None


async def test_a_host_that_is_shut_out_is_not_relayed_to(stage: Stage) -> None:
    server, node = stage.stranger(name="instance", key="peer"), stage.town.hub.node
    async with node.database.begin() as session:
        await decide(session, server.host, "block", reason="", now=node.clock.now())

    assert await stage.send(server, server.activity("Follow", PUBLIC)) == 403

    await stage.town.befriend("hub", "a")
    await publish_case(stage.town["a"].node)
    await stage.town.settle()
    assert server.received == []


@pytest.mark.parametrize("public", [PUBLIC, "as:Public", "Public"])
async def test_who_asks_for_everything_public_is_forwarded_what_members_signed(
    stage: Stage, public: str
) -> None:
    town, server = stage.town, await a_subscriber(stage, public=public)
    await town.befriend("hub", "a")

    (accept,) = told(server, "Accept")
    assert accept["actor"] == town.hub.settings.main_actor
    assert accept["object"]["object"] == public
    publication = await publish_case(town["a"].node)
    await town.settle()

    (create,) = told(server, "Create")
    assert create["actor"] == town["a"].settings.main_actor
    assert create["object"]["id"] == publication.url
    keys, _ = await proving_keys(town.hub.node, create["actor"])
    assert isinstance(check(create, keys, now=town.clock.now()), Proven)
    # Not an Announce as well, and no word of the hub's own about it.
    assert {one["type"] for one in server.received} == {"Accept", "Create"}
    async with town.hub.node.database.read() as session:
        mine = await sent_by(session, town.hub.settings.main_actor)
    assert [sent.type for sent in mine] == ["Announce"]
    async with town.visitor("hub") as http:
        assert (await http.get(create["id"].replace("a.example", "hub.example"))).status_code == 404


async def test_a_withdrawal_is_forwarded_too_and_the_words_are_erased(stage: Stage) -> None:
    town, server = stage.town, await a_subscriber(stage)
    await town.befriend("hub", "a")
    publication = await publish_case(town["a"].node)
    await town.settle()
    (create,) = told(server, "Create")

    town.clock.forward(minutes=5)
    await withdraw_case(town["a"].node, publication)
    await town.settle()
    town.clock.forward(hours=2)
    await town.settle()

    (delete,) = told(server, "Delete")
    assert delete["object"]["type"] == "Tombstone"
    async with town.hub.node.database.read() as session:
        forwarded = await session.get_one(Sent, create["id"])
    assert (forwarded.is_public, forwarded.body) == (False, b"")


async def test_what_has_too_long_an_id_is_kept_and_not_forwarded(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    server, alice = await a_subscriber(stage), await stage.victim()
    long = f"https://{alice.host}/activities/{'o' * 700}"
    case, behind = stage.case(alice), stage.case(alice, "behind")
    said = alice.activity("Create", case, to=[PUBLIC], id=long)

    await stage.send(alice, stage.prove(alice, said))
    await stage.send(alice, stage.prove(alice, alice.activity("Create", behind, number=2, to=[PUBLIC])))

    async with stage.town.hub.node.database.read() as session:
        assert await session.get(Entry, case["id"]) is not None
    assert [one["object"]["id"] for one in told(server, "Create")] == [behind["id"]]
    assert "jobs.unsettled" not in caplog.messages


async def test_a_correction_that_is_said_again_is_forwarded_once(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Signed anew it is no repeat (DECISIONS 26), and is worked off again."""
    server, alice = await a_subscriber(stage), await stage.victim()
    await stage.send(alice, stage.prove(alice, alice.activity("Create", stage.case(alice), to=[PUBLIC])))
    stage.town.clock.forward(minutes=2)
    corrected = stage.case(alice, minutes=1, updated="2026-11-21T12:02:00Z")
    said = stage.prove(alice, alice.activity("Update", corrected, to=[PUBLIC]))

    await stage.send(alice, said)
    stage.town.clock.forward(seconds=2)
    await stage.send(alice, said)

    assert len(told(server, "Update")) == 1
    assert not {"jobs.unsettled", "job.failed"} & set(caplog.messages)


async def test_what_is_for_one_server_is_on_no_list_of_where_things_went(stage: Stage) -> None:
    server = await a_subscriber(stage)

    assert [one["type"] for one in server.received] == ["Accept"]
    async with stage.town.hub.node.database.read() as session:
        assert list(await session.scalars(select(SentTo))) == []


async def test_the_member_is_not_sent_its_own_words(stage: Stage) -> None:
    alice = await stage.victim()
    await stage.send(alice, alice.activity("Follow", PUBLIC))
    alice.received.clear()
    case = stage.case(alice)

    await stage.send(alice, stage.prove(alice, alice.activity("Create", case, to=[PUBLIC])))

    assert told(alice, "Create") == []


@pytest.mark.parametrize("what", ["unproven", "to some only", "a note", "of a stranger"])
async def test_what_is_not_a_members_proven_public_word_about_a_case_is_not_forwarded(
    stage: Stage, what: str
) -> None:
    server, alice = await a_subscriber(stage), await stage.victim()
    author = stage.stranger() if what == "of a stranger" else alice
    activity = author.activity(
        "Create",
        stage.case(author)
        if what != "a note"
        else {"id": f"https://{author.host}/n", "type": "Note", "content": "x"},
        to=[PUBLIC] if what != "to some only" else [f"{author.id}/followers"],
    )

    await stage.send(author, activity if what == "unproven" else stage.prove(author, activity))

    assert told(server, "Create") == []


async def test_a_repeat_is_forwarded_once(stage: Stage) -> None:
    server, alice, mallory = await a_subscriber(stage), await stage.victim(), stage.stranger()
    signed = stage.prove(alice, alice.activity("Create", stage.case(alice), to=[PUBLIC]))

    for sender in (alice, mallory, alice):
        await stage.send(sender, signed)

    assert len(told(server, "Create")) == 1


@pytest.mark.parametrize("by_id", [True, False])
async def test_who_leaves_is_forwarded_nothing_more(stage: Stage, by_id: bool) -> None:
    server, alice = await a_subscriber(stage), await stage.victim()
    follow = server.activity("Follow", PUBLIC)

    await stage.send(server, server.activity("Undo", follow["id"] if by_id else follow))
    await stage.send(alice, stage.prove(alice, alice.activity("Create", stage.case(alice), to=[PUBLIC])))

    assert told(server, "Create") == []
    async with stage.town.hub.node.database.read() as session:
        row = await between(session, server.id, PUBLIC)
    assert row is not None
    assert row.state == "undone"


async def test_who_blocks_the_hub_is_forwarded_nothing_more(stage: Stage) -> None:
    server, alice = await a_subscriber(stage), await stage.victim()

    await stage.send(server, server.activity("Block", stage.town.hub.settings.main_actor, number=2))
    await stage.send(alice, stage.prove(alice, alice.activity("Create", stage.case(alice), to=[PUBLIC])))

    assert told(server, "Create") == []
    async with stage.town.hub.node.database.read() as session:
        row = await between(session, server.id, PUBLIC)
    assert row is not None
    assert row.state == "undone"


def spelled(activity: dict[str, Any], how: str) -> dict[str, Any]:
    """The same activity, its type spelled as others may spell it."""
    kind = activity.pop("type")
    match how:
        case "a list":
            return activity | {"type": [kind]}
        case "two":
            return activity | {"type": [kind, "https://example.org/ns/of/somebody#Publication"]}
        case _:
            return activity | {"@type": kind}


@pytest.mark.parametrize("how", ["a list", "two", "@type"])
async def test_what_is_spelled_otherwise_is_forwarded_and_withdrawn_like_all_else(
    stage: Stage, how: str
) -> None:
    town, server, alice = stage.town, await a_subscriber(stage), await stage.victim()
    case = stage.case(alice)

    create = spelled(alice.activity("Create", case, to=[PUBLIC]), how)
    await stage.send(alice, stage.prove(alice, create))

    assert await stage.entry(case["id"]) is not None
    assert create["id"] in [one["id"] for one in server.received]

    gone = spelled(
        alice.activity("Delete", {"id": case["id"], "type": "Tombstone"}, number=2, to=[PUBLIC]), how
    )
    await stage.send(alice, stage.prove(alice, gone))
    town.clock.forward(hours=2)
    await town.settle()

    withdrawn = await stage.entry(case["id"])
    assert withdrawn is not None
    assert withdrawn.state == "withdrawn"
    assert gone["id"] in [one["id"] for one in server.received]
    async with town.hub.node.database.read() as session:
        forwarded = await session.get_one(Sent, create["id"])
    assert (forwarded.type, forwarded.is_public, forwarded.body) == ("Create", False, b"")


async def test_all_that_is_said_of_a_case_goes_into_its_lanes_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers that went into them by turns, each in its own order, waited for one another."""
    await a_subscriber(stage)
    reader, alice = stage.stranger(name="reader", key="peer"), await stage.victim()
    await stage.send(reader, reader.activity("Follow", stage.town.hub.settings.main_actor))
    real, gone_into = outbox.enqueue_many, []

    async def enqueue_many(session: Any, orders: Iterable[outbox.Order], **more: Any) -> None:
        orders = list(orders)
        gone_into.append({order.lane for order in orders if order.kind == "deliver"})
        await real(session, orders, **more)

    monkeypatch.setattr(outbox, "enqueue_many", enqueue_many)
    create = alice.activity("Create", stage.case(alice), to=[PUBLIC])
    await stage.send(alice, stage.prove(alice, create))

    assert [len(lanes) for lanes in gone_into] == [2]
