"""Statements made beforehand, past the ORM: for the places that add, ask or change rows by the hundred.

Each is compiled once for each database and run by its driver: `Bulk` adds rows, `Question` tells them, `Change` changes them. They
run in a session's transaction, or through a `Hand`, which has none beyond the statement.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    CompoundSelect,
    Delete,
    Dialect,
    Insert,
    Select,
    String,
    Update,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from node import sqlite

Binder = Callable[[Any], Any]
Rows = Iterable[Mapping[str, Any]]

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


class _Ordered(FunctionElement[Any]):
    inherit_cache = True


@compiles(_Ordered, "sqlite")
def _ordered_as_it_is(element: _Ordered, compiler: Any, **more: Any) -> str:
    return str(compiler.process(element.clauses, **more))


@compiles(_Ordered)
def _ordered_by_bytes(element: _Ordered, compiler: Any, **more: Any) -> str:
    return f'{compiler.process(element.clauses, **more)} COLLATE "C"'


def in_order(column: Any) -> ColumnElement[Any]:
    """A text as Python's `sorted` has it, whatever PostgreSQL was set up with: rows that are locked in two orders wait for one another.

    column  Any: a mapped attribute or a column of a table.
    """
    return _Ordered(column)


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
