"""The node: eight resources, opened and closed in one place. No globals, nothing at import, no half-built bag."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeVar

import httpx

from federation.client import open_client
from federation.fetch import Fetcher
from node.blobs import Blobs
from node.clock import Clock, SystemClock
from node.database import Database
from node.errors import Misconfigured
from node.keyfiles import stamp_of
from node.keyring import Keyring
from node.sealing import self_test
from node.settings import Settings

log = logging.getLogger(__name__)

Told = TypeVar("Told")

KEYS_EVERY = 1.0


class Bell(Protocol):
    """Wakes whoever works, after a commit that enqueued. A lost ring costs seconds, never a job."""

    async def ring(self) -> None:
        """Say that there may be work."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when rung, or after that long."""
        ...


class LocalBell:
    """The bell of a worker in the same process."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def ring(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()


@dataclass(frozen=True)
class Node:
    """What every journey takes.

    fetcher  asks other servers on behalf of the whole process: each address once at a time, failures remembered.
    sorting  held while a graph is sorted, for a signature over it: one at a time.
    errands  what runs beside the answers; ended before the resources are closed.
    """

    settings: Settings
    clock: Clock
    database: Database
    keyring: Keyring
    blobs: Blobs
    http: httpx.AsyncClient
    fetcher: Fetcher
    bell: Bell
    sorting: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False, compare=False)
    errands: set[asyncio.Task[Any]] = field(default_factory=set, repr=False, compare=False)

    def beside(self, errand: Coroutine[Any, Any, Told]) -> asyncio.Task[Told]:
        """Begin what no single request waits for; it tells of its own failures."""
        task = asyncio.create_task(errand)
        self.errands.add(task)
        task.add_done_callback(self.errands.discard)
        return task

    async def end_errands(self) -> None:
        """End what runs beside the answers, and what is asked of other servers."""
        errands = list(self.errands)
        for task in errands:
            task.cancel()
        await asyncio.gather(*errands, return_exceptions=True)
        await self.fetcher.close()


async def keep_keys(node: Node, *, after: float = 0) -> None:
    """Take up keys that are rotated, replaced or taken away while this process runs. Until cancelled.

    after  seconds between seeing new keys and signing with them, where another process shows them: some servers remember for
           minutes that an actor does not list a key.
    """
    while True:
        await node.clock.sleep(KEYS_EVERY)
        await take_up_keys(node, after=after)


async def take_up_keys(node: Node, *, after: float = 0) -> bool:
    """Take up the keys on the disk when they have changed; keys that cannot be read leave the old ones in place."""
    stamp = stamp_of(node.settings)
    if stamp == node.keyring.stamp:
        return False
    await node.clock.sleep(after)
    try:
        newer = await asyncio.to_thread(Keyring.open, node.settings)
    except Misconfigured as error:
        log.error("keys.unreadable", extra={"reason": str(error)})
        # Said once, until something changes again.
        node.keyring.stamp = stamp
        return False
    node.keyring.take_over(newer)
    log.info("keys.renewed", extra={"generation": newer.generation})
    return True


@cache
def require_sealing() -> None:
    """Refuse where this build cannot seal. It is the same as long as the process lives, so it is tried once.

    Raises SealingUnusable.
    """
    self_test()


@asynccontextmanager
async def open_node(
    settings: Settings,
    *,
    clock: Clock | None = None,
    http: httpx.AsyncClient | None = None,
    bell: Bell | None = None,
    keyring: Keyring | None = None,
) -> AsyncIterator[Node]:
    """Open the resources of a node, and close them in reverse order.

    http  another client, such as the test town's; without one, the guarded client of `federation.client`.
    Refuses to start when the cryptography at hand cannot do what sealing needs.
    """
    require_sealing()
    async with AsyncExitStack() as stack:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        if http is None:
            http = await stack.enter_async_context(open_client(allow_loopback=settings.allow_loopback))
        node = Node(
            settings=settings,
            clock=clock or SystemClock(),
            database=database,
            keyring=keyring if keyring is not None else await asyncio.to_thread(Keyring.open, settings),
            blobs=Blobs(settings.data / "blobs"),
            http=http,
            fetcher=Fetcher(http),
            bell=bell or LocalBell(),
        )
        stack.push_async_callback(node.end_errands)
        yield node
