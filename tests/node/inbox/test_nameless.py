"""Activities without an id, which ActivityPub §3.1 lets be transient: heard from their actor, and from nobody else."""

import logging
from typing import Any

import pytest
from sqlalchemy import func, select

from federation.proofs import attach
from node.entries.search import entry_at
from node.inbox.keeping import Received
from node.publishing.publications import Publication
from node.publishing.reactions import count_reactions
from tests.attacks.stage import Stage, reasons
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import PUBLIC

NOTE = "https://stranger.example/notes/1"


@pytest.fixture
def stranger(town: Town) -> Stranger:
    return Stranger(town)


@pytest.fixture
async def publication(town: Town) -> Publication:
    return await publish_case(town["a"].node)


def nameless(stranger: Stranger, kind: str, object_: object, **more: Any) -> dict[str, Any]:
    said = stranger.activity(kind, object_, **more)
    return {name: value for name, value in said.items() if name != "id"}


async def answers(town: Town, stranger: Stranger, said: dict[str, Any]) -> int:
    status = (await stranger.post("a", said)).status_code
    await town.settle()
    return status


async def counted(town: Town, publication: Publication) -> dict[str, int]:
    async with town["a"].node.database.read() as session:
        return await count_reactions(session, publication.url)


async def kept(town: Town) -> int:
    async with town["a"].node.database.read() as session:
        return await session.scalar(select(func.count()).select_from(Received)) or 0


async def reply(town: Town, stranger: Stranger, publication: Publication) -> None:
    note = {"id": NOTE, "type": "Note", "attributedTo": stranger.id, "content": "<p>A reply (fictional)</p>"}
    note |= {"inReplyTo": publication.url, "to": PUBLIC}
    assert await answers(town, stranger, stranger.activity("Create", note)) == 202
    assert await counted(town, publication) == {"reply": 1}


@pytest.mark.parametrize("name", [None, ""])
@pytest.mark.parametrize("about", [NOTE, {"id": NOTE, "type": "Tombstone"}])
async def test_a_reply_is_deleted_without_an_id(
    town: Town, stranger: Stranger, publication: Publication, about: object, name: str | None
) -> None:
    """As django-activitypub 0.0.2 does."""
    await reply(town, stranger, publication)

    assert await answers(town, stranger, nameless(stranger, "Delete", about) | {"id": name}) == 202

    assert await counted(town, publication) == {}


async def test_nobody_deletes_anothers_reply_without_an_id(
    town: Town, stranger: Stranger, publication: Publication
) -> None:
    await reply(town, stranger, publication)
    mallory = Stranger(town, "evil.example", "mallory", key="other")

    await answers(town, mallory, nameless(mallory, "Delete", NOTE))
    assert await answers(town, mallory, nameless(mallory, "Delete", NOTE, actor=stranger.id)) == 401

    assert await counted(town, publication) == {"reply": 1}


async def test_what_is_passed_on_needs_an_id_though_its_actor_proved_it(
    town: Town, stranger: Stranger, publication: Publication, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    other = Stranger(town, "other.example", key="other")
    proven = attach(nameless(stranger, "Like", publication.url), stranger.prover(), now=town.clock.now())
    before = await kept(town)

    assert await answers(town, other, proven) == 401

    assert reasons(caplog) == ["passed-on-without-an-id"]
    assert (await kept(town), await counted(town, publication)) == (before, {})


async def test_a_like_without_an_id_is_one_however_often_it_comes_and_is_taken_back(
    town: Town, stranger: Stranger, publication: Publication
) -> None:
    like = nameless(stranger, "Like", publication.url)

    assert [await answers(town, stranger, like) for _ in range(2)] == [202, 202]
    assert await counted(town, publication) == {"like": 1}

    assert await answers(town, stranger, nameless(stranger, "Undo", like)) == 202
    assert await counted(town, publication) == {}


@pytest.mark.parametrize("kind", ["Follow", "Create", "Announce", "LikeRequest", "QuoteRequest", "as:Delete"])
async def test_what_others_name_or_ask_for_needs_an_id(town: Town, stranger: Stranger, kind: str) -> None:
    said = nameless(stranger, kind, "https://a.example/actors/cases")

    for one in (said, said | {"id": None}, said | {"id": ""}, said | {"type": ["Delete", kind]}):
        assert await answers(town, stranger, one) == 400

    assert (stranger.asked, await kept(town)) == ([], 0)


@pytest.mark.parametrize("kind", ["Add", "Remove"])
async def test_what_stands_first_elsewhere_is_accepted_and_has_no_effect(
    town: Town, stranger: Stranger, kind: str
) -> None:
    """Mastodon tells its followers so of the posts that somebody pins."""
    said = nameless(stranger, kind, NOTE, target=f"{stranger.id}/collections/featured")

    assert await answers(town, stranger, said) == 202


async def test_a_hub_keeps_a_correction_without_an_id_and_passes_it_on_to_nobody(town: Town) -> None:
    stage = Stage(town)
    member, follower = await stage.victim(), stage.stranger(key="peer")
    await stage.send(follower, follower.activity("Follow", town.hub.settings.main_actor))
    await stage.send(follower, follower.activity("Follow", PUBLIC, number=2))
    first = stage.case(member)
    await stage.send(member, stage.prove(member, member.activity("Create", first, to=[PUBLIC])))
    heard = len(follower.received)

    town.clock.forward(minutes=5)
    case = stage.case(member, minutes=5, fields={"title": {"en": "As it is"}})
    said = nameless(member, "Update", case, to=[PUBLIC])
    assert await stage.send(member, stage.prove(member, said)) == 202

    async with town.hub.node.database.read() as session:
        entry = await entry_at(session, str(first["id"]))
    assert entry is not None
    assert entry.case is not None
    assert entry.case.title == {"en": "As it is"}
    assert "Create" in {one["type"] for one in follower.received[:heard]}
    assert follower.received[heard:] == []
