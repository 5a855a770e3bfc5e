"""A like or boost that is taken back before it comes: it counts for nothing when it does; and nothing else is kept out for it."""

from typing import Any

import pytest

from federation.proofs import attach
from node.effects import handlers
from node.effects.undone import REMEMBERED_FOR, WITHOUT_AN_ID_FOR, was_taken_back
from node.entries.entries import Entry
from node.publishing.reactions import count_reactions, keep_reaction
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town

pytestmark = pytest.mark.both_databases


@pytest.fixture
def sam(town: Town) -> Stranger:
    return Stranger(town)


@pytest.fixture
async def case(town: Town) -> str:
    return (await publish_case(town["a"].node)).url


async def say(town: Town, by: Stranger, said: dict[str, Any]) -> None:
    town.clock.forward(seconds=1)
    assert (await by.post("a", said)).status_code == 202
    await town.settle()


async def counted(town: Town, case: str) -> dict[str, int]:
    async with town["a"].node.database.read() as session:
        return await count_reactions(session, case)


@pytest.mark.parametrize("kind", ["Like", "EmojiReact", "Announce"])
@pytest.mark.parametrize("how", ["whole", "by its id", "without an id"])
async def test_what_was_taken_back_before_it_came_is_not_counted(
    town: Town, sam: Stranger, case: str, kind: str, how: str
) -> None:
    said = sam.activity(kind, case)
    inner = {
        "whole": said,
        "by its id": said["id"],
        "without an id": {"type": kind, "actor": sam.id, "object": case},
    }

    await say(town, sam, sam.activity("Undo", inner[how]))
    await say(town, sam, said)

    assert await counted(town, case) == {}


async def test_what_is_asked_for_and_was_taken_back_before_is_not_counted(
    town: Town, sam: Stranger, case: str
) -> None:
    like = sam.activity("Like", case)

    await say(town, sam, sam.activity("Undo", like))
    await say(town, sam, sam.activity("LikeRequest", case, instrument=like))

    assert await counted(town, case) == {}
    assert sam.received == []


async def test_what_comes_late_does_not_take_the_place_of_what_stands(
    town: Town, sam: Stranger, case: str
) -> None:
    first, second = sam.activity("Like", case), sam.activity("Like", case, number=2)

    await say(town, sam, sam.activity("Undo", first))
    await say(town, sam, second)
    await say(town, sam, first)
    assert await counted(town, case) == {"like": 1}

    await say(town, sam, sam.activity("Undo", second["id"], number=2))
    assert await counted(town, case) == {}


async def test_nobody_takes_back_what_another_will_say(town: Town, sam: Stranger, case: str) -> None:
    other = Stranger(town, "other.example", "olga", key="other")
    said = sam.activity("Like", case)

    await say(town, other, other.activity("Undo", said))
    await say(town, sam, said)

    assert await counted(town, case) == {"like": 1}


async def test_who_likes_leaves_and_likes_again_under_the_same_id_likes(
    town: Town, sam: Stranger, case: str
) -> None:
    """And sends the Undo once more, for its answer was lost."""
    said = sam.activity("Like", case)
    undo = sam.activity("Undo", said)

    for one in (said, undo, undo, said):
        await say(town, sam, one)

    assert await counted(town, case) == {"like": 1}


@pytest.mark.parametrize("has_id", [True, False])
async def test_it_is_remembered_for_a_while(town: Town, sam: Stranger, case: str, has_id: bool) -> None:
    said = sam.activity("Like", case)
    await say(town, sam, sam.activity("Undo", said if has_id else {"type": "Like", "object": case}))

    town.clock.forward(seconds=(REMEMBERED_FOR if has_id else WITHOUT_AN_ID_FOR).total_seconds())
    await say(town, sam, said)

    assert await counted(town, case) == {"like": 1}


async def test_of_what_is_no_case_of_ours_nothing_is_remembered(town: Town, sam: Stranger, case: str) -> None:
    await town.befriend("a", "b")
    theirs = (await publish_case(town["b"].node)).url
    await town.settle()
    said = sam.activity("Like", theirs)
    await say(town, sam, sam.activity("Undo", said))
    async with town["a"].node.database.begin() as session:
        # As if it were of ours by now: nothing else tells what was kept.
        (await session.get_one(Entry, theirs)).own = True

    await say(town, sam, said)

    assert await counted(town, theirs) == {"like": 1}


@pytest.mark.parametrize("undo_by_group", [True, False])
async def test_what_somebody_passes_on_comes_late_too(
    town: Town, sam: Stranger, case: str, undo_by_group: bool
) -> None:
    group = Stranger(town, "group.example", "group", key="other")
    now = town.clock.now()
    said = attach(sam.activity("Like", case), sam.prover(), now=now)
    undo = attach(sam.activity("Undo", said), sam.prover(), now=now)
    passed_on = [group.activity("Announce", one, number=number) for number, one in enumerate((said, undo))]

    await say(town, *((group, passed_on[1]) if undo_by_group else (sam, undo)))
    await say(town, *((sam, said) if undo_by_group else (group, passed_on[0])))

    assert await counted(town, case) == {}


async def test_what_is_taken_back_while_it_is_being_kept_is_not_counted(
    town: Town, sam: Stranger, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two come in different lanes: what the one has committed the other had looked for before."""
    said, keep, looked = sam.activity("Like", case), keep_reaction, was_taken_back
    undone: list[str] = []

    async def kept_after_it(session: Any, **more: Any) -> bool:
        kept = await keep(session, **more)
        undone.append(more["id"])
        return kept

    async def as_seen(session: Any, **more: Any) -> bool:
        return more["id"] in undone or await looked(session, **more)

    monkeypatch.setattr(handlers, "keep_reaction", kept_after_it)
    monkeypatch.setattr(handlers, "was_taken_back", as_seen)

    await say(town, sam, said)

    assert undone == [said["id"]]
    assert await counted(town, case) == {}
