"""One engine, two ways in: `begin()` to write, `read()` to read. Rows derive from Row; times are aware UTC.

SQLite (WAL, foreign keys, writers begin immediately) is the default; PostgreSQL through asyncpg at scale.
No other file makes an engine, and no transaction stays open while the network is awaited.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Insert,
    LargeBinary,
    MetaData,
    String,
    event,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from node import sqlite

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime. Naive values are refused on the way in: SQLite would drop the zone in silence."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(DeclarativeBase):
    """Base of every mapped class: the row is the thing, with its lifecycle."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        bytes: LargeBinary,
        dict[str, Any]: JSON().with_variant(JSONB(), "postgresql"),
        list[str]: JSON().with_variant(JSONB(), "postgresql"),
    }


class Database:
    """The engine and its sessions."""

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = _engine(url)
        self._writers = async_sessionmaker(self.engine, expire_on_commit=False)
        self._readers = async_sessionmaker(
            self.engine.execution_options(srt_reads=True), expire_on_commit=False, autoflush=False
        )

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A session whose transaction commits at the end, or rolls back on an exception."""
        async with self._writers() as session, session.begin():
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for reading: takes no write lock, keeps nothing."""
        async with self._readers() as session:
            yield session

    async def create_all(self) -> None:
        """Make every table from the models: for tests. Real databases come from `tracker migrate`."""
        async with self.engine.begin() as connection:
            await connection.run_sync(Row.metadata.create_all)

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()


class Bulk:
    """One statement for rows by the hundred, past the ORM: compiled once for each database, run by its driver.

    make      the statement, given the database's `insert`.
    columns   what every row gives: defaults of the mapping do not apply.
    """

    def __init__(self, make: Callable[[Any], Insert], columns: Sequence[str]) -> None:
        self._make = make
        self._columns = columns
        self._compiled: dict[str, tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]] = {}

    async def run(self, session: AsyncSession, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it for these rows, in the session's transaction."""
        connection = await session.connection()
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(dialect)
        sql, binds = self._compiled[dialect.name]
        values = [tuple(bind(row[name]) if bind else row[name] for name, bind in binds) for row in rows]
        if values:
            await connection.exec_driver_sql(sql, values)

    def _compile(self, dialect: Dialect) -> tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]:
        statement = self._make(sqlite_insert if dialect.name == "sqlite" else postgresql_insert)
        compiled = statement.compile(dialect=dialect, column_keys=list(self._columns))
        # Any: a compiled insert knows the order of its parameters, but the base class does not say so.
        named: Any = compiled
        return str(compiled), [
            (name, named.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in named.positiontup
        ]


def listed(session: AsyncSession, values: Collection[str]) -> Any:
    """Texts as a subquery for `in_`: one parameter however many they are, so that the statement is compiled once.

    Any: a table-valued function has no types of its own for mypy.
    """
    if session.get_bind().dialect.name == "sqlite":
        return select(func.json_each(json.dumps(list(values))).table_valued("value").c.value)
    return select(func.unnest(literal(list(values), ARRAY(String))).column_valued())


def async_url(url: str) -> str:
    """The same database address with the asynchronous driver."""
    parsed = make_url(url)
    drivers = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
    }
    name = parsed.drivername.split("+")[0]
    return parsed.set(drivername=drivers.get(name, parsed.drivername)).render_as_string(hide_password=False)


def _engine(url: str) -> AsyncEngine:
    url = async_url(url)
    if not url.startswith("sqlite"):
        return create_async_engine(
            url, pool_size=10, max_overflow=10, pool_pre_ping=True, hide_parameters=True
        )
    path = make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    # Errors name no values: what was to be stored must not end in a log.
    engine = create_async_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "async_creator_fn": sqlite.connect},
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # Any: the DBAPI connection of SQLAlchemy's adapter.
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "secure_delete=ON",
            "trusted_schema=OFF",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        opened: sqlite.Connection = connection.connection.driver_connection
        opened.begin(reads=connection.get_execution_options().get("srt_reads", False))

    return engine
