"""What runs beside the answers ends with the node, while it still has what it needs."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from node import runtime
from node.database import Database
from node.runtime import open_node, require_sealing
from node.sealing.errors import SealingUnusable
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


async def test_what_is_asked_of_another_server_is_asked_no_more_once_the_node_ends(
    settings: Callable[..., Any], clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks the database whom it may ask: a connection of its own would be opened, and never closed."""
    happened: list[str] = []
    asking, close = asyncio.Event(), Database.close

    async def closing(self: Database) -> None:
        happened.append("closed")
        await close(self)

    async def answer(request: httpx.Request) -> httpx.Response:
        asking.set()
        try:
            await asyncio.Event().wait()
        finally:
            happened.append("ended")
        return httpx.Response(404)

    monkeypatch.setattr(Database, "close", closing)
    keys = keyring("a", born=clock.now())
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        async with open_node(settings(), clock=clock, keyring=keys, http=http) as node:
            waiting = asyncio.create_task(
                node.fetcher.actor("https://b.example/actors/cases", signer=None, now=clock.now())
            )
            await asking.wait()
        await asyncio.wait({waiting}, timeout=5)

    assert happened == ["ended", "closed"]
    assert waiting.cancelled()


async def test_where_nothing_can_be_sealed_no_node_opens_however_often_it_is_tried(
    settings: Callable[..., Any], clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable() -> None:
        raise SealingUnusable("a build without ML-KEM")

    monkeypatch.setattr(runtime, "self_test", unusable)
    require_sealing.cache_clear()

    for _ in range(2):
        with pytest.raises(SealingUnusable):
            async with open_node(settings(), clock=clock, keyring=keyring("a", born=clock.now())):
                pass
    assert not settings().data.exists()


async def test_what_a_build_can_seal_is_tried_once_in_a_process(
    settings: Callable[..., Any], clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[bool] = []
    monkeypatch.setattr(runtime, "self_test", lambda: tried.append(True))
    require_sealing.cache_clear()

    for _ in range(2):
        async with open_node(settings(), clock=clock, keyring=keyring("a", born=clock.now())):
            pass

    require_sealing.cache_clear()
    assert tried == [True]
