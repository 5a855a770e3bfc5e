"""What was sent of something that is withdrawn is erased at once, and nobody who waited for it is sent it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from node.deliver import GIVEN_UP_AFTER
from node.outbox import Job, Lane
from node.peers.directory import find_actor
from node.peers.follows import between, count_followers
from node.peers.reports import send_report
from node.peers.sending import ANSWERS_KEPT, FORGET_ANSWERS, Sent
from node.roles import begin
from tests.rig.publications import a_case, publish_case, withdraw_case
from tests.rig.stranger import Stranger
from tests.rig.town import Town

pytestmark = pytest.mark.both_databases

WORDS = "bramblethorn"
NIGHT = timedelta(days=1)


def wordy() -> dict[str, Any]:
    return {"title": {"en": f"Families of {WORDS}"}, "summary": {"en": f"{WORDS} " * 20}}


async def a_reader(town: Town) -> Stranger:
    reader = Stranger(town, "reader.example", "rita", key="peer")
    await reader.post("a", reader.activity("Follow", town["a"].settings.main_actor))
    await town.settle()
    return reader


async def holding(town: Town, name: str) -> list[str]:
    """The kinds of activities whose bodies hold the words."""
    async with town[name].node.database.read() as session:
        return [sent.type for sent in await session.scalars(select(Sent)) if WORDS.encode() in sent.body]


async def kinds(town: Town) -> list[str]:
    async with town["a"].node.database.read() as session:
        return sorted(await session.scalars(select(Sent.type)))


async def test_what_is_withdrawn_is_erased_at_once(town: Town) -> None:
    await town.befriend("hub", "a")
    await town.befriend("b", "hub")
    await a_reader(town)
    publication = await publish_case(town["a"].node, a_case(**wordy()))
    await town.settle()
    assert await holding(town, "a") == ["Create"]
    assert "Announce" in await holding(town, "hub")

    await withdraw_case(town["a"].node, publication)
    assert await holding(town, "a") == []
    await town.settle()

    for name in ("a", "hub", "b"):
        assert await holding(town, name) == [], name


async def test_who_waited_for_it_is_sent_the_withdrawal_alone(town: Town) -> None:
    reader = await a_reader(town)
    door = town.wires.apps.pop(reader.host)
    publication = await publish_case(town["a"].node, a_case(**wordy()))
    await town.settle()
    await withdraw_case(town["a"].node, publication)
    assert await holding(town, "a") == []
    await town.settle()

    town.wires.apps[reader.host] = door
    for _ in range(3):
        town.clock.forward(hours=NIGHT.days * 24)
        await town.settle()

    assert [said["type"] for said in reader.received] == ["Accept", "Delete"]
    async with town["a"].node.database.read() as session:
        assert await session.scalar(select(Job.seq).where(Job.kind == "deliver")) is None


async def test_an_answer_to_one_server_is_erased_when_nobody_can_wait_for_it_any_more(town: Town) -> None:
    node = town["a"].node
    await begin(node)
    await a_reader(town)
    await publish_case(node)
    await town.settle()
    assert await kinds(town) == ["Accept", "Create"]

    for _ in range(ANSWERS_KEPT.days):
        town.clock.forward(hours=24)
        await town.settle()
    assert await kinds(town) == ["Accept", "Create"]

    for _ in range(2):
        town.clock.forward(hours=24)
        await town.settle()
    assert await kinds(town) == ["Create"]
    async with node.database.read() as session:
        assert await count_followers(session, node.settings.main_actor) == 1
        assert await session.scalar(select(Job.attempts).where(Job.kind == FORGET_ANSWERS)) == 0
        # What is done every day is no failure that an operator is told of.
        assert await session.scalar(select(func.max(Lane.failures))) == 0
    assert GIVEN_UP_AFTER < ANSWERS_KEPT


async def test_what_was_reported_to_one_server_is_erased_like_an_answer(town: Town) -> None:
    node = town["a"].node
    await begin(node)
    reader = await a_reader(town)
    them = await find_actor(node, reader.id)
    async with node.database.begin() as session:
        await send_report(
            session, node.settings, node.keyring, them=them, objects=[], text=WORDS, now=town.clock.now()
        )
    await town.settle()
    assert WORDS in str(reader.received)
    assert await holding(town, "a") == ["Flag"]

    for _ in range(ANSWERS_KEPT.days + 2):
        town.clock.forward(hours=24)
        await town.settle()

    assert await holding(town, "a") == []


async def test_the_words_a_stranger_puts_into_a_follow_are_neither_kept_nor_said_by_us(town: Town) -> None:
    node = town["a"].node
    reader = Stranger(town, "reader.example", "rita", key="peer")
    asked = reader.activity("Follow", node.settings.main_actor, content=WORDS, padding="x" * 100_000)

    await reader.post("a", asked)
    await town.settle()

    assert await holding(town, "a") == []
    [answer] = reader.received
    assert answer["object"] == {key: asked[key] for key in ("id", "type", "actor", "object")}
    async with node.database.read() as session:
        follow = await between(session, reader.id, node.settings.main_actor)
        assert follow is not None
        assert follow.activity == answer["object"]


async def test_a_follow_that_was_kept_with_all_its_words_is_answered_and_ended_as_ever(town: Town) -> None:
    node = town["a"].node
    reader = await a_reader(town)
    async with node.database.begin() as session:
        follow = await between(session, reader.id, node.settings.main_actor)
        assert follow is not None
        follow.activity = {
            **follow.activity,
            "@context": "https://www.w3.org/ns/activitystreams",
            "content": WORDS,
        }

    await reader.post("a", reader.activity("Undo", follow.activity, number=2))
    await reader.post("a", reader.activity("Follow", node.settings.main_actor, number=3))
    await town.settle()

    assert [said["type"] for said in reader.received] == ["Accept", "Accept"]
    assert await holding(town, "a") == []


async def test_what_is_public_is_never_erased(town: Town) -> None:
    await a_reader(town)
    kept = await publish_case(town["a"].node, a_case(**wordy()))
    publication = await publish_case(town["a"].node, a_case(2))
    await withdraw_case(town["a"].node, publication)
    town.clock.forward(hours=3)
    await town.settle()

    assert await holding(town, "a") == ["Create"]
    async with town.visitor("a") as http:
        assert (await http.get(kept.url)).status_code == 200
