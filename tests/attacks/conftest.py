"""One town for a whole file of attacks: what is refused leaves nothing behind, so the next attack finds it as it was."""

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.attacks.stage import Stage
from tests.rig.clock import FrozenClock
from tests.rig.databases import SQLITE, ready_database
from tests.rig.servers import Servers
from tests.rig.town import Town


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> AsyncIterator[Stage]:
    """A node at https://node.example and a hub at https://hub.example."""

    def fresh(directory: Path) -> AbstractAsyncContextManager[str]:
        return ready_database(SQLITE, directory, servers)

    async with Town(tmp_path_factory.mktemp("stage"), FrozenClock(), fresh) as town:
        for name in ("node", "hub"):
            await town.open(name)
        yield Stage(town)


@pytest.fixture(autouse=True)
def _every_reason_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
