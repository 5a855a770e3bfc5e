"""What the demonstration is played on: a hub, nodes and their people, started and stopped, and what is printed of them."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from federation.errors import FederationError
from node.errors import NodeError
from vocab import samples
from vocab.errors import VocabError
from web.demo.far_end import FarEnd
from web.demo.people import Colleague, Source
from web.demo.sites import Site


@dataclass
class Step:
    """One thing that was done, and whether it was seen where it matters."""

    name: str
    ok: bool
    seconds: float
    detail: str


@dataclass
class Told:
    """One case on its way: which desk has it, under which ids, and where it became public, with its picture if it has one."""

    sample: dict[str, Any]
    site: Site
    source: Source
    alert: str = ""
    case: str = ""
    url: str = ""
    picture: str = ""


@dataclass
class Play:
    """Everything on stage."""

    hub: Site
    nodes: list[Site]
    far_end: FarEnd
    quiet: bool
    steps: list[Step] = field(default_factory=list)
    desks: dict[str, dict[str, Colleague]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    def say(self, text: str) -> None:
        """A line for people; none when a program listens."""
        if not self.quiet:
            print(text, flush=True)

    async def step(self, name: str, act: Callable[["Play"], Awaitable[str]]) -> None:
        """Do one step and note how it went; a failed one does not stop the telling."""
        started = time.monotonic()
        try:
            detail, ok = await act(self), True
        except (
            NodeError,
            FederationError,
            VocabError,
            httpx.HTTPError,
            AssertionError,
            LookupError,
        ) as error:
            detail, ok = f"{type(error).__name__}: {error}", False
        self.steps.append(Step(name, ok, round(time.monotonic() - started, 3), detail))
        self.say(f"  {'✓' if ok else '✗'} {name:<44} {self.steps[-1].seconds:6.1f} s   {detail}")

    def summary(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "hub": self.hub.summary(),
            "nodes": [site.summary() for site in self.nodes],
            "steps": [
                {"name": step.name, "ok": step.ok, "seconds": step.seconds, "detail": step.detail}
                for step in self.steps
            ],
            "ok": self.ok,
        }


@asynccontextmanager
async def stage(
    nodes: int, port: int, data: Path, quiet: bool, settings: Mapping[str, dict[str, str]]
) -> AsyncIterator[Play]:
    """Start a hub and so many nodes; stop them at the end."""
    organisations = [node for node in samples.nodes() if node["type"] == "national"][:nodes]
    hub = Site("hub", "Demonstration hub (fictional)", "hub", port, data / "hub")
    sites = [
        Site(one["id"], f"{one['name']} (fictional)", "node", port + 1 + n, data / one["id"], one["state"])
        for n, one in enumerate(organisations)
    ]
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
        play = Play(hub, sites, FarEnd(http), quiet)
        play.say(f"Starting a hub and {len(sites)} nodes on this machine; their data is in {data}")
        everybody = [hub, *sites]
        for site in everybody:
            told = {} if site is hub else {"hub": hub.origin, "states": site.state or ""}
            site.settings = told | settings.get(site.name, {})
        for site in everybody:
            stack.push_async_callback(site.stop)
        started = time.monotonic()
        await asyncio.gather(*(site.init() for site in everybody))
        await asyncio.gather(*(site.start() for site in everybody))
        play.say(f"  The hub answers at {hub.origin}\n")
        play.steps.append(
            Step(
                "the servers answer", True, round(time.monotonic() - started, 3), f"{len(everybody)} of them"
            )
        )
        yield play
        for desk in play.desks.values():
            for colleague in desk.values():
                with contextlib.suppress(httpx.HTTPError):
                    await colleague.leave()


async def until_interrupted() -> None:
    """Wait for Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def keep(play: Play, data: Path) -> None:
    """Keep who may sign in, so that the next `tracker demo --data` can print it again."""
    # Passphrases of invented people, on this machine only.
    place = data / "demo.json"
    place.touch(mode=0o600)
    place.write_text(json.dumps({site.name: site.staff for site in play.nodes}), "utf-8")


def recall(play: Play, data: Path) -> None:
    """Read back what `keep` kept."""
    place = data / "demo.json"
    kept = json.loads(place.read_text("utf-8")) if place.exists() else {}
    for site in play.nodes:
        site.staff = kept.get(site.name, [])


def print_addresses(play: Play) -> None:
    """Where to look, and as whom."""
    play.say(f"\n  The hub       {play.hub.origin}")
    for site in play.nodes:
        play.say(f"\n  {site.title}")
        play.say(f"    cases       {site.origin}")
        play.say(f"    send        {site.origin}/alert")
        play.say(f"    desk        {site.origin}/desk")
        for person in site.staff:
            play.say(f"      {person['name']:<10} {', '.join(person['roles']):<28} {person['password']}")
    play.say("")
