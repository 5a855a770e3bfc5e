"""A server that was away for so long that others gave it up reads back what it missed; a shorter while is theirs to make good."""

import pytest
from sqlalchemy import select

from node.entries.entries import Entry
from node.outbox import Job
from node.roles import begin
from tests.rig.publications import a_case, correct_case, publish_case, withdraw_case
from tests.rig.town import Town

pytestmark = pytest.mark.both_databases


async def state(town: Town, url: str) -> str | None:
    async with town["b"].node.database.read() as session:
        entry = await session.get(Entry, url)
    return entry.state if entry else None


async def days_pass(town: Town, days: int) -> None:
    for _ in range(days):
        town.clock.forward(days=1)
        await town.settle()


@pytest.mark.parametrize("whom", ["a", "hub"])
async def test_what_was_given_up_is_read_back(town: Town, whom: str) -> None:
    await town.befriend("hub", "a")
    await town.befriend("b", whom)
    await begin(town["b"].node)
    withdrawn, corrected = [await publish_case(town["a"].node, a_case(0)) for _ in range(2)]
    await town.settle()
    before = await state(town, withdrawn.url)
    await town.stop("b")
    town.clock.forward(minutes=1)
    await withdraw_case(town["a"].node, withdrawn)
    await correct_case(town["a"].node, corrected, a_case(0, title={"en": "Corrected (fictional)"}))
    missed = await publish_case(town["a"].node, a_case(1))
    await days_pass(town, 37)

    await town.start("b")
    await begin(town["b"].node)
    await town.settle()

    assert before == "live"
    assert await state(town, withdrawn.url) == "withdrawn"
    assert await state(town, corrected.url) == "corrected"
    assert await state(town, missed.url) == "live"


async def test_a_server_that_was_away_for_a_while_asks_nobody(town: Town) -> None:
    await town.befriend("b", "a")
    await begin(town["b"].node)
    await publish_case(town["a"].node)
    await town.settle()
    await town.stop("b")
    town.clock.forward(days=20)

    await town.start("b")
    await begin(town["b"].node)

    async with town["b"].node.database.read() as session:
        reading = select(Job.kind).where(Job.kind.in_(("backfill", "ask-again")))
        assert list(await session.scalars(reading)) == []
