"""The shapes in which other software says the same things: each is understood, and what is not known has no effect."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from federation.proofs import attach
from node.inbox.keeping import Received
from node.peers.actors import RemoteActor
from node.peers.directory import find_actor
from node.peers.follows import between, follow
from node.peers.ours import local_actor_at
from node.publishing.reactions import count_reactions
from tests.attacks.stage import Stage
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import AS, PUBLIC

US = "https://a.example/actors/cases"
EXPANDED = f"{AS}#"


@pytest.fixture
def reader(town: Town) -> Stranger:
    """Somebody on a server of another kind."""
    return Stranger(town, "reader.example", "rita", key="peer")


async def state(town: Town, reader: Stranger) -> str | None:
    await town.settle()
    async with town["a"].node.database.read() as session:
        row = await between(session, reader.id, US)
    return row.state if row else None


FOLLOWS: dict[str, Any] = {
    "a list of one": {"object": [US]},
    "the actor embedded": {"object": {"id": US, "type": "Organization"}},
    "the actor as a link": {"object": {"type": "Link", "href": US}},
    "its own actor embedded": {"actor": {"id": "https://reader.example/users/rita", "type": "Person"}},
    "a list of types": {"type": ["Follow"]},
    "a type in full": {"type": f"{EXPANDED}Follow"},
    "a type with its prefix": {"type": "as:Follow"},
    "no context": {"@context": None},
    "a context of their own": {"@context": [AS, "https://own.example/ns", {"x": "https://own.example/ns#"}]},
    "the context in a list": {"@context": [AS]},
    "a signature that says nothing new": {"signature": {"type": "RsaSignature2017", "creator": "x"}},
    "members nobody knows": {"_misskey_x": {"a": [1, 2.5, None]}, "to": PUBLIC, "cc": []},
}


@pytest.mark.parametrize("shape", FOLLOWS)
async def test_a_follow_of_any_shape_is_answered(town: Town, reader: Stranger, shape: str) -> None:
    asked = reader.activity("Follow", US) | FOLLOWS[shape]
    asked = {name: value for name, value in asked.items() if value is not None}

    await reader.post("a", asked)

    assert await state(town, reader) == "accepted"
    assert [item["type"] for item in reader.received] == ["Accept"]
    assert reader.received[0]["object"]["id"] == asked["id"]


ASKED = "https://reader.example/activities/follow-1"
UNDONE: dict[str, Any] = {
    "only the id": ASKED,
    "a list of one id": [ASKED],
    "id and type": {"id": ASKED, "type": "Follow"},
    "the Follow": {"id": ASKED, "type": "Follow", "actor": "https://reader.example/users/rita", "object": US},
    "the Follow without an id": {"type": "Follow", "object": US},
    "the Follow under another id": {"id": "https://reader.example/x", "type": "Follow", "object": US},
    "the actor within": {"id": ASKED, "type": "Follow", "object": {"id": US, "type": "Organization"}},
    "a list of one type": {"id": ASKED, "type": ["Follow"], "object": [US]},
}


@pytest.mark.parametrize("shape", UNDONE)
async def test_an_undo_of_any_shape_ends_the_follow(town: Town, reader: Stranger, shape: str) -> None:
    await reader.post("a", reader.activity("Follow", US))
    before = await state(town, reader)

    await reader.post("a", reader.activity("Undo", UNDONE[shape]))

    assert before == "accepted"
    assert await state(town, reader) == "undone"


@pytest.mark.parametrize("shape", ["only the id", "id and type"])
async def test_nobody_ends_anothers_follow_by_its_id(town: Town, reader: Stranger, shape: str) -> None:
    other = Stranger(town, "evil.example", "mallory")
    await reader.post("a", reader.activity("Follow", US))
    await state(town, reader)

    await other.post("a", other.activity("Undo", UNDONE[shape]))

    assert await state(town, reader) == "accepted"


ANSWERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "only the id": lambda asked: asked["id"],
    "the Follow": lambda asked: asked,
    "the Follow under an id of their own": lambda asked: {**asked, "id": "https://reader.example/f"},
    "the Follow with its object within": lambda asked: {**asked, "object": {"id": asked["object"]}},
    "a list of one": lambda asked: [asked],
}


async def asked_to_follow(town: Town, reader: Stranger) -> dict[str, Any]:
    """The Follow that a node sends them."""
    node = town["a"].node
    us = local_actor_at(node.settings, US)
    assert us is not None
    them = await find_actor(node, reader.id)
    async with node.database.begin() as session:
        row = await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
        asked = dict(row.activity)
    await town.settle()
    return asked


def of_nobody(said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != "actor"} | more


@pytest.mark.parametrize("more", [{}, {"actor": ""}, {"id": ""}])
@pytest.mark.parametrize("kind", ["Accept", "Reject"])
async def test_an_answer_without_an_actor_is_of_whoever_was_asked_and_signs_it(
    town: Town, reader: Stranger, kind: str, more: dict[str, Any]
) -> None:
    """As f2ap 0.1.0 sends it."""
    asked = await asked_to_follow(town, reader)

    answer = await reader.post("a", of_nobody(reader.activity(kind, asked), **more))
    await town.settle()

    async with town["a"].node.database.read() as session:
        answered = await between(session, US, reader.id)
    assert answer.status_code == 202
    assert answered is not None
    assert answered.state == {"Accept": "accepted", "Reject": "rejected"}[kind]


@pytest.mark.parametrize("proven", [False, True])
@pytest.mark.parametrize("home", ["their own", "a neighbour's"])
async def test_an_answer_without_an_actor_is_not_taken_from_who_was_not_asked(
    town: Town, reader: Stranger, home: str, proven: bool
) -> None:
    asked = await asked_to_follow(town, reader)
    other = Stranger(town, "other.example" if home == "their own" else reader.host, "olga", key="third")
    Stage(town).neighbours(*((reader, other) if home != "their own" else (other,)))
    said = of_nobody(reader.activity("Accept", asked))
    if proven:
        said = attach(said, reader.prover(), now=town.clock.now())

    answer = await other.post("a", said)
    await town.settle()

    async with town["a"].node.database.read() as session:
        answered = await between(session, US, reader.id)
    assert answer.status_code == 401
    assert answered is not None
    assert answered.state == "requested"


NOT_OF_ITS_SIGNER: dict[str, dict[str, Any]] = {
    "another activity": {"type": "Follow", "object": US},
    "several types": {"type": ["Accept"]},
    "only the id of what was asked": {"object": "https://a.example/activities/1"},
    "nobody was asked": {"object": {"type": "Follow", "actor": US}},
    "two were asked": {"object": {"type": "Follow", "object": ["https://reader.example/users/rita", US]}},
    "an actor of no name": {"actor": {}},
    "several actors": {"actor": ["https://reader.example/users/rita", US]},
}


@pytest.mark.parametrize("more", NOT_OF_ITS_SIGNER.values(), ids=NOT_OF_ITS_SIGNER)
async def test_the_signer_stands_for_the_actor_of_nothing_else(
    town: Town, reader: Stranger, more: dict[str, Any]
) -> None:
    asked = await asked_to_follow(town, reader)

    answer = await reader.post("a", of_nobody(reader.activity("Accept", asked), **more))
    await town.settle()

    async with town["a"].node.database.read() as session:
        answered = await between(session, US, reader.id)
    assert answer.status_code == 400
    assert answered is not None
    assert answered.state == "requested"


async def test_an_answer_has_one_actor_however_that_is_spelled(town: Town, reader: Stranger) -> None:
    asked = await asked_to_follow(town, reader)
    other = "https://other.example/users/olga"

    await reader.post("a", of_nobody(reader.activity("Accept", asked), **{"as:actor": other}))
    await town.settle()

    async with town["a"].node.database.read() as session:
        answered = await between(session, US, reader.id)
    assert answered is not None
    assert answered.state == "requested"


@pytest.mark.parametrize("shape", ANSWERS)
async def test_an_accept_of_any_shape_is_one(town: Town, reader: Stranger, shape: str) -> None:
    node = town["a"].node
    asked = await asked_to_follow(town, reader)

    await reader.post("a", reader.activity("Accept", ANSWERS[shape](asked)))
    await town.settle()

    async with node.database.read() as session:
        answered = await between(session, US, reader.id)
    assert answered is not None
    assert answered.state == "accepted"


def reactions(url: str, author: str) -> dict[str, tuple[str, Any, dict[str, Any]]]:
    note = {"id": "https://reader.example/n", "attributedTo": author, "content": "<p>x</p>", "inReplyTo": url}
    return {
        "like": ("Like", url, {}),
        "like with a symbol": ("Like", url, {"content": "⭐", "_misskey_reaction": "⭐"}),
        "like of something embedded": ("Like", {"id": url, "type": "Article"}, {}),
        "emoji": ("EmojiReact", url, {"content": "🔥", "tag": [{"type": "Emoji", "name": ":x:"}]}),
        "boost": ("Announce", url, {"to": [PUBLIC], "published": "2026-11-21T10:00:00Z"}),
        "boost of a list": ("Announce", [url], {}),
        "boost of something embedded": ("Announce", {"id": url, "type": "Article", "name": "Forged"}, {}),
        "reply": ("Create", note | {"type": "Note"}, {}),
        "reply to a list": ("Create", note | {"type": "Note", "inReplyTo": [url]}, {}),
        "reply to something embedded": ("Create", note | {"type": "Note", "inReplyTo": {"id": url}}, {}),
        "reply by an embedded author": (
            "Create",
            note | {"type": "Note", "attributedTo": {"id": author, "type": "Person"}},
            {},
        ),
        "reply by a list of one": ("Create", note | {"type": "Note", "attributedTo": [author]}, {}),
        "poll": ("Create", note | {"type": "Question", "oneOf": [{"type": "Note", "name": "yes"}]}, {}),
        "page": ("Create", note | {"type": "Page", "name": "A page"}, {}),
        "several types": ("Create", note | {"type": ["Note", "https://own.example/ns#Opinion"]}, {}),
        "in a list": ("Create", [note | {"type": "Note"}], {}),
    }


@pytest.mark.parametrize("shape", reactions("", ""))
async def test_a_reaction_of_any_shape_is_counted(town: Town, reader: Stranger, shape: str) -> None:
    url = (await publish_case(town["a"].node)).url
    kind, about, more = reactions(url, reader.id)[shape]

    status = (await reader.post("a", reader.activity(kind, about, **more))).status_code
    await town.settle()

    async with town["a"].node.database.read() as session:
        counts = await count_reactions(session, url)
    expected = {"Like": "like", "EmojiReact": "like", "Announce": "boost", "Create": "reply"}[kind]
    assert (status, counts) == (202, {expected: 1})


@pytest.mark.parametrize(
    "about",
    [
        "https://reader.example/users/rita",
        {"id": "https://reader.example/users/rita", "type": "Person"},
        {"id": "https://reader.example/users/rita", "type": "Tombstone", "formerType": "Person"},
    ],
)
async def test_somebody_who_leaves_follows_no_more(town: Town, reader: Stranger, about: object) -> None:
    await reader.post("a", reader.activity("Follow", US))
    await state(town, reader)

    await reader.post("a", reader.activity("Delete", about))
    await town.settle()

    async with town["a"].node.database.read() as session:
        known = await session.get(RemoteActor, reader.id)
    async with town.visitor("a", headers={"accept": "application/activity+json"}) as http:
        followers = (await http.get("/actors/cases/followers")).json()["totalItems"]
    assert known is not None
    assert known.gone_at is not None
    assert followers == 0


UNKNOWN = [
    "View",
    "Listen",
    "Offer",
    "Invite",
    "TentativeAccept",
    "Arrive",
    "Dislike",
    "LikeRequest",
    "x:Kiss",
    "Note",
]


@pytest.mark.parametrize("kind", UNKNOWN)
async def test_what_we_do_not_know_is_accepted_and_has_no_effect(
    town: Town, reader: Stranger, kind: str
) -> None:
    url = (await publish_case(town["a"].node)).url

    answer = await reader.post("a", reader.activity(kind, url))
    await town.settle()

    async with town["a"].node.database.read() as session:
        unread = select(func.count()).select_from(Received).where(Received.body.is_not(None))
        assert await session.scalar(unread) == 0
        assert await count_reactions(session, url) == {}
    assert answer.status_code == 202
    assert reader.received == []
