"""A withdrawal that comes before its case, because somebody who passed it on was quicker than the author's own server."""

from typing import Any

import pytest
from sqlalchemy import select

from federation.proofs import attach
from node.effects import process
from node.entries.entries import Entry
from node.peers.directory import find_actor
from node.publishing.reactions import Reaction
from tests.attacks.stage import Stage
from tests.rig.publications import publish_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import PUBLIC

pytestmark = pytest.mark.both_databases


@pytest.fixture
def stage(town: Town) -> Stage:
    return Stage(town)


@pytest.fixture
async def alice(stage: Stage) -> Stranger:
    return await stage.victim()


def a_life(stage: Stage, author: Stranger) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The address of a case, its Create and its Delete, both proven."""
    case = stage.case(author)
    create = author.activity("Create", case, number=1, to=[PUBLIC])
    gone = {"id": case["id"], "type": "Tombstone"}
    delete = author.activity("Delete", gone, number=2, to=[PUBLIC])
    return case["id"], stage.prove(author, create), stage.prove(author, delete)


@pytest.mark.parametrize("how", ["bare", "wrapped"])
async def test_a_case_whose_withdrawal_was_passed_on_before_it_came_is_never_shown(
    stage: Stage, alice: Stranger, how: str
) -> None:
    someone = stage.stranger(key="peer")
    url, create, delete = a_life(stage, alice)

    await stage.send(someone, delete if how == "bare" else someone.activity("Announce", delete))
    await stage.send(alice, create)

    for path in ("/cases", "/", "/feeds/cases.atom"):
        assert url not in await stage.page(path)
    async with stage.town.visitor("hub") as http:
        outbox = (await http.get("/actors/hub/outbox?page=1")).json()
    assert outbox["orderedItems"] == []

    await stage.send(alice, delete)

    kept = await stage.entry(url)
    assert kept is not None
    assert (kept.state, kept.document, kept.fields) == ("unseen", b"", {})


@pytest.mark.parametrize("is_plain", [True, False])
async def test_a_withdrawal_that_is_worked_off_beside_its_case_wins(
    stage: Stage, alice: Stranger, monkeypatch: pytest.MonkeyPatch, is_plain: bool
) -> None:
    if not is_plain:
        monkeypatch.setattr(process, "read_plain", lambda *_given, **_more: None)
    someone = stage.stranger(key="peer")
    await find_actor(stage.town.hub.node, someone.id)
    url, create, delete = a_life(stage, alice)

    await alice.post("hub", create)
    await someone.post("hub", delete)
    await stage.town.settle()
    await stage.send(alice, delete)

    kept = await stage.entry(url)
    assert kept is not None
    assert kept.state in ("unseen", "withdrawn")


async def test_nobody_else_on_its_host_withdraws_a_case_before_it_comes(
    stage: Stage, alice: Stranger
) -> None:
    bob = Stranger(stage.town, alice.host, "bob", key="peer")
    stage.neighbours(alice, bob)
    await stage.admit(bob)
    url, create, delete = a_life(stage, alice)

    await stage.send(bob, bob.activity("Delete", url))
    assert (await stage.entry(url)).actor == bob.id  # type: ignore[union-attr]  # it is there
    await stage.send(alice, create)

    kept = await stage.entry(url)
    assert kept is not None
    assert (kept.state, kept.actor) == ("live", alice.id)

    await stage.send(alice, delete)
    assert (await stage.entry(url)).state == "withdrawn"  # type: ignore[union-attr]  # it is there


async def test_what_somebody_deletes_whom_nobody_follows_leaves_nothing(stage: Stage) -> None:
    mallory = stage.stranger()
    _, _, delete = a_life(stage, mallory)

    await stage.send(mallory, delete)

    async with stage.town.hub.node.database.read() as session:
        assert await session.scalar(select(Entry.id)) is None


async def test_a_reply_whose_delete_was_passed_on_before_it_came_is_dropped_by_its_authors_own(
    stage: Stage,
) -> None:
    node = stage.town["a"].node
    publication = await publish_case(node)
    reader, someone = stage.stranger(name="reader"), stage.stranger(key="peer")
    note = {
        "id": f"https://{reader.host}/notes/1",
        "type": "Note",
        "attributedTo": reader.id,
        "inReplyTo": publication.url,
        "content": "x",
    }
    delete = attach(
        reader.activity("Delete", note["id"], number=2), reader.prover(), now=stage.town.clock.now()
    )

    await stage.send(someone, delete, to="a")
    await stage.send(reader, reader.activity("Create", note), to="a")
    await stage.send(reader, delete, to="a")

    async with node.database.read() as session:
        assert await session.get(Reaction, note["id"]) is None
