"""Fresh databases for tests: a file on SQLite, a database of its own on the run's PostgreSQL."""

import importlib
import pkgutil
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from tests.rig.servers import Servers

POSTGRESQL = "postgresql"
SQLITE = "sqlite"


@cache
def know_every_row() -> None:
    """Import every room of the node, so that the models of all of them are known.

    Once in a process: a file that is written while the suite runs was written for modules of its own time, and every test after it
    would fail on importing it beside the older ones.
    """
    import node

    for module in pkgutil.walk_packages(node.__path__, "node."):
        if "migrations" not in module.name.split("."):
            importlib.import_module(module.name)


@asynccontextmanager
async def fresh_database(kind: str, directory: Path, servers: Servers) -> AsyncIterator[str]:
    """The address of a database without tables, gone afterwards."""
    if kind == SQLITE:
        yield f"sqlite:///{directory / f'{secrets.token_hex(4)}.sqlite'}"
        return
    import asyncpg

    main = servers.postgresql()
    name = f"t_{secrets.token_hex(8)}"
    connection = await asyncpg.connect(main)
    try:
        await connection.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
        yield main.replace("/postgres?", f"/{name}?")
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
