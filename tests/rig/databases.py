"""Databases for tests, each as if nobody had used it: a file on SQLite, a database of the run's PostgreSQL.

Almost every test asks for one with every table, so those are not made each time: on SQLite the tables are written as one file, on
PostgreSQL a database whose test is over is emptied and serves the next. Databases without tables are made and dropped.
"""

import asyncio
import importlib
import pkgutil
import secrets
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import create_mock_engine, make_url
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from node import database as node_database
from node.database import Database, Row
from node.migrations import migrate, revision_of
from tests.rig.servers import Servers

POSTGRESQL = "postgresql"
SQLITE = "sqlite"
# What a test may have changed in a database beside its rows: then the database does not serve another.
SHAPE = """
    SELECT md5(string_agg(format('%s.%s %s %s', c.relname, a.attname, a.atttypid, a.attnotnull), ',' ORDER BY c.relname, a.attnum))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped
"""
# Sequences that went on, be their tables empty again.
RESTART = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences WHERE last_value IS NOT NULL
"""
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
TRIES = 100
MOST_STATEMENTS = 5_000


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """The file of a database, past all of ours; what is changed is kept. `sqlite3.connect` alone would leave it open."""
    with closing(sqlite3.connect(file)) as connection, connection:
        yield connection


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


def compile_once() -> None:
    """Let all databases of a kind share what statements compile to: else a third of the run is compiling the same for each of thousands."""
    statements = LRUCache[Any, Any](MOST_STATEMENTS)
    for kind in (SQLiteDialect_aiosqlite, PGDialect_asyncpg):
        # What is compiled is kept by dialect, of which each engine has its own; those of one kind are set up alike here.
        setattr(kind, "__eq__", lambda one, other: type(one) is type(other))  # noqa: B010  # a class, as a type checker sees it
        setattr(kind, "__hash__", lambda one: hash(type(one)))  # noqa: B010
    made = node_database._engine

    def engine(url: str) -> AsyncEngine:
        found = made(url)
        found.sync_engine.update_execution_options(compiled_cache=statements)
        return found

    node_database._engine = engine


async def make_tables(database: Database) -> None:
    """Make every table from the models, in one round trip. Real ones come from migrations."""
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
    know_every_row()
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
        yield _file(directory)
        return
    import asyncpg

    main = servers.postgresql()
    connection = await asyncpg.connect(main)
    try:
        name = await _created(connection)
        yield _named(main, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@asynccontextmanager
async def ready_database(kind: str, directory: Path, servers: Servers) -> AsyncIterator[str]:
    """The address of a database with every table and no row."""
    if kind == SQLITE:
        url = _file(directory)
        Path(url.removeprefix("sqlite:///")).write_bytes(_tables_as_file())
        yield url
        return
    main = servers.postgresql()
    resting = _resting(main)
    url, shape = resting.pop() if resting else await _ready(main)
    yield url
    # Where the emptying fails, it is not used again.
    if await _emptied(url, shape):
        resting.append((url, shape))


async def make_shape(url: str) -> None:
    """Bring a database to the newest shape as `migrate` does; an empty one is given what the migrations made once in this process."""
    path = Path(url.removeprefix("sqlite:///"))
    if await revision_of(url) is not None:
        await asyncio.to_thread(migrate, url)
    elif url.startswith("sqlite:///"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(await asyncio.to_thread(_shape_as_file))
    else:
        await _shape_postgresql(url)


@cache
def _shape_as_file() -> bytes:
    """A SQLite database as the migrations make it."""
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "made.sqlite"
        migrate(f"sqlite:///{made}")
        return made.read_bytes()


async def _shape_postgresql(url: str) -> None:
    """Put a copy of what the migrations made in the place of an empty database."""
    import asyncpg

    name = make_url(url).database
    main = url.replace(f"/{name}?", "/postgres?")
    connection = await asyncpg.connect(main)
    try:
        shapes = _shapes(main)
        if not shapes:
            made = await _created(connection)
            await asyncio.to_thread(migrate, _named(main, made))
            shapes.append(made)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {shapes[0]} STRATEGY wal_log")
    finally:
        await connection.close()


@cache
def _shapes(main: str) -> list[str]:
    """The database of that server that this process brought to the newest shape, once there is one."""
    return []


@cache
def _tables_as_file() -> bytes:
    """A SQLite database with every table, as it lies on the disk."""
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "made.sqlite"
        with closing(sqlite3.connect(made)) as connection:
            connection.executescript(f"PRAGMA journal_mode=WAL; BEGIN; {_tables(SQLITE)} COMMIT;")
        return made.read_bytes()


@cache
def _resting(main: str) -> list[tuple[str, str]]:
    """Address and shape of the emptied databases of that server that this process made."""
    return []


async def _ready(main: str) -> tuple[str, str]:
    import asyncpg

    connection = await asyncpg.connect(main)
    try:
        url = _named(main, await _created(connection))
    finally:
        await connection.close()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_tables(POSTGRESQL))
        return url, await connection.fetchval(SHAPE)
    finally:
        await connection.close()


async def _emptied(url: str, shape: str) -> bool:
    """Whether the database is as it was made again, with nobody at it."""
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        for _ in range(TRIES):
            if not await connection.fetch(OTHERS):
                break
            await asyncio.sleep(0.01)
        else:
            return False
        if await connection.fetchval(SHAPE) != shape:
            return False
        # Not TRUNCATE, which makes new files for each table and its indexes: that was a third of what PostgreSQL did in a run.
        # What refers to what need not be looked at, where all of it goes.
        emptied = [f'DELETE FROM "{name}";' for (name,) in await connection.fetch(_filled())]
        await connection.execute(f"SET session_replication_role = replica; {' '.join(emptied)} {RESTART}")
        return True
    finally:
        await connection.close()


@cache
def _filled() -> str:
    """The question which tables have rows."""
    return " UNION ".join(
        f"SELECT '{table.name}' WHERE EXISTS (SELECT FROM \"{table.name}\")"
        for table in Row.metadata.sorted_tables
    )


async def _created(connection: Any) -> str:
    """A new database. Any: asyncpg has no types."""
    name = f"t_{secrets.token_hex(8)}"
    await connection.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
    return name


def _named(main: str, name: str) -> str:
    return main.replace("/postgres?", f"/{name}?")


def _file(directory: Path) -> str:
    return f"sqlite:///{directory / f'{secrets.token_hex(4)}.sqlite'}"
