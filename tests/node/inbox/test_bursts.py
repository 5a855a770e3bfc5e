"""What comes in one burst: it is looked at a few at a time, shares its commits, and nobody's mishap is another's."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from federation.requests import SignedRequest
from node.inbox.keeping import ENOUGH, Keeper, Received
from node.inbox.receive import AT_ONCE, LINE, Answer, Inbox
from node.inbox.signers import HELD_FOR
from node.outbox import Job
from tests.rig.stranger import Stranger
from tests.rig.town import Town

MANY = 40


@pytest.fixture
def stranger(town: Town) -> Stranger:
    return Stranger(town)


def posting(sender: Stranger, number: int, *, body: bytes | None = None) -> SignedRequest:
    """What somebody posts, signed now; body: another than was signed."""
    activity = sender.activity("Follow", "https://a.example/actors/cases", number=number)
    return sender.posting("a", activity, body=body)


async def known(town: Town, stranger: Stranger) -> Inbox:
    """An inbox that has the stranger's key in memory."""
    inbox = Inbox(town["a"].node)
    assert await inbox.receive(posting(stranger, 0)) is Answer.ACCEPTED
    return inbox


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many activities each commit kept."""
    found: list[int] = []
    write = Keeper._write

    async def counting(self: Keeper, batch: list[Any]) -> set[str]:
        found.append(len(batch))
        return await write(self, batch)

    monkeypatch.setattr(Keeper, "_write", counting)
    return found


async def all_told(inbox: Inbox, requests: list[SignedRequest]) -> list[Answer]:
    """The answers to what comes at one moment."""
    return list(await asyncio.gather(*(inbox.receive(request) for request in requests)))


@pytest.mark.both_databases
async def test_a_burst_shares_its_commits(town: Town, stranger: Stranger, batches: list[int]) -> None:
    inbox = await known(town, stranger)
    batches.clear()

    told = await all_told(inbox, [posting(stranger, number) for number in range(1, MANY + 1)])

    assert told == [Answer.ACCEPTED] * MANY
    assert sum(batches) == MANY
    # On SQLite all of it; on PostgreSQL the larger part goes first, and what is left behind it.
    assert len(batches) == (1 if town["a"].node.database.is_sqlite else 2)


@pytest.mark.both_databases
async def test_what_one_server_sends_in_a_burst_is_worked_off_in_the_order_in_which_it_came(
    town: Town, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = await known(town, stranger)
    others = Stranger(town, "others.example", key="b")
    assert await inbox.receive(posting(others, 0)) is Answer.ACCEPTED
    await town.settle()
    write, delays = Keeper._write, [0.1]

    async def slow_at_first(self: Keeper, batch: list[Any]) -> set[str]:
        # A connection that is yet to be made: what is kept beside it overtakes it.
        if delays:
            await asyncio.sleep(delays.pop())
        return await write(self, batch)

    monkeypatch.setattr(Keeper, "_write", slow_at_first)
    numbers = range(1, 2 * ENOUGH + 1)
    requests = [posting(sender, number) for number in numbers for sender in (stranger, others)]
    assert await all_told(inbox, requests) == [Answer.ACCEPTED] * len(requests)

    assert await in_line(town, stranger) == await in_line(town, others) == list(numbers)


@pytest.mark.both_databases
@pytest.mark.parametrize("is_known", [False, True])
async def test_what_waits_for_its_senders_key_goes_on_in_the_order_in_which_it_came(
    town: Town, stranger: Stranger, *, is_known: bool
) -> None:
    inbox = await known(town, stranger) if is_known else Inbox(town["a"].node)
    await town.settle()
    town.clock.forward(seconds=HELD_FOR.total_seconds() + 1)
    numbers = range(1, MANY + 1)
    forged = [posting(stranger, number, body=posting(stranger, 1000 + number).body) for number in numbers]
    waiting = []
    for number in numbers:
        for request in (posting(stranger, number), forged[number - 1]):
            waiting.append(asyncio.create_task(inbox.receive(request)))
        # Some come while others wait, and some once the key is there.
        await asyncio.sleep(0.001)
    async with asyncio.timeout(30):
        told = await asyncio.gather(*waiting)

    assert told == [Answer.ACCEPTED, Answer.UNAUTHORISED] * MANY
    assert await in_line(town, stranger) == list(numbers)


async def test_who_gives_up_while_waiting_for_a_key_lets_nobody_pass_and_holds_up_nobody(
    town: Town, stranger: Stranger
) -> None:
    signers = Inbox(town["a"].node)._signers
    gates = [asyncio.get_running_loop().create_future() for _ in range(3)]
    passed: list[int] = []

    async def one(number: int) -> None:
        await signers._in_turn(stranger.key_id, gates[number])
        passed.append(number)

    first, second, third = (asyncio.create_task(one(number)) for number in range(3))
    await asyncio.sleep(0)
    second.cancel()
    gates[2].set_result(None)
    await asyncio.sleep(0.01)
    before = list(passed)
    gates[0].set_result(None)
    async with asyncio.timeout(30):
        await asyncio.gather(first, third)

    assert before == []
    assert passed == [0, 2]
    assert signers._turns == {}


async def in_line(town: Town, sender: Stranger) -> list[int]:
    """The numbers of what somebody sent, in the order in which it is going to be worked off."""
    async with town["a"].node.database.read() as session:
        kept = await session.scalars(
            select(Received).where(Received.actor == sender.id, Received.body.is_not(None))
        )
        number_of = {one.digest.hex(): int(one.activity_id.rpartition("-")[2]) for one in kept}
        jobs = await session.scalars(select(Job).where(Job.kind == "process").order_by(Job.seq))
        return [number_of[digest] for job in jobs if (digest := str(job.payload["digest"])) in number_of]


@pytest.mark.parametrize("unfit", [[MANY], [1], range(1, MANY + 1), [MANY - AT_ONCE, MANY]])
async def test_what_waits_for_more_is_kept_also_when_the_last_of_a_burst_is_refused(
    town: Town, stranger: Stranger, unfit: list[int]
) -> None:
    inbox = await known(town, stranger)
    requests = [
        posting(stranger, number, body=b"{}" if number in unfit else None) for number in range(1, MANY + 1)
    ]

    async with asyncio.timeout(30):
        told = await all_told(inbox, requests)

    wanted = [Answer.MALFORMED if number in unfit else Answer.ACCEPTED for number in range(1, MANY + 1)]
    assert told == wanted


async def test_others_have_their_turn_while_a_burst_is_looked_at(
    town: Town, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = await known(town, stranger)
    looked_at: list[str] = []
    look_at = Inbox._look_at

    def noting(self: Inbox, *given: Any) -> None:
        looked_at.append("activity")
        look_at(self, *given)

    monkeypatch.setattr(Inbox, "_look_at", noting)
    for number in range(1, MANY + 1):
        inbox.take(posting(stranger, number), lambda answer: None)
    asyncio.get_running_loop().call_soon(looked_at.append, "another")
    async with asyncio.timeout(30):
        while len(looked_at) <= MANY or inbox._keeper.waiting:
            await asyncio.sleep(0.01)

    assert looked_at.index("another") == AT_ONCE


async def test_no_more_wait_in_line_than_memory_is_set_aside_for(town: Town, stranger: Stranger) -> None:
    inbox = await known(town, stranger)
    request, told, most = posting(stranger, 1, body=b"{}"), list[Answer](), 0
    for _ in range(3 * LINE):
        inbox.take(request, told.append)
        most = max(most, len(inbox._line))
    async with asyncio.timeout(30):
        while len(told) < 3 * LINE:
            await asyncio.sleep(0.01)

    assert most < LINE
    assert set(told) == {Answer.MALFORMED}


async def test_who_cannot_be_told_holds_up_nobody_behind_them_in_line(
    town: Town, stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = await known(town, stranger)
    told: list[Answer] = []

    def gone(answer: Answer) -> None:
        raise RuntimeError("the connection is gone")

    refused = posting(stranger, 1, body=b"{}")
    for number in range(AT_ONCE * 3):
        inbox.take(refused, gone if number % AT_ONCE == 0 else told.append)
    async with asyncio.timeout(30):
        while len(told) < (AT_ONCE - 1) * 3:
            await asyncio.sleep(0.01)

    assert caplog.messages.count("inbox.failed") == 3
