"""Peers that turn: who is known and signs properly, and brings what its author took back, or signed with a key that is lost."""

from typing import Any

import pytest

from federation.proofs import attach
from node.entries.entries import Entry
from node.peers.follows import between
from tests.attacks.stage import Stage, reasons
from tests.rig.keys import ed25519_key
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.jsonld import write
from vocab.properties import written
from vocab.terms import AS, PUBLIC


@pytest.fixture
def stage(town: Town) -> Stage:
    return Stage(town)


@pytest.fixture
async def alice(stage: Stage) -> Stranger:
    """A member of the hub."""
    return await stage.victim()


def loses_her_key(stage: Stage, alice: Stranger) -> Any:
    """Whoever found the key proves with what is returned; she says that it is lost, and has another."""
    stolen = alice.prover()
    alice.ed25519 = ed25519_key("peer")
    shown = alice.actor()
    new = {**shown["assertionMethod"][0], "id": f"{alice.id}#ed25519-key-2"}
    old = {
        **shown["assertionMethod"][0],
        "publicKeyMultibase": ed25519_key("other").public.multibase,
        "expires": written(stage.town.clock.now()),
        "revoked": written(stage.town.clock.now()),
    }
    shown["assertionMethod"] = [old, new]
    alice.documents["/users/cases"] = shown
    return stolen


async def state_of(stage: Stage, url: str) -> str | None:
    entry: Entry | None = await stage.entry(url)
    return entry.state if entry else None


async def brought(stage: Stage, by: Stranger, said: dict[str, Any], how: str) -> None:
    await stage.send(by, said if how == "bare" else by.activity("Announce", said, number=77))


@pytest.mark.parametrize("how", ["bare", "wrapped"])
@pytest.mark.parametrize("kind", ["Create", "Update", "Delete", "farewell"])
async def test_who_found_a_lost_key_says_nothing_by_dating_it_back(
    stage: Stage, alice: Stranger, kind: str, how: str
) -> None:
    someone = stage.stranger(key="third")
    case = stage.case(alice)
    alice.documents["/cases/c1"] = case
    await stage.send(alice, alice.activity("Create", case, to=[PUBLIC]))
    before = stage.town.clock.now()
    stage.town.clock.forward(minutes=10)
    url = case["id"]
    forged = {"Create": stage.case(alice, "c2"), "Update": stage.case(alice, minutes=1)}.get(kind)
    stage.town.clock.forward(minutes=10)
    stolen = loses_her_key(stage, alice)
    await stage.send(alice, alice.activity("Update", alice.id, number=9))

    said: Any = forged or {"id": url, "type": "Tombstone"}
    activity = alice.activity("Delete" if kind == "farewell" else kind, said, number=5, to=[PUBLIC])
    if kind == "farewell":
        activity["object"] = alice.id
    await brought(stage, someone, attach(activity, stolen, now=before), how)

    hub = stage.town.hub
    async with hub.node.database.read() as session:
        row = await between(session, hub.settings.main_actor, alice.id)
    assert row is not None
    assert row.state == "accepted"
    assert await state_of(stage, url) == "live"
    assert await state_of(stage, url.replace("c1", "c2")) is None


@pytest.mark.parametrize("how", ["bare", "wrapped"])
@pytest.mark.parametrize("kind", ["Create", "Update"])
async def test_a_case_that_was_withdrawn_before_the_hub_knew_it_does_not_come_by_others(
    stage: Stage, alice: Stranger, kind: str, how: str
) -> None:
    someone, case = stage.stranger(key="third"), stage.case(alice)
    alice.documents["/cases/c1"] = {"@context": AS, "id": case["id"], "type": "Tombstone"}

    await brought(stage, someone, stage.prove(alice, alice.activity(kind, case, to=[PUBLIC])), how)

    assert await state_of(stage, case["id"]) is None


@pytest.mark.parametrize("how", ["bare", "wrapped"])
async def test_a_case_that_others_bring_is_taken_as_its_own_server_shows_it(
    stage: Stage, alice: Stranger, how: str
) -> None:
    someone, first = stage.stranger(key="third"), stage.case(alice)
    alice.documents["/cases/c1"] = stage.case(alice, minutes=1)

    await brought(stage, someone, stage.prove(alice, alice.activity("Create", first, to=[PUBLIC])), how)

    assert await state_of(stage, first["id"]) == "corrected"


async def test_what_a_member_signed_is_passed_on_whoever_brings_it_while_it_is_so(
    stage: Stage, alice: Stranger
) -> None:
    someone, reader = stage.stranger(key="third"), stage.stranger(name="rita", key="peer")
    await stage.send(reader, reader.activity("Follow", stage.town.hub.settings.main_actor))
    case = alice.documents["/cases/c1"] = stage.case(alice)
    said = stage.prove(alice, alice.activity("Create", case, to=[PUBLIC]))

    await stage.send(someone, said)

    assert [one["object"] for one in reader.received if one["type"] == "Announce"] == [case["id"], said]


async def test_a_case_that_is_deleted_with_its_words_leaves_none_of_them(
    stage: Stage, alice: Stranger
) -> None:
    case = stage.case(alice)
    await stage.send(alice, alice.activity("Create", case, to=[PUBLIC]))

    await stage.send(alice, alice.activity("Delete", case, to=[PUBLIC]))

    kept = await stage.entry(case["id"])
    assert kept is not None
    assert (kept.state, kept.document) == ("withdrawn", write({"id": case["id"], "type": "Tombstone"}))


@pytest.mark.parametrize(
    "embedded",
    ["the case", "a Tombstone that keeps its words", "a Tombstone of two spellings", "a Tombstone"],
)
async def test_of_a_case_that_is_deleted_with_its_words_a_hub_keeps_and_says_none(
    stage: Stage, alice: Stranger, embedded: str
) -> None:
    reader = stage.stranger(name="rita", key="peer")
    await stage.send(reader, reader.activity("Follow", stage.town.hub.settings.main_actor))
    case = stage.case(alice)
    await stage.send(alice, alice.activity("Create", case, to=[PUBLIC]))
    stone = {"id": case["id"], "type": "Tombstone", "deleted": "2026-11-21T12:00:00Z"}
    twice = {**stone, "as:deleted": "2026-11-20T12:00:00Z"}
    shapes = {"the case": case, "a Tombstone": stone, "a Tombstone of two spellings": twice}
    inner = shapes.get(embedded, {**case, **stone})
    reader.received.clear()

    said = stage.prove(alice, alice.activity("Delete", inner, to=[PUBLIC]))
    await stage.send(alice, said)

    kept = await stage.entry(case["id"])
    assert kept is not None
    bare = {"id": case["id"], "type": "Tombstone"}
    assert (kept.state, kept.document) == ("withdrawn", write(bare if inner in (case, twice) else stone))
    assert case["name"] not in str(reader.received)
    assert (said in [one["object"] for one in reader.received]) is (embedded == "a Tombstone")
    assert case["name"] not in await stage.page("/actors/hub/outbox?page=1")


async def states_of(stage: Stage, *cases: dict[str, Any]) -> list[str | None]:
    return [await state_of(stage, one["id"]) for one in cases]


SEVERAL = ["by their ids", "under their Tombstones", "in both ways"]


@pytest.mark.parametrize("shape", SEVERAL)
async def test_of_several_cases_that_are_deleted_at_once_each_is_withdrawn(
    stage: Stage, alice: Stranger, shape: str
) -> None:
    reader = stage.stranger(name="rita", key="peer")
    await stage.send(reader, reader.activity("Follow", stage.town.hub.settings.main_actor))
    first, second, third = (stage.case(alice, slug) for slug in ("c1", "c2", "c3"))
    for number, case in enumerate((first, second, third)):
        await stage.send(alice, alice.activity("Create", case, to=[PUBLIC], number=number))
    stones = [
        {"id": one["id"], "type": "Tombstone", "deleted": "2026-11-21T12:00:00Z"} for one in (first, second)
    ]
    shapes = {"by their ids": [first["id"], second["id"]], "under their Tombstones": stones}
    reader.received.clear()

    named = shapes.get(shape, [first["id"], stones[1]])
    await stage.send(alice, stage.prove(alice, alice.activity("Delete", named, to=[PUBLIC])))

    assert await states_of(stage, first, second, third) == ["withdrawn", "withdrawn", "live"]
    undone = [one["object"]["object"] for one in reader.received if one["type"] == "Undo"]
    assert undone == [first["id"], second["id"]]
    kept = await stage.entry(second["id"])
    assert kept is not None
    assert (b"deleted" in kept.document) is (shape != "by their ids")


BESIDE: dict[str, Any] = {
    "a case of somebody else on that host": "https://{host}/cases/c9",
    "something on another host": "https://elsewhere.example/cases/c9",
    "something without an id": {"type": "Tombstone"},
    "more than are looked at": None,
}


@pytest.mark.parametrize("beside", BESIDE)
async def test_of_several_that_are_not_all_its_authors_none_is_withdrawn(
    stage: Stage, alice: Stranger, caplog: pytest.LogCaptureFixture, beside: str
) -> None:
    bob = stage.stranger(alice.host, "bob", key="third")
    stage.neighbours(alice, bob)
    await stage.admit(bob)
    case, his = stage.case(alice), stage.case(bob, "c9")
    for author, one in ((alice, case), (bob, his)):
        await stage.send(author, author.activity("Create", one, to=[PUBLIC], number=int(author is bob)))
    other = BESIDE[beside]
    more = [other.format(host=alice.host) if isinstance(other, str) else other]
    if other is None:
        more = [f"{case['id']}/{number}" for number in range(1000)]
    caplog.set_level("INFO")

    await stage.send(alice, stage.prove(alice, alice.activity("Delete", [case["id"], *more], to=[PUBLIC])))

    assert await states_of(stage, case, his) == ["live", "live"]
    assert len(reasons(caplog)) == 1


async def test_several_that_somebody_brings_without_a_proof_are_asked_for_nowhere(
    stage: Stage, alice: Stranger
) -> None:
    first, second, someone = stage.case(alice), stage.case(alice, "c2"), stage.stranger(key="third")
    for number, case in enumerate((first, second)):
        await stage.send(alice, alice.activity("Create", case, to=[PUBLIC], number=number))

    await stage.send(someone, alice.activity("Delete", [first["id"], second["id"]], to=[PUBLIC]))

    assert await states_of(stage, first, second) == ["live", "live"]
    assert first["id"] not in stage.asked(alice.host)


@pytest.mark.parametrize("kind", ["Create", "Update", "Announce"])
async def test_what_brings_several_cases_at_once_brings_none_rather_than_the_first(
    stage: Stage, alice: Stranger, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    first, second = stage.case(alice), stage.case(alice, "c2")
    alice.documents["/cases/c1"], alice.documents["/cases/c2"] = first, second
    caplog.set_level("INFO")

    await stage.send(alice, alice.activity(kind, [first["id"], second["id"]], to=[PUBLIC]))

    assert await states_of(stage, first, second) == [None, None]
    assert reasons(caplog) == [f"{kind} of several objects"]


@pytest.mark.parametrize("kind", ["Create", "Update"])
async def test_a_case_that_is_something_else_beside_is_a_case(
    stage: Stage, alice: Stranger, kind: str
) -> None:
    theirs = ["https://example.org/ns/of/somebody#Publication", "Article"]
    if kind == "Update":
        await stage.send(alice, alice.activity("Create", stage.case(alice), to=[PUBLIC]))

    case = stage.case(alice, minutes=int(kind == "Update"), type=theirs)
    await stage.send(alice, alice.activity(kind, case, number=2, to=[PUBLIC]))

    assert await state_of(stage, case["id"]) == {"Create": "live", "Update": "corrected"}[kind]


async def test_a_case_that_is_rewritten_under_a_new_date_is_a_correction_and_no_newer_case(
    stage: Stage, alice: Stranger
) -> None:
    await stage.send(alice, alice.activity("Create", stage.case(alice), to=[PUBLIC]))
    first = stage.town.clock.now()
    stage.town.clock.forward(hours=5)

    # As new as on its first day: `published` is now, and there is no `updated`.
    again = stage.case(alice, fields={"title": {"en": "Other words in the same place"}})
    await stage.send(alice, alice.activity("Update", again, to=[PUBLIC]))

    kept = await stage.entry(again["id"])
    assert kept is not None
    assert (kept.state, kept.published_at, kept.updated_at) == (
        "corrected",
        first,
        stage.town.clock.now(),
    )
    assert kept.case().title == {"en": "Other words in the same place"}
