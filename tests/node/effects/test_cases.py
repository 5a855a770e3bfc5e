"""What is read for many at once believes nobody whom the ordinary way would not: what is not plain is left to it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from federation import proofs
from federation.proofs import attach
from node.effects.cases import Member, members_among, read_plain
from node.hub.aggregate import Brought
from node.peers.actors import FRESH
from node.peers.follows import between
from tests.node.effects.test_process import a_document, admit, victim
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.activities import read_activity

__all__ = ["victim"]


async def members(town: Town, stranger: Stranger) -> dict[str, Member]:
    node = town.hub.node
    async with node.database.read() as session:
        return await members_among(session, node.settings, [stranger.id])


async def read(
    town: Town, stranger: Stranger, kind: str, object_: Any, *, site: str = "hub", **of: Any
) -> tuple[Brought, ...] | None:
    """What a site reads of it, when the publisher is as the hub knows it but for `of`."""
    known = await members(town, stranger)
    changed = {stranger.id: replace(known[stranger.id], **of)}
    said = read_activity(stranger.activity(kind, object_))
    return read_plain(town[site].settings, said, changed, now=town.clock.now())


def anew(stranger: Stranger, town: Town, **changed: Any) -> dict[str, Any]:
    """A case with other members, as its publisher signs it."""
    return attach(a_document(stranger, town) | changed, stranger.prover(), now=town.clock.now())


async def test_a_case_of_somebody_followed_is_plain_while_the_follow_stands(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    node = town.hub.node
    async with node.database.read() as session:
        follow = await between(session, node.settings.main_actor, victim.id)
    assert follow is not None
    assert await read(town, victim, "Create", a_document(victim, town)) is not None

    await victim.post("hub", victim.activity("Reject", follow.activity))
    await town.settle()

    assert await members(town, victim) == {}


async def test_an_actor_that_is_gone_is_among_nobody_followed(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    assert await members(town, victim) != {}

    await victim.post("hub", victim.activity("Delete", victim.id))
    await town.settle()

    assert await members(town, victim) == {}


async def test_what_was_made_after_its_key_was_retired_is_not_plain(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    case, key_id, now = a_document(victim, town), victim.prover().key_id, town.clock.now()

    assert await read(town, victim, "Create", case, retired={key_id: now}) is not None
    assert await read(town, victim, "Create", case, retired={key_id: now - timedelta(minutes=1)}) is None


async def test_a_publisher_who_was_not_asked_for_long_is_asked_before_its_case_is_read(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    case, now = a_document(victim, town), town.clock.now()

    assert await read(town, victim, "Create", case, fetched_at=now - FRESH + timedelta(seconds=1)) is not None
    assert await read(town, victim, "Create", case, fetched_at=now - FRESH) is None


async def test_a_case_under_the_address_of_its_publisher_is_not_plain(town: Town, victim: Stranger) -> None:
    await admit(town, victim)

    assert await read(town, victim, "Update", anew(victim, town, updated="2026-11-21T12:00:01Z")) is not None
    assert await read(town, victim, "Update", anew(victim, town, id=victim.id)) is None


async def test_a_case_that_answers_something_is_not_plain(town: Town, victim: Stranger) -> None:
    await admit(town, victim)

    answer = anew(victim, town, inReplyTo="https://hub.example/cases/1")

    assert await read(town, victim, "Create", answer) is None


async def test_a_newer_version_is_plain_on_a_hub_and_not_where_a_desk_decides_of_it(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)
    newer = a_document(victim, town, minutes=1)

    assert await read(town, victim, "Update", newer) is not None
    assert await read(town, victim, "Create", newer, site="a") is not None
    assert await read(town, victim, "Update", newer, site="a") is None


async def test_no_graph_is_sorted_while_others_wait(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admit(town, victim)
    case = a_document(victim, town)
    monkeypatch.setattr("federation.proofs.jsonld.canonize", None)

    of_a_graph = case | {"proof": case["proof"] | {"cryptosuite": proofs.RDFC}}

    assert await read(town, victim, "Create", of_a_graph) is None
