"""Posts that quote a case of ours without having asked, in the words of each kind of server: counted, told of what becomes of it."""

import logging
from typing import Any

import pytest

from federation import ldsignatures
from federation.proofs import attach
from node.effects import handlers
from node.entries.entries import Entry
from node.publishing import reactions
from node.publishing.publications import Publication
from node.publishing.reactions import count_reactions, shown_replies
from node.runtime import Node
from tests.attacks.stage import reasons
from tests.node.effects.test_process import a_document
from tests.node.effects.test_taken_back import befriend
from tests.rig.publications import publish_case, withdraw_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import AS, PUBLIC

POST = "https://reader.example/notes/1"
WORDS: dict[str, str] = {
    "quote": "https://w3id.org/fep/044f#quote",
    "quoteUrl": "as:quoteUrl",
    "quoteUri": "http://fedibird.com/ns#quoteUri",
    "_misskey_quote": "https://misskey-hub.net/ns#_misskey_quote",
}


@pytest.fixture
def reader(town: Town) -> Stranger:
    """Somebody on a server that quotes."""
    return Stranger(town, "reader.example", "rita", key="peer")


@pytest.fixture
def node(town: Town) -> Node:
    return town["a"].node


@pytest.fixture
async def case(node: Node) -> Publication:
    return await publish_case(node)


def a_post(by: Stranger, **more: Any) -> dict[str, Any]:
    return {
        "id": POST,
        "type": "Note",
        "attributedTo": by.id,
        "content": "<p>Read this (fictional)</p>",
        "published": "2026-11-21T10:00:00Z",
        "to": [PUBLIC],
        **more,
    }


async def say(
    town: Town, by: Stranger, post: dict[str, Any], kind: str = "Create", number: int = 1, **more: Any
) -> None:
    town.clock.forward(seconds=1)
    answer = await by.post("a", by.activity(kind, post, number=number, **more))
    assert answer.status_code == 202
    await town.settle()


async def counted(node: Node, case: Publication) -> dict[str, int]:
    async with node.database.read() as session:
        return await count_reactions(session, case.url)


SPELLINGS = {name: (lambda url, name=name: {name: url}) for name in WORDS} | {
    "in full": lambda url: {"as:quoteUrl": url},
    "a list": lambda url: {"quote": [url]},
    "embedded": lambda url: {"quote": {"id": url, "type": "Article"}},
    "several that name the same": lambda url: dict.fromkeys(WORDS, url),
    "beside another": lambda url: {"quote": ["https://elsewhere.example/1", url]},
    "in an article": lambda url: {"quoteUrl": url, "type": "Article", "name": "At length (fictional)"},
    "in an answer to somebody else": lambda url: {
        "quoteUrl": url,
        "inReplyTo": "https://elsewhere.example/1",
    },
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_post_that_quotes_a_case_is_counted_however_it_says_so(
    town: Town, node: Node, reader: Stranger, case: Publication, spelling: str
) -> None:
    await say(town, reader, a_post(reader, **SPELLINGS[spelling](case.url)))

    assert await counted(node, case) == {"quote": 1}
    async with node.database.read() as session:
        assert await shown_replies(session, case.url) == []
    assert [one["type"] for one in reader.received] == []


async def test_a_case_that_quotes_another_is_a_case(
    town: Town, node: Node, reader: Stranger, case: Publication
) -> None:
    await befriend(town, node, reader)
    theirs = {name: value for name, value in a_document(reader, town).items() if name != "proof"}
    theirs = attach(theirs | {"quoteUrl": case.url}, reader.prover(), now=town.clock.now())

    await say(town, reader, theirs)

    async with node.database.read() as session:
        assert await session.get(Entry, theirs["id"]) is not None
    assert await counted(node, case) == {}


@pytest.mark.parametrize("how", ["quoteUrl", "inReplyTo"])
async def test_who_quotes_or_answers_a_case_of_another_organisation_tells_its_own_server(
    town: Town, node: Node, reader: Stranger, how: str
) -> None:
    await befriend(town, node, reader)
    theirs = a_document(reader, town)
    await say(town, reader, theirs)
    other = Stranger(town, "other.example", key="other")

    await say(town, other, a_post(other, id="https://other.example/notes/1", **{how: theirs["id"]}))

    async with node.database.read() as session:
        assert await session.get(Entry, theirs["id"]) is not None
        assert await count_reactions(session, theirs["id"]) == {}


async def test_what_quotes_and_answers_a_case_is_a_reply_for_the_desk(
    town: Town, node: Node, reader: Stranger, case: Publication
) -> None:
    await say(town, reader, a_post(reader, inReplyTo=case.url, quoteUrl=case.url))

    assert await counted(node, case) == {"reply": 1}


@pytest.mark.parametrize(
    "post",
    [
        {"attributedTo": "https://elsewhere.example/users/x"},
        {"id": "https://elsewhere.example/notes/1"},
        {"quoteUrl": "https://a.example/cases/none"},
        {"quoteUrl": "https://elsewhere.example/notes/7"},
    ],
)
async def test_a_quote_of_something_else_or_by_somebody_else_is_not_kept(
    town: Town, node: Node, reader: Stranger, case: Publication, post: dict[str, Any]
) -> None:
    await say(town, reader, a_post(reader, **{"quoteUrl": case.url, **post}))

    assert await counted(node, case) == {}


async def test_one_actor_quotes_a_case_so_often_unasked_and_a_post_that_is_known_is_no_more(
    town: Town,
    node: Node,
    reader: Stranger,
    case: Publication,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(handlers, "MAX_ASKED", 2)

    for number, post in enumerate((1, 2, 2, 3)):
        named = f"https://reader.example/notes/{post}"
        await say(town, reader, a_post(reader, id=named, quoteUrl=case.url), number=number)

    assert await counted(node, case) == {"quote": 2}
    assert reasons(caplog).count("too many quotes of one actor") == 1


async def test_of_one_site_only_so_many_quotes_are_kept(
    town: Town,
    node: Node,
    reader: Stranger,
    case: Publication,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(reactions, "MOST_OF_A_SITE", 1)
    neighbour = Stranger(town, "other.reader.example", key="other")

    await say(town, reader, a_post(reader, quote=case.url))
    await say(town, neighbour, a_post(neighbour, id="https://other.reader.example/notes/1", quote=case.url))

    assert await counted(node, case) == {"quote": 1}
    assert "too many quotes of one site" in reasons(caplog)


async def test_who_quotes_unasked_hears_that_the_case_is_withdrawn_and_who_deleted_the_post_does_not(
    town: Town, node: Node, reader: Stranger, case: Publication
) -> None:
    other = Stranger(town, "other.example", key="other")
    await say(town, reader, a_post(reader, _misskey_quote=case.url))
    theirs = a_post(other, id="https://other.example/notes/1", quoteUri=case.url)
    await say(town, other, theirs)
    before = await counted(node, case)
    await say(town, other, {"id": theirs["id"], "type": "Tombstone"}, "Delete")

    await withdraw_case(node, case)
    await town.settle()
    await say(town, other, theirs | {"id": "https://other.example/notes/2"}, number=2)

    assert before == {"quote": 2}
    assert [one["type"] for one in reader.received] == ["Delete"]
    assert other.received == []
    assert await counted(node, case) == {"quote": 1}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("is_signed", [True, False])
async def test_a_quote_that_somebody_passes_on_counts_under_its_authors_signature_alone(
    town: Town, node: Node, reader: Stranger, case: Publication, word: str, is_signed: bool
) -> None:
    mallory = Stranger(town, "evil.example", "mallory", key="other")
    post = a_post(reader, **{word: case.url})
    reader.documents["/notes/1"] = {"@context": AS, **post}
    said = reader.activity("Create", post)
    said["@context"] = [AS, "https://w3id.org/security/v1", {word: {"@id": WORDS[word], "@type": "@id"}}]
    if is_signed:
        said = ldsignatures.attach(said, reader.signer(), now=town.clock.now())

    await mallory.post("a", said)
    await town.settle()

    assert await counted(node, case) == ({"quote": 1} if is_signed else {})
    assert "/notes/1" not in reader.asked
