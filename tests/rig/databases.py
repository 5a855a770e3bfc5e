"""Fresh databases for tests: a file on SQLite, a database of its own on the run's PostgreSQL."""

import importlib
import pkgutil
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import create_mock_engine, make_url

from node.database import Database, Row
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


async def make_tables(database: Database) -> None:
    """Make every table from the models: in one round trip, because almost every test asks for them. Real ones come from migrations."""
    know_every_row()
    async with database.engine.connect() as connection:
        # Any: the driver's own connection, which SQLAlchemy hands on without a type.
        driver: Any = (await connection.get_raw_connection()).driver_connection
        if database.is_sqlite:
            await driver.run(lambda opened: opened.executescript(f"BEGIN; {_tables(SQLITE)} COMMIT;"))
        else:
            await driver.execute(_tables(POSTGRESQL))


@cache
def _tables(kind: str) -> str:
    """All the statements that make the tables, compiled once in a process."""
    said: list[str] = []
    url = make_url("sqlite+aiosqlite://" if kind == SQLITE else "postgresql+asyncpg://")
    dialect = url.get_dialect()()
    engine = create_mock_engine(
        url, lambda ddl, *_given, **_named: said.append(f"{ddl.compile(dialect=dialect)};")
    )
    Row.metadata.create_all(engine, checkfirst=False)
    return "\n".join(said)


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
