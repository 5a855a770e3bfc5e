"""Places are given in turn, and whoever is called away while waiting takes none along."""

import asyncio

import pytest

from federation.turns import Lines, Turn


async def test_who_is_called_away_while_waiting_for_a_place_leaves_it_to_the_next() -> None:
    lines = Lines(1)
    await lines.enter("a")
    waiting = [asyncio.create_task(lines.enter("a")) for _ in range(3)]
    await asyncio.sleep(0)

    waiting[0].cancel()
    await asyncio.sleep(0)
    lines.leave("a")
    # The place is the second one's by now, who does not know it yet.
    waiting[1].cancel()
    await asyncio.wait(waiting)

    assert [task.cancelled() for task in waiting] == [True, True, False]
    late = asyncio.create_task(lines.enter("a"))
    await asyncio.sleep(0)
    assert not late.done()
    lines.leave("a")
    await late
    lines.leave("a")
    assert len(lines) == 0


async def test_one_line_keeps_no_other_waiting() -> None:
    lines = Lines(1)
    await lines.enter("a")

    async with asyncio.timeout(30):
        await lines.enter("b")

    assert len(lines) == 2


@pytest.mark.parametrize("is_called_away", [True, False])
async def test_who_waits_in_the_second_line_gives_back_the_place_in_the_first(is_called_away: bool) -> None:
    first, second = Lines(1), Lines(1)
    await second.enter("b")

    async def use() -> None:
        async with Turn((first, "a"), (second, "b")):
            assert (len(first), len(second)) == (1, 1)

    waiting = asyncio.create_task(use())
    await asyncio.sleep(0)
    assert len(first) == 1
    if is_called_away:
        waiting.cancel()
        await asyncio.wait([waiting])
    second.leave("b")
    await asyncio.wait([waiting])

    assert waiting.cancelled() is is_called_away
    assert (len(first), len(second)) == (0, 0)
