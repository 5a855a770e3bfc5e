"""However many graphs wait to be sorted, they take one thread, and what is no graph waits for none of them."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from federation.errors import Unreachable
from federation.requests import Refused
from node.peers import checking
from node.peers.checking import check_graph, check_proof
from tests.rig.clock import FrozenClock
from tests.rig.town import Town


def proven(suite: str) -> dict[str, Any]:
    return {"id": "https://a.example/1", "proof": {"type": "DataIntegrityProof", "cryptosuite": suite}}


async def test_graphs_are_sorted_one_at_a_time(town: Town) -> None:
    node = town["a"].node
    has_begun, may_end = threading.Event(), threading.Event()
    begun: list[int] = []

    def sort() -> int:
        begun.append(len(begun))
        has_begun.set()
        may_end.wait(10)
        return len(begun)

    waiting = [asyncio.create_task(check_graph(node, sort)) for _ in range(40)]
    plain = await check_proof(node, proven("eddsa-jcs-2022"), {}, now=FrozenClock().now())
    graph = asyncio.create_task(check_proof(node, proven("eddsa-rdfc-2022"), {}, now=FrozenClock().now()))
    beside = await asyncio.to_thread(lambda: "not kept waiting" if has_begun.wait(10) else "nothing begins")

    assert (begun, beside) == ([0], "not kept waiting")
    assert isinstance(plain, Refused)
    assert not graph.done()
    may_end.set()
    assert await asyncio.gather(*waiting) == list(range(1, 41))
    assert isinstance(await graph, Refused)


async def test_whose_turn_is_not_soon_comes_back_later_and_keeps_nobody_waiting(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = town["a"].node
    monkeypatch.setattr(checking, "PATIENCE", timedelta(milliseconds=20))

    async with asyncio.timeout(30), node.sorting:
        with pytest.raises(Unreachable, match="wait to be sorted"):
            await check_graph(node, lambda: "sorted")

    assert await check_graph(node, lambda: "sorted") == "sorted"
