"""What runs beside the answers ends with the node, while it still has what it needs."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from node.database import Database
from node.runtime import open_node
from tests.rig.clock import FrozenClock
from tests.rig.keys import keyring


async def test_what_runs_beside_is_ended_before_the_database_is_closed(
    settings: Callable[..., Any], clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    close = Database.close

    async def closing(self: Database) -> None:
        happened.append("closed")
        await close(self)

    async def errand() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            happened.append("ended")

    monkeypatch.setattr(Database, "close", closing)
    async with open_node(settings(), clock=clock, keyring=keyring("a", born=clock.now())) as node:
        node.beside(errand())
        await asyncio.sleep(0)
        assert len(node.errands) == 1

    assert happened == ["ended", "closed"]
    assert node.errands == set()
