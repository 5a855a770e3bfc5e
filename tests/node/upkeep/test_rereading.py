"""Replies that are shown, asked for again where they were written: who took theirs back may have told only their own followers."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from federation.errors import NotThere, Unreachable
from node.errors import NotFound
from node.outbox import Done, Job, Turn
from node.publishing.publications import Publication
from node.publishing.reactions import (
    Reaction,
    hide_reply,
    keep_reaction,
    read_reply,
    replies,
    show_reply,
    shown_replies,
)
from node.runtime import Node
from node.upkeep import rereading
from node.upkeep.rereading import KIND, MOST_OF_A_HOST, reread
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.errors import NotAnObject
from vocab.terms import PUBLIC

PATH = "/ann/p/1795336858.206690"
NOTE = f"https://stranger.example{PATH}"


@pytest.fixture
def stranger(town: Town) -> Stranger:
    return Stranger(town)


@pytest.fixture
def node(town: Town) -> Node:
    return town["a"].node


@pytest.fixture
async def case(town: Town, node: Node, stranger: Stranger) -> Publication:
    """With a reply that the desk has agreed to show."""
    publication = await publish_case(node)
    stranger.documents[PATH] = a_note(stranger, publication.url)
    sent = stranger.activity("Create", stranger.documents[PATH], to=[PUBLIC])
    assert (await stranger.post("a", sent)).status_code == 202
    await town.settle()
    async with node.database.begin() as session:
        await show_reply(session, NOTE, await read_reply(node, NOTE), by="somebody", now=node.clock.now())
    assert await shown(node, publication) == [NOTE]
    return publication


def a_note(stranger: Stranger, url: str, **changed: Any) -> dict[str, Any]:
    return {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": NOTE,
        "type": "Note",
        "attributedTo": stranger.id,
        "inReplyTo": url,
        "summary": "",
        "content": "A reply (fictional)<br>",
        "to": ["https://a.example/actors/cases", PUBLIC],
        "cc": [],
        **changed,
    }


async def shown(node: Node, case: Publication) -> list[str]:
    async with node.database.read() as session:
        return [reply.id for reply in await shown_replies(session, case.url)]


async def waiting(node: Node) -> Sequence[Reaction]:
    async with node.database.read() as session:
        return await replies(session, "waiting")


async def a_day_later(town: Town, node: Node) -> None:
    """As the worker runs it."""
    async with node.database.begin() as session:
        await rereading.reread_tomorrow(session, now=node.clock.now())
    town.clock.forward(hours=24)
    await town.settle()


async def test_a_reply_that_is_not_there_any_more_is_shown_no_more_and_waits_for_the_desk(
    town: Town, node: Node, stranger: Stranger, case: Publication
) -> None:
    del stranger.documents[PATH]

    await a_day_later(town, node)

    assert await shown(node, case) == []
    (reply,) = await waiting(node)
    assert (reply.id, reply.content) == (NOTE, None)


async def test_a_reply_that_is_gone_for_good_goes_as_with_a_delete(
    town: Town, node: Node, stranger: Stranger, case: Publication
) -> None:
    stranger.documents[PATH] = httpx.Response(410)

    await a_day_later(town, node)

    async with node.database.read() as session:
        assert (await session.scalars(select(Reaction.id))).all() == []


@pytest.mark.parametrize(
    "changed",
    [
        {"to": ["https://stranger.example/users/sam/followers"]},
        {"inReplyTo": "https://elsewhere.example/notes/7"},
        {"attributedTo": "https://stranger.example/users/other"},
        {"type": "Tombstone", "attributedTo": None, "inReplyTo": None, "content": None},
    ],
    ids=["not for everybody", "to another", "by another", "a tombstone"],
)
async def test_a_reply_that_is_something_else_by_now_is_shown_no_more(
    town: Town, node: Node, stranger: Stranger, case: Publication, changed: dict[str, Any]
) -> None:
    stranger.documents[PATH] = a_note(stranger, case.url, **changed)

    await a_day_later(town, node)

    assert await shown(node, case) == []
    assert [reply.id for reply in await waiting(node)] == [NOTE]


async def test_a_reply_that_stands_is_shown_on_and_asked_for_again_the_next_day(
    town: Town, node: Node, stranger: Stranger, case: Publication
) -> None:
    stranger.asked.clear()
    await a_day_later(town, node)
    assert stranger.asked.count(PATH) == 1

    town.clock.forward(hours=24)
    await town.settle()

    assert stranger.asked.count(PATH) == 2
    assert await shown(node, case) == [NOTE]
    async with node.database.read() as session:
        assert len((await session.scalars(select(Job).where(Job.kind == KIND))).all()) == 1


@pytest.mark.parametrize("changed", [{"to": [], "cc": [PUBLIC]}, {"content": "Other words"}])
async def test_a_reply_that_is_for_everybody_still_is_shown_on(
    town: Town, node: Node, stranger: Stranger, case: Publication, changed: dict[str, Any]
) -> None:
    stranger.documents[PATH] = a_note(stranger, case.url, **changed)

    await a_day_later(town, node)

    assert await shown(node, case) == [NOTE]


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_what_cannot_be_had_just_now_leaves_a_reply_as_it_is(
    town: Town, node: Node, stranger: Stranger, case: Publication, status: int
) -> None:
    stranger.documents[PATH] = httpx.Response(status)

    await a_day_later(town, node)

    assert await shown(node, case) == [NOTE]


async def test_a_reply_that_the_desk_has_hidden_is_not_asked_for(
    town: Town, node: Node, stranger: Stranger, case: Publication
) -> None:
    async with node.database.begin() as session:
        await hide_reply(session, NOTE, by="somebody", now=node.clock.now())
    del stranger.documents[PATH]
    stranger.asked.clear()

    await a_day_later(town, node)

    assert PATH not in stranger.asked
    assert await waiting(node) == []


async def test_a_reply_that_the_desk_hides_meanwhile_stays_hidden(
    node: Node, case: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone_and_hidden(_node: object, id: str) -> None:
        async with node.database.begin() as session:
            await hide_reply(session, id, by="somebody", now=node.clock.now())
        raise NotThere("HTTP 404", url=id, status=404)

    monkeypatch.setattr(rereading, "find_reply", gone_and_hidden)
    await reread(node, Turn(0, f"chore:{KIND}", KIND, {}, 0))

    assert await waiting(node) == []


async def add_shown(node: Node, url: str, notes: Sequence[str]) -> None:
    async with node.database.begin() as session:
        for note in notes:
            actor = note.rpartition("/")[0]
            await keep_reaction(
                session, id=note, kind="reply", actor=actor, case_url=url, now=node.clock.now()
            )
        await session.execute(update(Reaction).values(shown=True, place=None))


@pytest.mark.parametrize("error", [NotFound("no such reply"), NotAnObject("no object")])
async def test_a_reply_that_is_not_here_any_more_or_cannot_be_read_keeps_no_other_from_its_turn(
    node: Node, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    url = (await publish_case(node)).url
    await add_shown(node, url, [f"https://s.example/users/sam/{number}" for number in range(3)])
    asked: list[str] = []

    async def unread(_node: object, id: str) -> None:
        asked.append(id)
        raise error

    monkeypatch.setattr(rereading, "find_reply", unread)
    assert await reread(node, Turn(0, f"chore:{KIND}", KIND, {}, 0)) == Done()

    assert len(asked) == 3
    async with node.database.read() as session:
        assert len(await shown_replies(session, url)) == 3


async def test_on_one_day_so_many_are_asked_for_and_each_may_be_among_them(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await publish_case(node)).url
    await add_shown(node, url, [f"https://s{host}.example/users/sam/1" for host in range(3)])
    monkeypatch.setattr(rereading, "MOST", 2)
    asked: list[list[str]] = [[]]

    async def there(_node: object, id: str) -> None:
        asked[-1].append(id)
        raise NotAnObject("no object")

    monkeypatch.setattr(rereading, "find_reply", there)
    for _ in range(40):
        await reread(node, Turn(0, f"chore:{KIND}", KIND, {}, 0))
        asked.append([])

    assert {len(day) for day in asked[:-1]} == {2}
    assert len({note for day in asked for note in day}) == 3


async def test_of_one_host_few_are_asked_for_on_one_day(town: Town, node: Node, stranger: Stranger) -> None:
    url = (await publish_case(node)).url
    notes = [f"https://stranger.example/users/sam/{number}" for number in range(MOST_OF_A_HOST + 5)]
    await add_shown(node, url, notes)

    await reread(node, Turn(0, f"chore:{KIND}", KIND, {}, 0))

    assert len(stranger.asked) == MOST_OF_A_HOST
    async with node.database.read() as session:
        assert len(await shown_replies(session, url)) == 5


async def test_a_host_that_is_down_is_asked_once_and_nobody_for_longer_than_the_lease(
    town: Town, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await publish_case(node)).url
    notes = [f"https://s{host}.example/users/sam/{number}" for host in range(9) for number in range(2)]
    await add_shown(node, url, notes)
    asked: list[str] = []

    async def slow(_node: object, id: str) -> None:
        asked.append(id)
        town.clock.forward(seconds=6)
        raise Unreachable("no answer", url=id)

    monkeypatch.setattr(rereading, "find_reply", slow)
    # Both of one host come one after the other.
    monkeypatch.setattr("node.upkeep.rereading.SystemRandom.shuffle", lambda _, notes: notes.sort())
    await reread(node, Turn(0, f"chore:{KIND}", KIND, {}, 0))

    assert len(asked) == 4
    assert len({note.split("/")[2] for note in asked}) == 4


async def test_who_never_comes_to_an_end_of_answering_is_left_and_others_have_their_turn(
    town: Town, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await publish_case(node)).url
    await add_shown(node, url, [f"https://s{host}.example/users/sam/1" for host in range(3)])
    asked: list[str] = []

    async def endless(_node: object, id: str) -> None:
        asked.append(id)
        await asyncio.sleep(3600)

    monkeypatch.setattr(rereading, "find_reply", endless)
    monkeypatch.setattr(rereading, "AT_MOST", timedelta(seconds=0.05))
    async with asyncio.timeout(30):
        await reread(node, Turn(0, f"chore:{KIND}", KIND, {}, 0))

    assert len(asked) == 3
    async with node.database.read() as session:
        assert len(await shown_replies(session, url)) == 3
