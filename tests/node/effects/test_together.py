"""Cases that are worked off together: each as by itself, in its order, and none hurt by another that cannot be kept."""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import func, select

from federation.proofs import attach
from node.effects import cases, process
from node.entries.search import Filter, search
from node.errors import NoRoom
from node.hub import aggregate
from node.hub.aggregate import Ready
from node.hub.quarantine import NOT_A_MEMBER, waiting
from node.inbox.keeping import Received
from node.outbox import Job
from node.peers import sending
from node.peers.actors import RemoteActor
from node.peers.follows import between
from node.peers.sending import Sent
from tests.node.effects.test_process import a_document, admit, at_hub, victim
from tests.rig.stranger import Stranger
from tests.rig.town import Town
from vocab.terms import PUBLIC

__all__ = ["victim"]

pytestmark = pytest.mark.both_databases


async def announced(town: Town) -> int:
    """How many cases the hub has announced from its main actor."""
    async with town.hub.node.database.read() as session:
        mine = (Sent.actor == town.hub.settings.main_actor, Sent.type == "Announce")
        return await session.scalar(select(func.count()).select_from(Sent).where(*mine)) or 0


async def say(stranger: Stranger, kind: str, object_: object, number: int) -> None:
    """Post to the hub, which works it off together with what comes next."""
    await stranger.post("hub", stranger.activity(kind, object_, number=number))


async def test_many_cases_are_kept_and_announced_without_going_one_by_one(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admit(town, victim)
    monkeypatch.setattr("node.effects.handlers.take_followed_case", None)

    for number in range(5):
        await say(victim, "Create", a_document(victim, town, f"c{number}"), number)
    await town.settle()

    assert all([await at_hub(town, f"c{number}") for number in range(5)])
    assert await announced(town) == 5
    async with town.hub.node.database.read() as session:
        assert await session.scalar(select(Received.digest).where(Received.body.is_not(None))) is None


async def test_a_large_case_is_kept_by_itself(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty of them, each announced by many, would be more than one transaction is to hold."""
    await admit(town, victim)
    monkeypatch.setattr(process, "read_plain", None)
    bare = {name: value for name, value in a_document(victim, town).items() if name != "proof"}
    large = attach(bare | {"padding": "x" * 65_000}, victim.prover(), now=town.clock.now())

    await say(victim, "Create", large, 1)
    await town.settle()

    assert await at_hub(town) is not None


async def test_versions_that_come_together_are_kept_in_their_order(town: Town, victim: Stranger) -> None:
    await admit(town, victim)

    await say(victim, "Create", a_document(victim, town), 1)
    await say(victim, "Update", a_document(victim, town, minutes=2, title={"en": "The second"}), 2)
    await say(victim, "Update", a_document(victim, town, minutes=1, title={"en": "The first"}), 3)
    await town.settle()

    assert (await at_hub(town)).case.title["en"] == "The second"
    assert await announced(town) == 1


async def test_a_case_is_announced_once_though_two_versions_of_it_are_made_ready_at_one_moment(
    town: Town, victim: Stranger
) -> None:
    """What is said of it is written before anybody can tell who is the first to keep it."""
    await admit(town, victim)
    node, now = town.hub.node, town.clock.now()
    async with node.database.read() as session:
        publisher = await session.get_one(RemoteActor, victim.id)
    brought = [
        aggregate.read_brought(
            a_document(victim, town, minutes=n), publisher=publisher, proof_key="", now=now
        )
        for n in (0, 1)
    ]

    ready = [await aggregate.make_ready(node, [one]) for one in brought if one is not None]
    for version in ready:
        async with node.database.begin() as session:
            await aggregate.take_in(session, version, now=now)

    assert [bool(version[0].announced) for version in ready] == [True, True]
    assert await announced(town) == 1


async def test_a_withdrawal_does_not_overtake_the_case_it_comes_with(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    case = a_document(victim, town)

    await say(victim, "Create", case, 1)
    await say(victim, "Delete", {"id": case["id"], "type": "Tombstone"}, 2)
    await say(victim, "Update", a_document(victim, town, minutes=1), 3)
    await town.settle()

    assert (await at_hub(town)).withdrawn_at is not None


@pytest.mark.parametrize("failures", [1, 2])
async def test_a_reading_that_fails_once_or_twice_lets_nothing_overtake(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    await admit(town, victim)
    case = a_document(victim, town)
    read = cases.members_among
    failed: list[Any] = []

    async def members_among(*given: Any) -> Any:
        if len(failed) < failures:
            failed.append(given)
            raise OSError("the connection was lost")
        return await read(*given)

    monkeypatch.setattr(process, "members_among", members_among)
    await say(victim, "Create", case, 1)
    await say(victim, "Delete", {"id": case["id"], "type": "Tombstone"}, 2)
    await town.settle()

    assert (await at_hub(town)).withdrawn_at is not None


async def test_whoever_ends_the_follow_adds_nothing_after_it(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    node = town.hub.node
    async with node.database.read() as session:
        follow = await between(session, node.settings.main_actor, victim.id)
    assert follow is not None

    await say(victim, "Create", a_document(victim, town, "before"), 1)
    await say(victim, "Reject", follow.activity, 2)
    await say(victim, "Create", a_document(victim, town, "after"), 3)
    await town.settle()

    assert await at_hub(town, "before") is not None
    assert await at_hub(town, "after") is None
    async with node.database.read() as session:
        assert [one.reason for one in await waiting(session)] == [NOT_A_MEMBER]


async def test_a_case_with_changed_words_among_good_ones_is_refused_alone(
    town: Town, victim: Stranger
) -> None:
    await admit(town, victim)

    await say(victim, "Create", a_document(victim, town, "good"), 1)
    await say(victim, "Create", a_document(victim, town, "bad") | {"name": "Other words"}, 2)
    await say(victim, "Create", a_document(victim, town, "fine"), 3)
    await town.settle()

    assert [await at_hub(town, name) is not None for name in ("good", "bad", "fine")] == [True, False, True]
    async with town.hub.node.database.read() as session:
        assert [one.reason for one in await waiting(session)] == ["proof: bad-signature"]


async def test_a_case_that_cannot_be_kept_keeps_no_other_out(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Stranger(town, "other.example", "cases", key="stranger")
    await admit(town, victim)
    await admit(town, other)
    real = aggregate.take_in

    async def take_in(session: Any, ready: Iterable[Ready], **more: Any) -> None:
        ready = list(ready)
        await real(session, ready, **more)
        if any(one.draft.id.endswith("/bad") for one in ready):
            raise RuntimeError("cannot be kept")

    monkeypatch.setattr("node.effects.process.take_in", take_in)
    monkeypatch.setattr("node.effects.taking.take_in", take_in)
    await say(other, "Create", a_document(other, town, "fine"), 1)
    await say(victim, "Create", a_document(victim, town, "good"), 1)
    await say(victim, "Create", a_document(victim, town, "bad"), 2)
    await say(victim, "Create", a_document(victim, town, "behind"), 3)
    await town.settle()

    assert await at_hub(town, "fine", "other.example") is not None
    assert await at_hub(town, "good") is not None
    assert await at_hub(town, "bad") is None
    assert await announced(town) == 2
    async with town.hub.node.database.read() as session:
        waits = await session.execute(select(Job.attempts, Job.last_reason).where(Job.kind == "process"))
        assert sorted(map(tuple, waits)) == [(0, None), (1, "RuntimeError")]

    monkeypatch.undo()
    town.clock.forward(hours=1)
    await town.settle()

    assert await at_hub(town, "bad") is not None
    assert await at_hub(town, "behind") is not None
    assert await announced(town) == 4


async def test_an_address_or_an_actor_of_any_length_keeps_no_other_out(
    town: Town, victim: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    long = Stranger(town, "long.example", "o" * 1500, key="stranger")
    await admit(town, victim)
    await admit(town, long)

    await say(victim, "Create", a_document(victim, town), 1)
    await say(long, "Create", a_document(long, town), 1)
    await say(long, "Create", a_document(long, town, "é" * 1200), 2)
    await town.settle()

    assert await at_hub(town) is not None
    assert await at_hub(town, "c1", "long.example") is not None
    assert await at_hub(town, "é" * 1200, "long.example") is None
    async with town.hub.node.database.read() as session:
        assert (await search(session, Filter(publisher=long.id))).total == 1
        assert dict((await search(session, Filter())).counts["node"]) == {
            "long.example": 1,
            "victim.example": 1,
        }
    reasons = [vars(record).get("reason") for record in caplog.records]
    assert reasons.count("too long an address") == 1
    assert "jobs.unsettled" not in caplog.messages


async def test_what_left_nothing_does_not_run_again_because_of_others(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admit(town, victim)
    reader = Stranger(town, "reader.example", "reader", key="peer")
    keep, failed = aggregate.take_in, []

    async def take_in(*given: Any, **more: Any) -> None:
        failed.append(len(given[1]))
        if len(failed) <= 2 and given[1]:
            raise RuntimeError("cannot be kept now")
        await keep(*given, **more)

    monkeypatch.setattr(process, "take_in", take_in)
    await reader.post("hub", reader.activity("Follow", town.hub.settings.main_actor))
    await say(victim, "Create", a_document(victim, town), 1)
    await town.settle()

    assert [one["type"] for one in reader.received].count("Accept") == 1
    assert await at_hub(town) is not None


@pytest.mark.parametrize("is_plain", [True, False])
async def test_nothing_is_signed_while_a_transaction_is_open(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch, is_plain: bool
) -> None:
    """What many actors announce takes seconds to sign, and nobody else writes to SQLite meanwhile."""
    await admit(town, victim)
    reader = Stranger(town, "reader.example", "reader", key="peer")
    await reader.post("hub", reader.activity("Follow", town.hub.settings.main_actor))
    await town.settle()
    database = town.hub.node.database
    begin, sign = database.begin, attach
    opened: list[bool] = []
    signed: list[tuple[str, int]] = []

    @asynccontextmanager
    async def watched() -> AsyncIterator[Any]:
        async with begin() as session:
            opened.append(True)
            yield session
        opened.pop()

    def watching(document: dict[str, Any], *given: Any, **more: Any) -> Any:
        signed.append((type(document["object"]).__name__, len(opened)))
        return sign(document, *given, **more)

    monkeypatch.setattr(database, "begin", watched)
    monkeypatch.setattr(sending, "attach", watching)
    if not is_plain:
        monkeypatch.setattr(process, "read_plain", lambda *_given, **_more: None)
    create = victim.activity("Create", a_document(victim, town), to=[PUBLIC])
    await victim.post("hub", attach(create, victim.prover(), now=town.clock.now()))
    await town.settle()

    assert ("str", 0) in signed
    assert ("dict", 0) in signed
    assert {transactions for _, transactions in signed} == {0}


async def test_a_repeat_does_not_come_after_what_was_said_meanwhile(town: Town, victim: Stranger) -> None:
    await admit(town, victim)
    document = a_document(victim, town)
    create = victim.activity("Create", document)

    await victim.post("hub", create)
    await victim.post("hub", victim.activity("Delete", document["id"], number=2))
    await town.stop("hub")
    await town.start("hub")
    await victim.post("hub", create)
    await town.settle()

    kept = await at_hub(town)
    assert kept is None or kept.state == "withdrawn"


async def test_what_is_kept_is_accepted_though_what_follows_from_it_fails(
    town: Town, victim: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admit(town, victim)
    town.clock.forward(minutes=30)

    async def fail(*_given: object, **_more: object) -> None:
        raise NoRoom("the disk is full")

    monkeypatch.setattr("node.inbox.keeping.who_sleeps", fail)
    answer = await victim.post("hub", victim.activity("Create", a_document(victim, town)))
    await town.settle()

    assert answer.status_code == 202
    assert await at_hub(town)
