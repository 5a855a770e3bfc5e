"""What others say of a case of ours: counted once each, and no host fills the desk."""

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from node.publishing import reactions
from node.publishing.reactions import (
    Reaction,
    ReplyText,
    count_reactions,
    inboxes_of_reactions,
    keep_reaction,
    replies,
    reply_changed,
    show_reply,
)
from node.runtime import Node
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger, known_actor
from tests.rig.town import Town
from vocab.terms import PUBLIC

pytestmark = pytest.mark.both_databases


async def test_who_likes_or_boosts_a_case_often_counts_once(town: Town) -> None:
    node = town["a"].node
    url = (await publish_case(node)).url
    loud, other = Stranger(town, "loud.example"), Stranger(town, "other.example", key="other")

    for kind in ("Like", "Announce"):
        for number in range(5):
            await loud.post("a", loud.activity(kind, url, number=number))
    await other.post("a", other.activity("Like", url))
    await town.settle()

    async with node.database.read() as session:
        assert await count_reactions(session, url) == {"like": 2, "boost": 1}
    undone = loud.activity("Like", url, number=4)
    await loud.post("a", loud.activity("Undo", undone, number=9))
    await town.settle()
    async with node.database.read() as session:
        assert await count_reactions(session, url) == {"like": 1, "boost": 1}


async def test_only_so_many_replies_of_one_host_wait(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactions, "MOST_WAITING", 3)
    node = town["a"].node
    url = (await publish_case(node)).url
    loud, other = Stranger(town, "loud.example"), Stranger(town, "other.example", key="other")

    async def reply(author: Stranger, number: int) -> None:
        note = {
            "id": f"https://{author.host}/notes/{number}",
            "type": "Note",
            "attributedTo": author.id,
            "inReplyTo": url,
            "content": "<p>A reply (fictional)</p>",
        }
        await author.post("a", author.activity("Create", note, number=number, to=[PUBLIC]))
        await town.settle()

    for number in range(5):
        await reply(loud, number)
    await reply(other, 1)

    async with node.database.read() as session:
        waiting = [row.actor for row in await replies(session, "waiting")]
    assert sorted(waiting) == sorted([loud.id] * 3 + [other.id])
    async with node.database.begin() as session:
        first = await session.scalar(select(Reaction).where(Reaction.actor == loud.id))
        assert first is not None
        await reactions.hide_reply(session, first.id, by="somebody", now=node.clock.now())
    await reply(loud, 7)
    async with node.database.read() as session:
        assert len(await replies(session, "waiting")) == 4


async def test_a_reply_that_is_changed_where_too_many_wait_is_hidden(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_WAITING", 1)
    node = town["a"].node
    loud, others = "https://loud.example/users/x", "https://other.example/users/y"
    for author, number in ((loud, 1), (others, 2)):
        await kept(node, f"{author}/{number}", author)
        async with node.database.begin() as session:
            text = ReplyText("X", "x@y", f"{author}/{number}", "<p>Read</p>", None, "0" * 64, is_public=True)
            await show_reply(session, f"{author}/{number}", text, by="somebody", now=node.clock.now())
    await kept(node, f"{loud}/3", loud)

    async with node.database.begin() as session:
        await reply_changed(session, id=f"{loud}/1", actor=loud)
        await reply_changed(session, id=f"{others}/2", actor=others)
        await reply_changed(session, id=f"{others}/2", actor=others)
        await reply_changed(session, id=f"{loud}/3", actor=others)
        await reply_changed(session, id=f"{loud}/4", actor=loud)

    async with node.database.read() as session:
        assert await replies(session, "shown") == []
        assert [(row.id, row.content) for row in await replies(session, "hidden")] == [(f"{loud}/1", None)]
        assert {row.id for row in await replies(session, "waiting")} == {f"{loud}/3", f"{others}/2"}


# ---- at the same moment -----------------------------------------------------------------------------------------------

CASE = "https://a.example/cases/1"


async def kept(
    node: Node, id: str, actor: str, kind: str = "reply", meet: asyncio.Barrier | None = None
) -> bool:
    """Keep a reaction in a transaction of its own; with a barrier, together with others."""
    if meet is not None:
        await meet.wait()
    async with node.database.begin() as session:
        done = await keep_reaction(
            session, id=id, kind=kind, actor=actor, case_url=CASE, now=node.clock.now()
        )
        # The others are let in between what was looked up and the commit.
        await asyncio.sleep(0.01)
    return done


async def rows(node: Node) -> list[Reaction]:
    async with node.database.read() as session:
        return list(await session.scalars(select(Reaction)))


@pytest.mark.parametrize("kind", ["like", "boost"])
async def test_likes_of_one_actor_at_the_same_moment_count_once(town: Town, kind: str) -> None:
    node, meet = town["a"].node, asyncio.Barrier(8)
    loud, other = "https://loud.example/users/x", "https://other.example/users/y"

    done = await asyncio.gather(
        *(kept(node, f"{loud}/{number}", loud, kind, meet) for number in range(7)),
        kept(node, f"{other}/1", other, kind, meet),
    )

    assert all(done)
    assert sorted(row.actor for row in await rows(node)) == [loud, other]


@pytest.mark.parametrize("kind", ["like", "boost", "reply", "quote"])
async def test_one_reaction_that_comes_several_times_at_once_is_one(town: Town, kind: str) -> None:
    node, meet = town["a"].node, asyncio.Barrier(6)
    actor = "https://loud.example/users/x"

    done = await asyncio.gather(*(kept(node, f"{actor}/1", actor, kind, meet) for _ in range(6)))

    assert all(done)
    assert len(await rows(node)) == 1


async def test_replies_that_come_at_the_same_moment_fill_no_more_places_than_there_are(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_WAITING", 3)
    node, meet = town["a"].node, asyncio.Barrier(9)
    loud, other = "https://loud.example/users/", "https://other.example/users/y"

    done = await asyncio.gather(
        *(kept(node, f"{loud}{number}/1", f"{loud}{number}", "reply", meet) for number in range(8)),
        kept(node, f"{other}/1", other, "reply", meet),
    )

    assert (sum(done[:8]), done[8]) == (3, True)
    assert sorted(row.place or "" for row in await rows(node)) == [
        "loud.example 1",
        "loud.example 2",
        "loud.example 3",
        "other.example 1",
    ]


async def test_replies_changed_at_the_same_moment_wait_in_places_of_their_own(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = town["a"].node
    actor = "https://loud.example/users/x"
    for number in range(5):
        await kept(node, f"{actor}/{number}", actor)
        async with node.database.begin() as session:
            await reactions.hide_reply(session, f"{actor}/{number}", by="somebody", now=node.clock.now())
    monkeypatch.setattr(reactions, "MOST_WAITING", 3)

    async def change(number: int) -> None:
        async with node.database.begin() as session:
            await reply_changed(session, id=f"{actor}/{number}", actor=actor)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(change(number) for number in range(5)))

    waiting = [row for row in await rows(node) if row.decided_at is None]
    assert sorted(row.place or "" for row in waiting) == [f"loud.example {number}" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"id": "1", "kind": "like"}, {"id": "2", "kind": "like"}),
        ({"id": "1", "kind": "boost"}, {"id": "2", "kind": "boost"}),
        ({"id": "1", "kind": "reply", "place": "x 1"}, {"id": "2", "kind": "reply", "place": "x 1"}),
    ],
)
async def test_the_database_itself_refuses_what_counts_twice(
    town: Town, first: dict[str, str], second: dict[str, str]
) -> None:
    node = town["a"].node
    same = {"actor": "x", "case_url": CASE, "received_at": node.clock.now(), "shown": False, "site": "x"}

    async with node.database.begin() as session:
        session.add(Reaction(**first, **same))
        await session.flush()
        session.add(Reaction(**second, **same))
        with pytest.raises(IntegrityError):
            await session.flush()
        await session.rollback()


async def test_replies_from_many_names_of_one_site_are_counted_together(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_WAITING", 3)
    node = town["a"].node
    names = [f"{number}.loud.example" for number in range(5)] + ["loud.example:8443", "quiet.example"]

    done = [await kept(node, f"https://{name}/notes/1", f"https://{name}/users/x", "reply") for name in names]

    assert done == [True] * 3 + [False] * 3 + [True]
    assert sorted(one.place or "" for one in await rows(node)) == [
        "loud.example 1",
        "loud.example 2",
        "loud.example 3",
        "quiet.example 1",
    ]


async def test_likes_and_boosts_from_many_actors_of_one_site_are_kept_up_to_a_number(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_OF_A_SITE", 3)
    node = town["a"].node
    actors = [f"https://{number}.loud.example/users/x" for number in range(5)]

    done = [await kept(node, f"{actor}/1", actor, "like") for actor in actors]
    again = await kept(node, f"{actors[0]}/2", actors[0], "like")
    other = await kept(node, "https://quiet.example/1", "https://quiet.example/users/x", "boost")

    assert (done, again, other) == ([True] * 3 + [False] * 2, True, True)
    assert len(await rows(node)) == 4


async def known(node: Node, url: str, *, shared_inbox: str | None = None) -> None:
    """An actor whose document was read."""
    async with node.database.begin() as session:
        session.add(known_actor(url, shared_inbox=shared_inbox, fetched_at=node.clock.now()))


async def test_one_site_is_told_so_often_and_no_more_those_who_answered_before_those_who_liked(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_INBOXES", 3)
    node = town["a"].node
    crowd = [f"https://{number}.loud.example/users/x" for number in range(8)]
    for number, actor in enumerate(crowd):
        await known(node, actor)
        await kept(node, f"{actor}/like", actor, "like")
        if number in {6, 7}:
            await kept(node, f"{actor}/{number}", actor, ("reply", "boost")[number - 6])
    for number in range(5):
        actor = f"https://quiet.example/users/{number}"
        await known(node, actor, shared_inbox="https://quiet.example/inbox")
        await kept(node, f"{actor}/like", actor, "like")

    async with node.database.read() as session:
        told = await inboxes_of_reactions(session, CASE)

    assert told == [
        *(f"https://{number}.loud.example/users/x/inbox" for number in (0, 6, 7)),
        "https://quiet.example/inbox",
    ]


async def test_a_like_a_boost_and_several_replies_of_one_actor_stand_side_by_side(town: Town) -> None:
    node, actor = town["a"].node, "https://loud.example/users/x"

    for number, kind in enumerate(("like", "boost", "reply", "reply", "quote", "quote")):
        assert await kept(node, f"{actor}/{number}", actor, kind)

    assert len(await rows(node)) == 6
