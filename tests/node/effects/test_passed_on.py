"""What a hub passes on of what its members say: theirs, whole and proven, as far as it is what the hub looked at."""

from typing import Any

import httpx
import pytest

from federation.proofs import Proven, check
from node.peers.directory import proving_keys
from node.peers.follows import read_back
from node.peers.sending import Sent
from tests.attacks.stage import Stage
from tests.attacks.test_turned_graphs import CONTEXT, proven_as
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import PUBLIC

pytestmark = pytest.mark.both_databases

STONE = {"type": "Tombstone", "deleted": "2026-11-21T12:00:00Z"}


@pytest.fixture
def stage(town: Town) -> Stage:
    return Stage(town)


@pytest.fixture
async def alice(stage: Stage) -> Stranger:
    """A member of the hub."""
    return await stage.victim()


@pytest.fixture
async def rita(stage: Stage) -> Stranger:
    """She follows the hub."""
    reader = stage.stranger(name="rita", key="peer")
    await stage.send(reader, reader.activity("Follow", stage.town.hub.settings.main_actor))
    return reader


@pytest.fixture
async def relay(stage: Stage) -> Stranger:
    """A server that asked the hub for everything public."""
    server = stage.stranger(name="instance", key="third")
    await stage.send(server, server.activity("Follow", PUBLIC))
    return server


def wrapped(reader: Stranger, kind: str) -> list[dict[str, Any]]:
    """What was passed on to her of that kind."""
    said = [one["object"] for one in reader.received if one["type"] == "Announce"]
    return [one for one in said if isinstance(one, dict) and one["type"] == kind]


def forwarded(server: Stranger, kind: str) -> list[dict[str, Any]]:
    return [one for one in server.received if one["type"] == kind]


async def holds(stage: Stage, said: dict[str, Any]) -> bool:
    """Whether the proof of what somebody got holds, and that of what is in it."""
    keys, _ = await proving_keys(stage.town.hub.node, said["actor"])
    inner = said["object"]
    proven = [said, *([inner] if isinstance(inner, dict) and "proof" in inner else [])]
    return all(isinstance(check(one, keys, now=stage.town.clock.now()), Proven) for one in proven)


# ---- what somebody else was quicker to bring -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["without a proof", "as a graph"])
@pytest.mark.parametrize("kind", ["Create", "Update"])
async def test_who_is_quicker_than_a_member_keeps_nobody_from_what_the_member_says(
    stage: Stage, alice: Stranger, rita: Stranger, relay: Stranger, kind: str, how: str
) -> None:
    """The hub finds the case at its own address, and nothing there to pass on."""
    mallory = stage.stranger()
    if kind == "Update":
        first = stage.prove(alice, alice.activity("Create", stage.case(alice), to=[PUBLIC]))
        await stage.send(alice, first)
    case = alice.documents["/cases/c1"] = stage.case(alice, minutes=int(kind == "Update"))
    said = alice.activity(kind, case, to=[PUBLIC], number=2)
    proven = stage.prove(alice, said)
    if how == "as a graph":
        said = proven = said_as_a_graph(stage, alice, kind, case, number=2)

    await stage.send(mallory, said)
    before = wrapped(rita, kind) + forwarded(relay, kind)
    await stage.send(alice, proven)
    await stage.send(alice, proven | {"id": proven["id"]})
    await stage.send(alice, stage.prove(alice, said | {"id": f"{said['id']}0", "@context": CONTEXT}))

    assert before == []
    assert [one["id"] for one in wrapped(rita, kind)] == [said["id"]]
    assert [one["id"] for one in forwarded(relay, kind)] == [said["id"]]
    assert await holds(stage, forwarded(relay, kind)[0])


async def test_what_was_withdrawn_meanwhile_is_not_said_for_who_was_quicker(
    stage: Stage, alice: Stranger, relay: Stranger
) -> None:
    mallory, case = stage.stranger(), stage.case(alice)
    alice.documents["/cases/c1"] = case
    said = alice.activity("Create", case, to=[PUBLIC])
    await stage.send(mallory, said)

    await stage.send(alice, stage.prove(alice, alice.activity("Delete", case["id"], to=[PUBLIC])))
    await stage.send(alice, stage.prove(alice, said))

    assert forwarded(relay, "Create") == []
    assert len(forwarded(relay, "Delete")) == 1


# ---- of several ----------------------------------------------------------------------------------------------------


async def several(stage: Stage, alice: Stranger) -> list[dict[str, Any]]:
    """Two cases of hers that the hub announced."""
    cases = [stage.case(alice), stage.case(alice, "c2", fields={"state": "DE"})]
    for number, case in enumerate(cases):
        await stage.send(alice, alice.activity("Create", case, to=[PUBLIC], number=number))
    return cases


@pytest.mark.parametrize(
    "shape", ["by their ids", "under their Tombstones", "with one that nobody here knows"]
)
async def test_a_delete_of_several_is_passed_on_once_as_it_was_said(
    stage: Stage, alice: Stranger, rita: Stranger, relay: Stranger, shape: str
) -> None:
    ids = [case["id"] for case in await several(stage, alice)]
    if shape.endswith("knows"):
        ids.insert(0, f"https://{alice.host}/cases/never-told")
    named = [STONE | {"id": one} for one in ids] if shape.endswith("Tombstones") else ids

    said = stage.prove(alice, alice.activity("Delete", named, to=[PUBLIC]))
    await stage.send(alice, said)
    await stage.send(alice, said)

    assert wrapped(rita, "Delete") == [said]
    assert forwarded(relay, "Delete") == [said]
    assert await holds(stage, said)


async def test_who_has_only_one_of_several_is_told_too(stage: Stage, alice: Stranger) -> None:
    """It went to them with the case; they follow no more."""
    reader = stage.stranger(name="rita", key="peer")
    followed = reader.activity("Follow", f"{stage.town.hub.origin}/actors/state-de")
    await stage.send(reader, followed)
    cases = await several(stage, alice)
    await stage.send(reader, reader.activity("Undo", followed, number=2))

    said = stage.prove(alice, alice.activity("Delete", [case["id"] for case in cases], to=[PUBLIC]))
    await stage.send(alice, said)

    assert wrapped(reader, "Delete") == [said]


@pytest.mark.parametrize("is_proven", [True, False], ids=["proven", "not proven"])
async def test_a_delete_of_several_that_an_outbox_names_is_passed_on_where_it_is_proven(
    stage: Stage, alice: Stranger, rita: Stranger, relay: Stranger, is_proven: bool
) -> None:
    cases, node = await several(stage, alice), stage.town.hub.node
    ids = [case["id"] for case in cases]
    said = alice.activity("Delete", ids, to=[PUBLIC])
    said = stage.prove(alice, said) if is_proven else said
    gone = {f"/cases/{slug}": httpx.Response(410) for slug in ("c1", "c2")}
    alice.documents |= {**gone, "/activities/delete-1": said}
    alice.documents["/users/cases/outbox"] |= {"orderedItems": [said["id"]]}

    async with node.database.begin() as session:
        await read_back(session, alice.id, now=node.clock.now())
    await stage.town.settle()

    kept = [await stage.entry(one) for one in ids]
    assert [one.state for one in kept if one is not None] == ["withdrawn", "withdrawn"]
    assert wrapped(rita, "Delete") == forwarded(relay, "Delete") == ([said] if is_proven else [])


async def test_a_delete_of_several_that_holds_the_words_of_one_is_not_passed_on(
    stage: Stage, alice: Stranger, rita: Stranger, relay: Stranger
) -> None:
    first, second = await several(stage, alice)

    said = stage.prove(alice, alice.activity("Delete", [first["id"], second | STONE], to=[PUBLIC]))
    await stage.send(alice, said)

    assert {one["object"]["object"] for one in rita.received if one["type"] == "Undo"} == {
        first["id"],
        second["id"],
    }
    assert wrapped(rita, "Delete") == forwarded(relay, "Delete") == []


async def test_what_is_no_case_is_deleted_without_a_word_to_others(
    stage: Stage, alice: Stranger, rita: Stranger, relay: Stranger
) -> None:
    notes = [f"https://{alice.host}/notes/{number}" for number in (1, 2)]

    await stage.send(alice, stage.prove(alice, alice.activity("Delete", notes, to=[PUBLIC])))

    assert wrapped(rita, "Delete") == forwarded(relay, "Delete") == []


# ---- proven over a graph -------------------------------------------------------------------------------------------


def said_as_a_graph(stage: Stage, alice: Stranger, kind: str, inner: object, **more: Any) -> dict[str, Any]:
    activity = alice.activity(kind, inner, to=[PUBLIC], **more) | {"@context": CONTEXT}
    return proven_as(stage, alice, activity)


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
async def test_what_was_proven_over_a_graph_is_passed_on_so_that_it_holds(
    stage: Stage, alice: Stranger, rita: Stranger, relay: Stranger, kind: str
) -> None:
    case = stage.case(alice)
    if kind != "Create":
        await stage.send(alice, alice.activity("Create", case, to=[PUBLIC], number=2))
    inner = {
        "Create": case,
        "Update": stage.case(alice, minutes=1),
        "Delete": stage.prove(alice, STONE | {"@context": CONTEXT, "id": case["id"]}),
    }[kind]

    await stage.send(alice, said_as_a_graph(stage, alice, kind, inner))

    (one,), (other,) = wrapped(rita, kind), forwarded(relay, kind)
    assert one == other
    assert one["object"] == inner
    assert await holds(stage, one)


@pytest.mark.parametrize("beside", ["in what was proven", "in what came"])
async def test_of_what_was_proven_over_a_graph_nothing_goes_on_that_says_more_of_the_case(
    stage: Stage, alice: Stranger, rita: Stranger, beside: str
) -> None:
    """Whoever expands it reads of the case what stands of it elsewhere, too."""
    case = stage.case(alice)
    more = {"tag": {"id": case["id"], "name": "Other words"}} if beside.endswith("proven") else {}
    said = said_as_a_graph(stage, alice, "Create", case, **more)

    await stage.send(alice, said if more else said | {"comment": "Words that nobody proved"})

    assert await stage.entry(case["id"]) is not None
    assert "Words that nobody proved" not in str(rita.received)
    assert len(wrapped(rita, "Create")) == (0 if more else 1)


async def test_a_delete_is_passed_on_though_another_told_of_one_of_them_before(
    stage: Stage, alice: Stranger, relay: Stranger
) -> None:
    first, second = await several(stage, alice)

    await stage.send(alice, stage.prove(alice, alice.activity("Delete", first["id"], to=[PUBLIC], number=1)))
    both = stage.prove(alice, alice.activity("Delete", [first["id"], second["id"]], to=[PUBLIC], number=2))
    await stage.send(alice, both)

    assert [one["id"] for one in forwarded(relay, "Delete")][1:] == [both["id"]]
    async with stage.town.hub.node.database.read() as session:
        assert await session.get(Sent, both["id"]) is not None
