"""Several servers in one process, talking real ActivityPub over wires: one frozen clock, fixed keys, no socket.

await town["a"].node …                the node itself, for use cases and journeys
await town.settle()                   runs due jobs everywhere until nothing is left to do
town.clock.forward(hours=3)           then settle() again: retries, expiries
await town.stop("hub")                connection refused; its data stays
await town.start("hub")               the same server again, from its data
town.visitor("a")                     an httpx client at its door: town.visitor("a").get("/cases")
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from node.keyring import Keyring
from node.runtime import Node, open_node
from node.settings import Settings
from tests.rig.clock import FrozenClock
from tests.rig.keys import keyring as test_keyring
from tests.rig.wires import Wires

ROUNDS = 200
VISITOR = ("203.0.113.7", 40000)  # an address for documentation (RFC 5737): what the apps see as their peer

# A directory → the address of a database with every table, while the town stands.
ReadyDatabase = Callable[[Path], AbstractAsyncContextManager[str]]


@dataclass
class Site:
    """One server of the town; `node` is there while it runs."""

    name: str
    settings: Settings
    stack: AsyncExitStack = field(repr=False)
    running: Node | None = None

    @property
    def origin(self) -> str:
        return self.settings.origin

    @property
    def node(self) -> Node:
        if self.running is None:
            raise RuntimeError(f"{self.name} is stopped")
        return self.running


class Town:
    """The servers, the wires between them and their one clock."""

    def __init__(self, directory: Path, clock: FrozenClock, ready_database: ReadyDatabase) -> None:
        self.clock = clock
        self.wires = Wires()
        self._directory = directory
        self._ready_database = ready_database
        self._sites: dict[str, Site] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(httpx.AsyncClient(transport=self.wires))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._sites:
            await self.stop(name)
        await self._stack.aclose()

    def __getitem__(self, name: str) -> Site:
        return self._sites[name]

    @property
    def hub(self) -> Site:
        """The one called hub."""
        return self["hub"]

    async def open(self, name: str, **settings: str) -> Site:
        """A new server at https://{name}.example, running."""
        data = self._directory / name
        data.mkdir()
        url = await self._stack.enter_async_context(self._ready_database(data))
        defaults = {
            "origin": f"https://{name}.example",
            "role": "hub" if name.startswith("hub") else "node",
            "data": str(data),
            "database_url": url,
            "name": f"Organisation {name.upper()} (fictional)",
            "fictional": "1",
        }
        self._sites[name] = Site(name, Settings.parse(defaults | settings), AsyncExitStack())
        return await self.start(name)

    async def start(self, name: str, *, keyring: Keyring | None = None) -> Site:
        """Plug a stopped server in again, with what it had stored; with other keys than those of its name where given."""
        from web.app import make_app

        site = self._sites[name]
        if site.running is None:
            site.running = await site.stack.enter_async_context(
                open_node(
                    site.settings,
                    clock=self.clock,
                    http=self._http,
                    keyring=keyring or test_keyring(name, born=self.clock.now()),
                )
            )
            app = httpx.ASGITransport(make_app(site.running), client=VISITOR)
            self.wires.apps[site.settings.authority] = app
        return site

    async def stop(self, name: str) -> None:
        """Unplug a server: nobody reaches it, its jobs wait, its data stays."""
        site = self._sites[name]
        self.wires.apps.pop(site.settings.authority, None)
        site.running = None
        await site.stack.aclose()

    async def befriend(self, follower: str, followed: str) -> None:
        """One site follows another, by Follow and Accept."""
        from node.peers.directory import find_actor
        from node.peers.follows import follow
        from node.peers.ours import local_actor_at

        node = self[follower].node
        us = local_actor_at(node.settings, node.settings.main_actor)
        if us is None:
            raise RuntimeError(f"{follower} has no main actor")
        them = await find_actor(node, self[followed].settings.main_actor)
        async with node.database.begin() as session:
            await follow(session, node.settings, node.keyring, us=us, them=them, now=node.clock.now())
        await self.settle()

    async def settle(self) -> int:
        """Run what is due, everywhere, until nothing is; returns how many jobs ran. Time does not move."""
        from node.worker import run_due

        total = 0
        for _ in range(ROUNDS):
            ran = sum([await run_due(site.running) for site in self._sites.values() if site.running])
            if ran == 0:
                return total
            total += ran
        raise AssertionError(f"still not quiet after {ROUNDS} rounds: some job asks for itself again")

    def visitor(self, name: str, **options: Any) -> httpx.AsyncClient:
        """A client at that server's door: somebody's browser, or another server."""
        return httpx.AsyncClient(transport=self.wires, base_url=self._sites[name].origin, **options)


@asynccontextmanager
async def small_town(
    directory: Path, clock: FrozenClock, ready_database: ReadyDatabase
) -> AsyncIterator[Town]:
    """A hub and two nodes, a and b, that do not know each other yet."""
    async with Town(directory, clock, ready_database) as town:
        for name in ("hub", "a", "b"):
            await town.open(name)
        yield town
