"""A node served over real sockets in this process, for tests that speak to it byte by byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn


@asynccontextmanager
async def serving(server: uvicorn.Server) -> AsyncIterator[uvicorn.Server]:
    """That server, started on a port that is free; stopped at the end, whoever is still connected."""
    server.config.port = 0
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server
    server.should_exit = server.force_exit = True
    await running


def port_of(server: uvicorn.Server) -> int:
    """Where it is served."""
    return int(server.servers[0].sockets[0].getsockname()[1])
