"""One engine, two ways in: `begin()` to write, `read()` to read. Rows derive from Row; times are aware UTC.

SQLite (WAL, foreign keys, writers begin immediately) is the default; PostgreSQL through asyncpg at scale.
No other file makes an engine, and no transaction stays open while the network is awaited.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

from sqlalchemy import (
    JSON,
    ClauseElement,
    ColumnElement,
    CompoundSelect,
    DateTime,
    Delete,
    Dialect,
    Insert,
    LargeBinary,
    MetaData,
    Select,
    String,
    Update,
    bindparam,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from node import sqlite
from node.errors import NoRoom

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 12
# Of each connection; what it does not hold, the system does, for all of them once.
CACHE_KIB = 256
# Twice SQLite's: what many commits write to alike is copied once; whoever commits last waits for the copying.
CHECKPOINT_PAGES = 2000
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


Binder = Callable[[Any], Any]
Rows = Iterable[Mapping[str, Any]]


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
    async def hand(self) -> AsyncIterator["Hand"]:
        """A connection for what was made ready beforehand, past sessions and their transactions. Raises NoRoom."""
        try:
            async with self.engine.connect() as connection:
                yield Hand(connection)
        except Exception as error:
            if _is_full(error):
                raise NoRoom("the disk is full") from error
            raise

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


Asked = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]] | ReturningUpdate[*tuple[Any, ...]]


class Hand:
    """One connection: a question or an addition costs a round trip, and nothing is open between two of them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.dialect = connection.dialect
        self._driver = _driver_of(connection)

    async def ask(self, question: "Question", **given: Any) -> Sequence[Any]:
        """The rows of the answer. What it changes is committed with it."""
        asked = question.compiled(self.dialect)
        values = asked.bind(given)
        if self.dialect.name != "sqlite":
            return asked.read(await self._driver.fetch(asked.text, *values))
        cursor: sqlite.Cursor = await self._driver.cursor().execute(asked.text, values)
        return asked.read(await cursor.fetchall())

    async def add(self, *inserts: tuple["Bulk", Rows]) -> None:
        """Add rows of several kinds in a transaction of their own."""
        if self.dialect.name == "sqlite":
            opened: sqlite.Connection = self._driver
            opened.begin(reads=False)
            try:
                for bulk, rows in inserts:
                    bulk.hand_over(opened, self.dialect, rows)
                await opened.commit()
            except BaseException:
                await opened.rollback()
                raise
            return
        given = [(bulk, columns) for bulk, rows in inserts if (columns := bulk.bound(self.dialect, rows))]
        if given:
            added = _together(tuple(bulk for bulk, _ in given), self.dialect)
            await self._driver.execute(added, *chain.from_iterable(columns for _, columns in given))


Source = AsyncSession | Hand


def dialect_of(source: Source) -> str:
    """`sqlite` or `postgresql`: where the two spell the same thing in their own ways."""
    return source.dialect.name if isinstance(source, Hand) else source.get_bind().dialect.name


class Question:
    """What tells rows, past the ORM: compiled once for each database, run by its driver.

    statement  with a `bindparam` for all that differs from one time to the next.
    """

    def __init__(self, statement: Asked) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    async def ask(self, source: Source, **given: Any) -> Sequence[Any]:
        """The rows: as they stand in the session's transaction, or now."""
        if isinstance(source, Hand):
            return await source.ask(self, **given)
        rows: Sequence[Any] = (await (await source.connection()).execute(self._statement, given)).all()
        return rows

    def compiled(self, dialect: Dialect) -> "_Compiled":
        """The statement as this database takes it."""
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = _Compiled.of(
                self._statement, dialect, told=tuple(self._statement.exported_columns)
            )
        return self._compiled[dialect.name]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement as one database takes it, what makes its values ready, and what makes values of what it tells."""

    text: str
    binders: tuple[tuple[str, Binder | None], ...]
    fixed: Mapping[str, Any]
    readers: tuple[tuple[int, Binder], ...]

    @classmethod
    def of(
        cls, statement: ClauseElement, dialect: Dialect, *, told: Sequence[ColumnElement[Any]] = ()
    ) -> Self:
        """Compile it. told: the columns that it tells."""
        # Any: a compiler's type depends on the statement.
        compiled: Any = statement.compile(dialect=dialect)
        names = compiled.positiontup or ()
        binders = tuple(
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names
        )
        readers = [one.type.dialect_impl(dialect).result_processor(dialect, None) for one in told]
        return cls(
            str(compiled),
            binders,
            compiled.params,
            tuple((at, reader) for at, reader in enumerate(readers) if reader is not None),
        )

    def read(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The rows with their values as the columns' types have them."""
        if not self.readers:
            return rows
        read = [list(row) for row in rows]
        for at, reader in self.readers:
            for row in read:
                row[at] = reader(row[at])
        return read

    def bind(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values in the order of the statement."""
        values = {**self.fixed, **given}
        return tuple(bind(values[name]) if bind else values[name] for name, bind in self.binders)


# How many rows one statement takes on SQLite at most. Each call leaves and takes the interpreter's lock once, not once a row.
ROWS_AT_ONCE = 64


class Bulk:
    """An insert of rows by the hundred, past the ORM: compiled once for each database, run by its driver.

    make      the statement, given the database's `insert`.
    columns   what every row gives: defaults of the mapping do not apply.
    """

    def __init__(self, make: Callable[[Any], Insert], columns: Sequence[str]) -> None:
        self._make = make
        self._columns = columns
        self._binders: dict[str, list[Binder | None]] = {}
        self._texts: dict[int, str] = {}

    async def run(self, session: AsyncSession, rows: Rows) -> None:
        """Run it for these rows, in the session's transaction. SQLite's thread is given them with whatever it is asked next."""
        connection = await session.connection()
        dialect = connection.dialect
        if dialect.name == "sqlite":
            self.hand_over(_driver_of(connection), dialect, rows)
        elif columns := self.bound(dialect, rows):
            await connection.exec_driver_sql(_together((self,), dialect), tuple(columns))

    def hand_over(self, opened: sqlite.Connection, dialect: Dialect, rows: Rows) -> None:
        """Have SQLite's thread run it before whatever it is asked next."""
        values = list(zip(*self.bound(dialect, rows), strict=True))
        for start in range(0, len(values), ROWS_AT_ONCE):
            some = values[start : start + ROWS_AT_ONCE]
            opened.later(self._text(dialect, len(some)), tuple(chain.from_iterable(some)))

    def bound(self, dialect: Dialect, rows: Rows) -> list[list[Any]]:
        """The values column by column, as the driver takes them; empty without rows."""
        given = list(rows)
        if not given:
            return []
        if dialect.name not in self._binders:
            types = [self._statement(dialect).table.c[name].type for name in self._columns]
            self._binders[dialect.name] = [one.dialect_impl(dialect).bind_processor(dialect) for one in types]
        return [
            _bind([row[name] for row in given], bind)
            for name, bind in zip(self._columns, self._binders[dialect.name], strict=True)
        ]

    def of_arrays(self, dialect: Dialect, name: str) -> Insert:
        """The statement for PostgreSQL that takes each column as an array. name: its own among several."""
        statement = self._statement(dialect)
        given = (
            func.unnest(
                *(
                    bindparam(f"{name}_{column}", type_=ARRAY(_unlimited(statement.table.c[column].type)))
                    for column in self._columns
                )
            )
            .table_valued(*self._columns, name=name)
            .render_derived()
        )
        rows: Insert = statement.from_select(list(self._columns), select(*given.c))
        return rows

    def _statement(self, dialect: Dialect) -> Any:
        # Any: an insert's table may be a join or a subquery for its types; here it is always a table.
        return self._make(sqlite_insert if dialect.name == "sqlite" else postgresql_insert)

    def _text(self, dialect: Dialect, rows: int) -> str:
        """The statement for SQLite that takes so many rows one after the other."""
        one = f"({', '.join('?' for _ in self._columns)})"
        if not self._texts:
            statement = self._statement(dialect).values(dict.fromkeys(self._columns))
            self._texts[1] = str(statement.compile(dialect=dialect))
        if rows not in self._texts:
            self._texts[rows] = self._texts[1].replace(one, ", ".join([one] * rows), 1)
        return self._texts[rows]


class Change:
    """An UPDATE or DELETE that tells nothing, past the ORM: compiled once for each database, run by its driver.

    statement  with a `bindparam` for all that differs from one time to the next.
    """

    def __init__(self, statement: Update | Delete) -> None:
        self._statement = statement
        self._compiled: _Compiled | None = None

    async def run(self, session: AsyncSession, **given: Any) -> None:
        """Run it in the session's transaction. SQLite's thread is given it with whatever it is asked next."""
        connection = await session.connection()
        if connection.dialect.name != "sqlite":
            await connection.execute(self._statement, given)
            return
        if self._compiled is None:
            self._compiled = _Compiled.of(self._statement, connection.dialect)
        _driver_of(connection).later(self._compiled.text, self._compiled.bind(given))


_TOGETHER: dict[tuple[Bulk, ...], str] = {}


def _together(bulks: tuple[Bulk, ...], dialect: Dialect) -> str:
    """Several inserts as one statement of PostgreSQL, which takes the columns of the first, then those of the next."""
    if bulks not in _TOGETHER:
        *others, last = (bulk.of_arrays(dialect, f"given_{n}") for n, bulk in enumerate(bulks))
        statement = last.add_cte(*(one.cte(f"added_{n}") for n, one in enumerate(others)))
        _TOGETHER[bulks] = str(statement.compile(dialect=dialect))
    return _TOGETHER[bulks]


def _unlimited(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    # A cast to a length cuts off in silence what is longer; the column refuses it.
    return String() if isinstance(kind, String) else kind


def _bind(values: list[Any], bind: Binder | None) -> list[Any]:
    """What the driver takes for these values of one column; the same object given again and again is bound once."""
    if bind is None:
        return values
    bound: list[Any] = []
    last = at_last = None
    for value in values:
        if value is not last:
            last, at_last = value, bind(value)
        bound.append(at_last)
    return bound


def _driver_of(connection: Any) -> Any:
    # Any: SQLAlchemy hands on the driver's own connection without a type.
    return connection.sync_connection.connection.driver_connection


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


class _Values(TypeDecorator[list[Any]]):
    """Texts or numbers as one parameter, for `among`."""

    impl = String
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else ARRAY(self.item))

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        return json.dumps(list(value or ())) if dialect.name == "sqlite" else list(value or ())


class _Listed(FunctionElement[Any]):
    inherit_cache = True


@compiles(_Listed, "sqlite")
def _listed_in_json(element: _Listed, compiler: Any, **more: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **more)}))"  # noqa: S608  # what stands inside is a parameter


@compiles(_Listed)
def _listed_in_array(element: _Listed, compiler: Any, **more: Any) -> str:
    return f"(SELECT unnest({compiler.process(element.clauses, **more)}))"


def among(column: Any, values: str | Collection[str] | Collection[int]) -> ColumnElement[bool]:
    """Tell whether a column is one of these: one parameter however many they are, so that a statement compiles once.

    column  Any: a mapped attribute or a column of a table, of texts or numbers.
    values  them, or the name under which the statement is given them.
    """
    kind = _Values(column.type)
    given = (
        bindparam(values, type_=kind)
        if isinstance(values, str)
        else bindparam(None, values, type_=kind, unique=True)
    )
    found: ColumnElement[bool] = column.op("IN", is_comparison=True)(_Listed(given))
    return found


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
    engine = create_async_engine(url, pool_size=10, max_overflow=10, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        # A server that went away has closed the socket: the driver knows, and asking through it would cost three round trips.
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server closed it")

    return engine
