"""A filled node, and a place for another one."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.runtime import Node
from node.settings import Settings
from tests.rig.backups import a_kept_node, fill, keep_keys
from tests.rig.clock import FrozenClock
from tests.rig.databases import POSTGRESQL, fresh_database
from tests.rig.servers import Servers


@dataclass(frozen=True)
class Filled:
    """A node with an alert that has a file, and a public case."""

    node: Node
    alert: str
    case: str

    @property
    def settings(self) -> Settings:
        return self.node.settings


@pytest.fixture
async def filled(settings: Callable[..., Settings], clock: FrozenClock) -> AsyncIterator[Filled]:
    keep_keys(settings())
    async with a_kept_node(settings(), clock) as node:
        alert, case = await fill(node)
        yield Filled(node, alert, case)


@pytest.fixture
async def elsewhere(
    settings: Callable[..., Settings], servers: Servers, tmp_path: Path
) -> AsyncIterator[Callable[..., Any]]:
    """Settings of the same node on another machine: `await elsewhere("postgresql")`."""
    async with AsyncExitStack() as stack:

        async def make(kind: str, **given: str) -> Settings:
            data = tmp_path / "elsewhere"
            url = f"sqlite:///{data / 'tracker.sqlite'}"
            if kind == POSTGRESQL:
                url = await stack.enter_async_context(fresh_database(POSTGRESQL, tmp_path, servers))
            return settings(data=str(data), database_url=url, **given)

        yield make
