"""open_node, the application and the worker in one task group: started together, stopped in order."""

import asyncio
import ctypes
import gc
import logging
import math
import resource
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
import uvicorn

from node import worker
from node.intake.forms import keep_bundled
from node.migrations import migrate
from node.roles import begin
from node.runtime import Bell, LocalBell, Node, keep_keys, open_node
from node.settings import Settings
from web.app import make_app
from web.patience import MOST_CONNECTIONS, SAID_AGAIN_SECONDS, PatientProtocol, Room

log = logging.getLogger(__name__)

STOP_AFTER_SECONDS = 10
M_ARENA_MAX, ARENAS = -8, 2
# How many objects are made before the collector looks for cycles among them; Python's 700 are soon made by one request.
YOUNG_OBJECTS = 20_000
# For databases, peers (512 at once), files that sources send.
OWN_FILES = 1_024
# So many connections are let in at a time, and so often before the first of those that go for them is closed: one burst would take
# all files else.
AT_ONCE, ROUNDS = 512, 4
# By then every web server shows new keys.
SIGN_AFTER_SECONDS = 10.0


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Node]:
    """A node with its bell, its database brought to the present shape."""
    await asyncio.to_thread(migrate, settings.database_url)
    async with AsyncExitStack() as stack:
        bell: Bell = LocalBell()
        if settings.redis_url:
            # Imported only where it is used: arq and redis weigh megabytes that an embedded node need not carry.
            from node.queue import open_bell

            bell = await stack.enter_async_context(open_bell(settings.redis_url))
        node = await stack.enter_async_context(open_node(settings, bell=bell))
        async with node.database.begin() as session:
            await keep_bundled(session)
        yield node


async def serve(settings: Settings) -> None:
    """Serve until told to stop; the worker runs inside unless a Redis is configured."""
    _share_memory()
    async with opened(settings) as node:
        places, at_once = count_places()
        server = make_server(node, places=places, at_once=at_once)
        _settle_memory()
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(keep_keys(node))]
            if not settings.redis_url:
                await begin(node)
                beside.append(group.create_task(worker.run(node)))
            # uvicorn heeds the signal, and at its own end sends it once more, to end the process: heard here, so that what is beside
            # it ends in order, too.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
            try:
                await server.serve()
            finally:
                for task in beside:
                    task.cancel()


async def work(settings: Settings) -> None:
    """Work the outbox until cancelled, or told to stop: the worker of the scale profile."""
    from node.queue import work as work_through_redis

    _share_memory()
    async with opened(settings) as node, asyncio.TaskGroup() as group:
        await begin(node)
        _settle_memory()
        keeping = group.create_task(keep_keys(node, after=SIGN_AFTER_SECONDS))
        working = asyncio.create_task(work_through_redis(node))
        told = asyncio.Event()

        def stop() -> None:
            told.set()
            working.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        try:
            await working
        except asyncio.CancelledError:
            if not told.is_set():
                raise
        finally:
            keeping.cancel()


def _share_memory() -> None:
    """Let all threads take memory from the same few places. Each would else keep for itself what it once needed."""
    with suppress(AttributeError, OSError):
        # mallopt(3) of glibc; other C libraries have none, and need none.
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _settle_memory() -> None:
    """Let the collector of cycles leave alone what stands until the end, and look for others less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def count_places() -> tuple[int, int]:
    """How many connections are let in, and how many of them at a time: as many as leave the node the files and sockets that it needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + ROUNDS * AT_ONCE + OWN_FILES
    if 0 <= soft < wanted:
        # Few are the default for the sake of select(2), which nobody here calls.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard >= 0 else wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 0:
        # Without end.
        return MOST_CONNECTIONS, AT_ONCE
    at_once = min(AT_ONCE, max(1, soft // 16))
    return min(MOST_CONNECTIONS, soft - min(OWN_FILES, soft // 4) - ROUNDS * at_once), at_once


def make_server(
    node: Node,
    *,
    protocol: type[PatientProtocol] = PatientProtocol,
    places: int = MOST_CONNECTIONS,
    at_once: int = AT_ONCE,
) -> uvicorn.Server:
    """uvicorn, saying nothing about who asked for what, and waiting for nobody for ever.

    places   how many connections there may be.
    at_once  how many are let in before anything else is done.
    """
    settings = node.settings
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(node),
            host=settings.host,
            port=settings.port,
            # Which loop it is, is decided where one is run: uvicorn is served inside of it.
            loop="none",
            http=protocol,
            ws="none",
            lifespan="off",
            access_log=False,  # no addresses, no paths of sources
            log_config=None,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=",".join(settings.trusted_proxies) or None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=STOP_AFTER_SECONDS,
            backlog=at_once,
        )
    )
    server.server_state = Room(places)
    return server


class Rarely(logging.Filter):
    """What any stranger may have uvicorn warn of, with ten bytes each time, is said once a minute: a flood would fill the disk with it."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}
        self._times: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is said now, and then how often it was to be since it was said last."""
        if record.levelno != logging.WARNING:
            return True
        self._times[record.msg] += 1
        if record.created - self._said_at.get(record.msg, -math.inf) < SAID_AGAIN_SECONDS:
            return False
        self._said_at[record.msg] = record.created
        vars(record)["count"] = self._times.pop(record.msg)
        return True


def configure_logs(*, json: bool = False, level: int = logging.INFO) -> None:
    """Events with fields on standard error: for people, or as one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    final: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # These name addresses of peers at INFO; what matters of it is in our own events.
    logging.getLogger("uvicorn.error").addFilter(Rarely())
    for noisy in ("httpx", "httpcore", "uvicorn.access", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
