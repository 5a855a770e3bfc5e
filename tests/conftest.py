"""What every test may ask for: a time, a clock, settings, a database, a node, servers and a browser; and no network.

Sockets are refused unless a marker asks for loopback. What a machine lacks is named at the end of the run.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import httpx
import hypothesis
import pytest
import pytest_socket

from tests.rig.clock import FrozenClock
from tests.rig.databases import POSTGRESQL, SQLITE, compile_once, fresh_database, ready_database
from tests.rig.missing import summary
from tests.rig.servers import Servers
from web.serve import YOUNG_OBJECTS

LOOPBACK = ["127.0.0.1", "::1", "localhost"]
NETWORKED = ("sockets", "scale", "browser", "peer")
SERVERS = pytest.StashKey[Servers]()


# ---- the run -----------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("turns", "marked", SQLITE, POSTGRESQL, "both"),
        default="turns",
        help="where tests that use a database run: on SQLite, and of those marked both_databases each half on one of the two "
        "(turns, the default) or all on both (marked); all of them on one; or all on both",
    )
    parser.addoption(
        "--heavy",
        action="store_true",
        help="send files of 100 MiB and of 2 GB where the suite sends smaller ones",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run what is marked thorough, of which the suite runs a shorter form",
    )


# How long one example takes is the machine's affair: no test asserts a time.
hypothesis.settings.register_profile("tracker", deadline=None)
hypothesis.settings.load_profile("tracker")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    compile_once()
    config.addinivalue_line("markers", "both_databases: runs on SQLite and on PostgreSQL")
    given = getattr(config, "workerinput", None)
    if given is None:
        config.stash[SERVERS] = Servers.prepare()
    else:
        config.stash[SERVERS] = Servers(Path(given["servers_home"]), given["servers_owner"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    # Any: xdist's worker controller. Every worker uses the servers of the run.
    servers = node.config.stash[SERVERS]
    node.workerinput["servers_home"] = str(servers.home)
    node.workerinput["servers_owner"] = servers.owner


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and SERVERS in config.stash:
        config.stash[SERVERS].stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" not in metafunc.fixturenames or any(
        "database_kind" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")
    ):
        return
    marked = metafunc.definition.get_closest_marker("both_databases") is not None
    match metafunc.config.getoption("--database"):
        case "both":
            kinds = [SQLITE, POSTGRESQL]
        case "marked" if marked:
            kinds = [SQLITE, POSTGRESQL]
        case "turns" if marked:
            # By its name: the same one each time, whatever else is run.
            kinds = [[SQLITE, POSTGRESQL][crc32(metafunc.definition.nodeid.encode()) % 2]]
        case kind if kind == POSTGRESQL:
            kinds = [POSTGRESQL]
        case _:
            return
    params = [pytest.param(kind, marks=pytest.mark.scale if kind == POSTGRESQL else ()) for kind in kinds]
    metafunc.parametrize("database_kind", params, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # What is loaded and found stays: to look for garbage among it again and again took a sixth of the run. Then as in `serve`.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    thorough = [item for item in items if item.get_closest_marker("thorough")]
    if thorough and not config.getoption("--thorough"):
        config.hook.pytest_deselected(items=thorough)
        items[:] = [item for item in items if item not in thorough]
    # What starts servers and browsers takes longest: begun first, it does not leave one worker waiting for the other.
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in NETWORKED))


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if any(item.get_closest_marker(name) for name in NETWORKED):
        pytest_socket.enable_socket()
        pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)
    else:
        pytest_socket.disable_socket(allow_unix_socket=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    # Around everybody else, so that it stands at the very end.
    yield
    reasons = [
        str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    ]
    for line in summary(reasons):
        terminalreporter.write_line(line, yellow=True, bold=True)


# ---- values ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands still; `clock.forward(hours=3)` moves it."""
    return FrozenClock()


@pytest.fixture
def now(clock: FrozenClock) -> datetime:
    """What the clock shows when the test begins."""
    return clock.now()


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Servers:
    """The run's throw-away PostgreSQL and Redis, started when first asked for."""
    return request.config.stash[SERVERS]


@pytest.fixture
def redis_url(servers: Servers, request: pytest.FixtureRequest) -> str:
    """A numbered database of the run's Redis, one per xdist worker, emptied."""
    import redis

    worker = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    url = servers.redis(int(worker.removeprefix("gw")))
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
    return url


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on; see --database."""
    return getattr(request, "param", SQLITE)


@pytest.fixture
async def database_url(
    database_kind: str, tmp_path: Path, servers: Servers, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """The address of a database: with every table for who asks for `database` or `node`, else without any."""
    is_ready = not {"database", "node"}.isdisjoint(request.fixturenames)
    async with (ready_database if is_ready else fresh_database)(database_kind, tmp_path, servers) as url:
        yield url


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Callable[..., Any]:
    """Makes Settings: `settings(role="hub", origin=…)`. Data below the test's directory, the test's database."""
    from node.settings import Settings

    defaults = {
        "origin": "https://a.example",
        "data": str(tmp_path / "data"),
        "database_url": database_url,
        "name": "Sample organisation (fictional)",
    }

    def make(**given: str) -> Settings:
        return Settings.parse(defaults | given)

    return make


# ---- resources ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Any]:
    """A node.database.Database with every table."""
    from node.database import Database

    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def node(settings: Callable[..., Any], clock: FrozenClock) -> AsyncIterator[Any]:
    """One open node, `https://a.example`: every table, fixed keys, the test's clock, and nobody to talk to."""
    from node.runtime import open_node
    from tests.rig.keys import keyring
    from tests.rig.wires import Wires

    async with (
        httpx.AsyncClient(transport=Wires()) as http,
        open_node(settings(), clock=clock, http=http, keyring=keyring("a", born=clock.now())) as opened,
    ):
        yield opened


@pytest.fixture
async def town(
    tmp_path: Path, clock: FrozenClock, database_kind: str, servers: Servers
) -> AsyncIterator[Any]:
    """A hub and two nodes, a and b, in this process (tests/rig/town.py)."""
    from tests.rig.town import small_town

    def fresh(directory: Path) -> AbstractAsyncContextManager[str]:
        return ready_database(database_kind, directory, servers)

    async with small_town(tmp_path, clock, fresh) as opened:
        yield opened


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts `tracker serve` as a process: `serve()`, `serve(role="hub")`; all are stopped at the end."""
    from tests.rig.processes import served

    with ExitStack() as stack:

        def start(*, port: int | None = None, forked: bool = True, **settings: str) -> Any:
            number = len(list(tmp_path.glob("served-*")))
            data = tmp_path / f"served-{number}" / "data"
            return stack.enter_context(served(data, port=port, forked=forked, **settings))

        yield start


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Any]:
    """A running Chromium (Playwright, async), one for each worker of the run."""
    from tests.rig.chromium import find, launched

    await asyncio.to_thread(find)
    async with launched() as running:
        yield running


@pytest.fixture
async def browser(chromium: Any) -> AsyncIterator[Any]:
    """That Chromium: `await browser.new_context()` for each visitor. Pages that a test leaves open go on working, so they are closed."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


@pytest.fixture
async def page(browser: Any) -> AsyncIterator[Any]:
    """A page in a context of its own; an uncaught error of its scripts fails the test."""
    context = await browser.new_context(locale="en-GB")
    opened = await context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    await context.close()
    assert errors == []
