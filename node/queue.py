"""The only file that knows arq: a bell that rings through Redis, and workers that answer it.

Redis carries wake-ups and no facts: flush it, restart it, lose it, and the outbox is worked all the same, only later by the
seconds until the next look. arq stops its worker when Redis goes away, so it is started again, and again.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker, func

from node import worker
from node.runtime import LocalBell, Node

log = logging.getLogger(__name__)

QUEUE = "social-rights-tracker"
RING = "ring"
RESTART_AFTER = 1.0
# Under load each commit rings, and a worker that works looks by itself: that often is soon enough.
APART = 0.2


class RedisBell:
    """Rings whichever worker listens. A ring that cannot be sent is dropped: workers look by themselves every few seconds."""

    def __init__(self, url: str) -> None:
        self._settings = redis_settings(url)
        self._pool: ArqRedis | None = None
        self._local = LocalBell()
        self._ringing: asyncio.Task[None] | None = None
        self._is_wanted = False

    async def ring(self) -> None:
        """Ring now, or soon after the last ring: nobody who has committed a fact waits for Redis."""
        self._is_wanted = True
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring())

    async def _ring(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            await self._send()
            await asyncio.sleep(APART)

    async def _send(self) -> None:
        try:
            async with asyncio.timeout(1):
                if self._pool is None:
                    self._pool = await create_pool(
                        self._settings, default_queue_name=QUEUE, job_serializer=_dumps
                    )
                # One id for all rings: while one waits in the queue, more of them say nothing new.
                await self._pool.enqueue_job(RING, _job_id=RING)
        except Exception as error:  # whatever Redis does, the fact is committed and will be found
            self._pool = None
            log.warning("bell.silent", extra={"reason": type(error).__name__})

    async def wait(self, seconds: float) -> None:
        await self._local.wait(seconds)

    async def hear(self) -> None:
        """A ring arrived here."""
        await self._local.ring()

    async def close(self) -> None:
        """Leave Redis."""
        if self._ringing is not None:
            self._ringing.cancel()
        if self._pool is not None:
            await self._pool.aclose()


@asynccontextmanager
async def open_bell(url: str) -> AsyncIterator[RedisBell]:
    """The bell that rings through this Redis."""
    bell = RedisBell(url)
    try:
        yield bell
    finally:
        await bell.close()


async def work(node: Node) -> None:
    """A worker of the scale profile: works the outbox, woken through Redis, until cancelled."""
    bell = node.bell
    if not isinstance(bell, RedisBell):
        await worker.run(node)
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run(node))
        group.create_task(_listen(bell, node.settings.redis_url))


async def _listen(bell: RedisBell, url: str) -> None:
    async def ring(_context: dict[Any, Any]) -> None:
        await bell.hear()

    while True:
        listener = Worker(
            functions=[func(ring, name=RING, keep_result=0)],  # type: ignore[arg-type]  # arq types the context loosely
            queue_name=QUEUE,
            redis_settings=redis_settings(url),
            handle_signals=False,
            poll_delay=0.05,
            keep_result=0,
            max_jobs=10,
            # Without these arq pickles: whoever writes to Redis would run code here.
            job_serializer=_dumps,
            job_deserializer=_loads,
        )
        try:
            await listener.async_run()
        except asyncio.CancelledError:
            with suppress(Exception):
                await listener.close()
            raise
        except Exception as error:  # arq's worker ends whenever Redis does
            log.warning("bell.deaf", extra={"reason": type(error).__name__})
        with suppress(Exception):
            await listener.close()
        await asyncio.sleep(RESTART_AFTER)


def redis_settings(url: str) -> RedisSettings:
    """Where Redis is: redis://host:port/n, or unix:///path/to/socket?db=n."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        database = parse_qs(parts.query).get("db", ["0"])[0]
        return RedisSettings(unix_socket_path=parts.path, database=int(database), conn_retries=0)
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 0
    return settings


def _dumps(job: dict[str, Any]) -> bytes:
    return json.dumps(job).encode()


def _loads(body: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(body)
    return loaded
