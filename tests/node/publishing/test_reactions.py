"""What others say of a case of ours: counted once each, and no host fills the desk."""

import pytest
from sqlalchemy import select

from node.publishing import reactions
from node.publishing.reactions import Reaction, count_reactions, replies
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
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
