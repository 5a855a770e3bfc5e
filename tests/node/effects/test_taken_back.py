"""What others say of our cases, in the shapes their servers give it, and how they take it back."""

from typing import Any

import pytest
from sqlalchemy import select

from federation.proofs import attach
from node.entries.entries import Entry
from node.errors import NotAllowed
from node.peers.directory import find_actor
from node.peers.follows import follow
from node.peers.hosts import decide
from node.peers.ours import local_actor_at
from node.peers.reports import Report
from node.publishing.reactions import (
    Reaction,
    count_reactions,
    keep_reaction,
    read_reply,
    show_reply,
    shown_replies,
)
from node.runtime import Node
from tests.node.effects.test_process import a_document
from tests.rig.publications import a_case, publish_case, withdraw_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import PUBLIC

NOTE = "https://stranger.example/notes/1"


@pytest.fixture
def stranger(town: Town) -> Stranger:
    return Stranger(town)


@pytest.fixture
def node(town: Town) -> Node:
    return town["a"].node


async def say(town: Town, stranger: Stranger, kind: str, object_: object, **more: Any) -> None:
    town.clock.forward(seconds=1)
    assert (await stranger.post("a", stranger.activity(kind, object_, **more))).status_code == 202
    await town.settle()


async def befriend(town: Town, node: Node, stranger: Stranger) -> None:
    """The node follows somebody, who accepts."""
    us = local_actor_at(node.settings, node.settings.main_actor)
    them = await find_actor(node, stranger.id)
    assert us is not None
    async with node.database.begin() as session:
        await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
    await town.settle()
    (asked,) = [one for one in stranger.received if one["type"] == "Follow"]
    await say(town, stranger, "Accept", asked)


async def counted(node: Node, url: str) -> dict[str, int]:
    async with node.database.read() as session:
        return await count_reactions(session, url)


def a_reply(stranger: Stranger, url: str, **more: Any) -> dict[str, Any]:
    note = {
        "id": NOTE,
        "type": "Note",
        "attributedTo": stranger.id,
        "inReplyTo": url,
        "content": "<p>A reply (fictional)</p>",
        "to": [PUBLIC],
        **more,
    }
    stranger.documents["/notes/1"] = {"@context": "https://www.w3.org/ns/activitystreams", **note}
    return note


@pytest.mark.parametrize("kind", ["Like", "Announce", "EmojiReact"])
@pytest.mark.parametrize("inner_id", ["https://stranger.example/activities/made-anew", None])
async def test_a_like_or_boost_is_taken_back_under_whatever_id(
    town: Town, node: Node, stranger: Stranger, kind: str, inner_id: str | None
) -> None:
    url = (await publish_case(node)).url
    other = Stranger(town, "other.example", key="other")
    await say(town, stranger, kind, url)
    inner = {"type": kind, "actor": stranger.id, "object": url} | ({"id": inner_id} if inner_id else {})

    await say(town, other, "Undo", inner)
    assert sum((await counted(node, url)).values()) == 1

    await say(town, stranger, "Undo", inner)
    assert await counted(node, url) == {}


async def test_what_an_actor_said_goes_with_the_actor(town: Town, node: Node, stranger: Stranger) -> None:
    url = (await publish_case(node)).url
    other = Stranger(town, "other.example", key="other")
    await say(town, other, "Like", url)
    await say(town, stranger, "Like", url)
    await say(town, stranger, "Create", a_reply(stranger, url))
    async with node.database.begin() as session:
        await show_reply(session, NOTE, await read_reply(node, NOTE), by="somebody", now=node.clock.now())

    await say(town, stranger, "Delete", stranger.id)

    assert await counted(node, url) == {"like": 1}
    async with node.database.read() as session:
        assert await shown_replies(session, url) == []


async def test_a_reply_is_noted_whatever_its_type(town: Town, node: Node, stranger: Stranger) -> None:
    url = (await publish_case(node)).url

    await say(town, stranger, "Create", a_reply(stranger, url, type="Article", name="At length (fictional)"))

    assert await counted(node, url) == {"reply": 1}


ELSEWHERE = "https://elsewhere.example/notes/7"


@pytest.mark.parametrize("kind", ["Note", "Article"])
@pytest.mark.parametrize("how", ["embedded", "named", "asked for"])
async def test_a_reply_to_several_things_waits_with_the_first_case_of_ours_and_is_shown_there(
    town: Town, node: Node, stranger: Stranger, how: str, kind: str
) -> None:
    first, second = (await publish_case(node)).url, (await publish_case(node)).url
    note = a_reply(stranger, first, type=kind, name="x", inReplyTo=[ELSEWHERE, first, {"id": second}])
    await befriend(town, node, stranger)

    if how == "asked for":
        await say(town, stranger, "ReplyRequest", first, instrument=note)
    else:
        await say(town, stranger, "Create", note if how == "embedded" else NOTE)
    assert await counted(node, first) == {"reply": 1}
    assert await counted(node, second) == {}
    async with node.database.begin() as session:
        await show_reply(session, NOTE, await read_reply(node, NOTE), by="somebody", now=node.clock.now())

    async with node.database.read() as session:
        assert [reply.id for reply in await shown_replies(session, first)] == [NOTE]


async def test_a_case_of_somebody_we_follow_that_answers_several_is_a_reply_whatever_it_brings(
    town: Town, node: Node, stranger: Stranger
) -> None:
    url = (await publish_case(node)).url
    await befriend(town, node, stranger)
    case = {name: value for name, value in a_document(stranger, town).items() if name != "proof"}
    reply = attach(case | {"inReplyTo": [ELSEWHERE, url]}, stranger.prover(), now=town.clock.now())

    await say(town, stranger, "Create", reply)

    assert await counted(node, url) == {"reply": 1}
    async with node.database.read() as session:
        assert await session.get(Entry, case["id"]) is None


@pytest.mark.parametrize("authors", [["{sam}", "{other}"], ["{other}", "{sam}"], ["{other}"]])
@pytest.mark.parametrize("how", ["its author", "somebody else"])
async def test_a_reply_is_of_whoever_sends_it_wherever_they_stand_among_its_authors(
    town: Town, node: Node, stranger: Stranger, authors: list[str], how: str
) -> None:
    url = (await publish_case(node)).url
    other = Stranger(town, "other.example", key="other")
    named = [one.format(sam=stranger.id, other=other.id) for one in authors]
    note = a_reply(stranger, url, attributedTo=named)
    said = stranger.activity("Create", note)

    await (stranger if how == "its author" else other).post("a", said)
    await town.settle()

    assert await counted(node, url) == ({"reply": 1} if len(authors) == 2 else {})


async def test_what_answers_somebody_who_is_shut_out_is_not_noted_wherever_it_says_so(
    town: Town, node: Node, stranger: Stranger
) -> None:
    url = (await publish_case(node)).url
    async with node.database.begin() as session:
        await decide(session, "elsewhere.example", "block", reason="", now=node.clock.now())

    await say(town, stranger, "Create", a_reply(stranger, url, inReplyTo=[url, ELSEWHERE]))

    assert await counted(node, url) == {}


async def test_a_reply_that_is_only_named_is_read_at_its_authors_server(
    town: Town, node: Node, stranger: Stranger
) -> None:
    url = (await publish_case(node)).url
    a_reply(stranger, url)
    other = Stranger(town, "other.example", key="other")

    await say(town, other, "Create", NOTE)
    assert await counted(node, url) == {}
    assert "/notes/1" not in stranger.asked

    await say(town, stranger, "Create", NOTE)
    assert await counted(node, url) == {"reply": 1}


async def test_what_is_named_and_answers_no_case_of_ours_is_not_kept(
    town: Town, node: Node, stranger: Stranger
) -> None:
    await publish_case(node)
    a_reply(stranger, "https://elsewhere.example/notes/7")

    await say(town, stranger, "Create", NOTE)

    async with node.database.read() as session:
        assert (await session.scalars(select(Reaction.id))).all() == []


async def test_a_reply_of_somebody_we_follow_that_is_only_named_is_noted_too(
    town: Town, node: Node, stranger: Stranger
) -> None:
    url = (await publish_case(node)).url
    a_reply(stranger, url)
    await befriend(town, node, stranger)

    await say(town, stranger, "Create", NOTE)

    assert await counted(node, url) == {"reply": 1}


async def test_a_shown_reply_of_somebody_we_follow_that_becomes_a_case_is_shown_no_more(
    town: Town, node: Node, stranger: Stranger
) -> None:
    url = (await publish_case(node)).url
    await befriend(town, node, stranger)
    case = a_document(stranger, town)
    reply = attach(
        {name: value for name, value in case.items() if name != "proof"} | {"inReplyTo": url},
        stranger.prover(),
        now=town.clock.now(),
    )
    stranger.documents["/cases/c1"] = reply
    await say(town, stranger, "Create", reply)
    async with node.database.begin() as session:
        text = await read_reply(node, case["id"])
        await show_reply(session, case["id"], text, by="somebody", now=node.clock.now())

    town.clock.forward(minutes=10)
    await say(town, stranger, "Update", a_document(stranger, town, minutes=1))

    async with node.database.read() as session:
        assert await shown_replies(session, url) == []


@pytest.mark.parametrize("kind", ["Note", "Article"])
@pytest.mark.parametrize("how", ["embedded", "named"])
async def test_a_shown_reply_that_is_changed_is_shown_no_more_whatever_its_shape(
    town: Town, node: Node, stranger: Stranger, kind: str, how: str
) -> None:
    url = (await publish_case(node)).url
    note = a_reply(stranger, url, type=kind)
    await say(town, stranger, "Create", note)
    async with node.database.begin() as session:
        await show_reply(session, NOTE, await read_reply(node, NOTE), by="somebody", now=node.clock.now())

    await say(town, Stranger(town, "other.example", key="other"), "Update", NOTE)
    async with node.database.read() as session:
        assert len(await shown_replies(session, url)) == 1
    await say(town, stranger, "Update", note if how == "embedded" else NOTE)

    async with node.database.read() as session:
        assert await shown_replies(session, url) == []


@pytest.mark.parametrize(
    "to", [["https://a.example/actors/cases"], ["https://stranger.example/users/sam/followers"]]
)
async def test_a_reply_that_is_not_for_everybody_is_read_and_never_shown(
    town: Town, node: Node, stranger: Stranger, to: list[str]
) -> None:
    url = (await publish_case(node)).url
    await say(town, stranger, "Create", a_reply(stranger, url, to=to), to=to)

    text = await read_reply(node, NOTE)
    assert "A reply (fictional)" in text.content
    async with node.database.begin() as session:
        with pytest.raises(NotAllowed):
            await show_reply(session, NOTE, text, by="somebody", now=node.clock.now())

    async with node.database.read() as session:
        assert await shown_replies(session, url) == []


async def test_a_report_that_says_why_in_its_summary_keeps_its_words(
    town: Town, node: Node, stranger: Stranger
) -> None:
    url = (await publish_case(node)).url

    await say(town, stranger, "Flag", url, summary="Names somebody (fictional)")

    async with node.database.read() as session:
        assert await session.scalar(select(Report.text)) == "Names somebody (fictional)"


async def test_who_shared_or_quoted_a_case_hears_that_it_is_corrected_or_withdrawn(
    town: Town, node: Node, stranger: Stranger
) -> None:
    publication = await publish_case(node, a_case())
    other = Stranger(town, "other.example", key="other")
    await say(town, other, "Announce", publication.url)
    async with node.database.begin() as session:
        await keep_reaction(
            session, id=NOTE, kind="quote", actor=other.id, case_url=publication.url, now=node.clock.now()
        )
    await say(town, stranger, "Follow", "https://a.example/actors/nobody")

    await withdraw_case(node, publication)
    await town.settle()

    told = [
        (one["type"], one["object"] if isinstance(one["object"], str) else one["object"]["id"])
        for one in other.received
    ]
    assert told == [("Delete", publication.url)]
    assert all(one["type"] != "Delete" for one in stranger.received)
