"""One engine, two ways in: `begin()` to write, `read()` to read. Rows derive from Row; times are aware UTC.

SQLite (WAL, foreign keys, writers begin immediately) is the default; PostgreSQL through asyncpg at scale.
No other file makes an engine, and no transaction stays open while the network is awaited.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    LargeBinary,
    MetaData,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator

from node import sqlite
from node.errors import NoRoom
from node.statements import Hand

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 12
# How often is looked at the end whether a connection is in use still, five seconds in all.
CLOSE_LOOKS, LOOK_SECONDS = 500, 0.01
# Of each connection; what it does not hold, the system does, for all of them once. Few are busy at a time, and always the same.
CACHE_KIB = 2048
# Twice SQLite's: what many commits write to alike is copied once; whoever commits last waits for the copying.
CHECKPOINT_PAGES = 2000
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
        return value if value.tzinfo is UTC else value.astimezone(UTC)

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
        """A session whose transaction commits at the end, or rolls back on an exception. Raises NoRoom."""
        try:
            async with self._writers() as session, session.begin():
                yield session
        except OperationalError as error:
            if _is_full(error):
                raise NoRoom("the disk is full") from error
            raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for reading: takes no write lock, keeps nothing."""
        async with self._readers() as session:
            yield session

    @asynccontextmanager
    async def hand(self) -> AsyncIterator[Hand]:
        """A connection for what was made ready beforehand, past sessions and their transactions. Raises NoRoom."""
        try:
            async with self.engine.connect() as connection:
                yield Hand(connection)
        except Exception as error:
            if _is_full(error):
                raise NoRoom("the disk is full") from error
            _leave_values_out(error)
            raise

    async def cut_log(self) -> bool:
        """Keep nothing that was deleted in SQLite's log. False when others were reading: then the night does it. PostgreSQL has its own."""
        path = self.engine.url.database
        if not self.is_sqlite or not path or path == ":memory:":
            return True
        return await asyncio.to_thread(sqlite.cut_log, path)

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection, once those in use have come back."""
        pool = self.engine.sync_engine.pool
        # One that comes back after its pool has gone is closed by nobody: its thread and its open files stay.
        for _ in range(CLOSE_LOOKS):
            if not (isinstance(pool, QueuePool) and pool.checkedout()):
                break
            await asyncio.sleep(LOOK_SECONDS)
        await self.engine.dispose()


def _is_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind it. SQLite then ends the transaction itself, and taking back a savepoint fails on top."""
    if error is None:
        return False
    said = str(error)
    if "disk is full" in said or "No space left on device" in said:
        return True
    return any(_is_full(earlier) for earlier in {error.__cause__, error.__context__})


def is_unstorable(error: DBAPIError) -> bool:
    """Whether a value is at fault, such as a text that is too long: trying again would not help. SQLite stores them all."""
    # SQLSTATE classes 22, data exception, and 54, a limit of the program; the driver's own family of errors has no name for them.
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(("22", "54"))


# What asyncpg says of a value that does not fit its column: the value, whole.
_VALUE_IN_ERROR: Final = re.compile(r"(invalid input for query argument \$\d+):.*", re.DOTALL)


def _leave_values_out(error: BaseException | None) -> None:
    """Take out of an error, and of what caused it, what PostgreSQL and its driver tell of the row: whoever logs it logs no text."""
    while error is not None:
        # The key that is there already, or the whole row that is not taken (DETAIL); asyncpg adds it to what it says.
        said = vars(error)
        if isinstance(said.get("detail"), str):
            said["detail"] = None
        error.args = tuple(
            _VALUE_IN_ERROR.sub(r"\1", one) if isinstance(one, str) else one for one in error.args
        )
        error = error.__cause__


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


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# Several times as quick as the standard library, for what is written with every job.
_JSON: Final[Mapping[str, Any]] = {"json_serializer": _json, "json_deserializer": msgspec.json.decode}


def _engine(url: str) -> AsyncEngine:
    url = async_url(url)
    if not url.startswith("sqlite"):
        return _postgresql(url)
    path = make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    # Errors name no values: what was to be stored must not end in a log.
    engine = create_async_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "async_creator_fn": sqlite.connect},
        # Each has a thread of its own: kept once made, and none beyond that is made for a moment.
        pool_size=POOL_SIZE,
        max_overflow=0,
        # The one that was used last: it has its pages and its statements at hand still, and those that rest hold next to nothing.
        pool_use_lifo=True,
        hide_parameters=True,
        **_JSON,
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
            # What undoes half a statement, and what is sorted: as files they would lie about when they are deleted, unlike the database.
            "temp_store=MEMORY",
            f"cache_size=-{CACHE_KIB}",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        opened: sqlite.Connection = connection.connection.driver_connection
        opened.begin(reads=connection.get_execution_options().get("srt_reads", False))

    return engine


def _postgresql(url: str) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=10, max_overflow=10, pool_use_lifo=True, hide_parameters=True, **_JSON
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def leave_values_out(context: ExceptionContext) -> None:
        for error in (context.original_exception, context.sqlalchemy_exception):
            _leave_values_out(error)

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        # A server that went away has closed the socket: the driver knows, and asking through it would cost three round trips.
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server closed it")

    return engine
