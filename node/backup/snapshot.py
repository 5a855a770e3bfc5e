"""The database of a backup: one moment of it as an SQLite file, from either database, and back into either.

SQLite's own online backup copies a file that is being written to; PostgreSQL is read in one transaction that sees one moment, and
no program of PostgreSQL's is needed.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    LargeBinary,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

# Every room with rows must be known: what nobody imported would be left out of a copy.
from node import roles  # noqa: F401
from node.backup.archive import BadBackup, Tell
from node.casework import cases, pictures  # noqa: F401
from node.database import Database, Row
from node.intake import alerts, forms, recovery  # noqa: F401
from node.migrations import migrate, newest, revision_of
from node.publishing import copies, featured, positions, publications  # noqa: F401
from node.settings import Settings
from node.staff import accounts, entrance  # noqa: F401

STEP_PAGES = 4096
ROWS_AT_ONCE = 500
# Of a table with bytes in it: pictures have a megabyte and more.
LARGE_ROWS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What a copy says of itself.

    named  sealed files that it names; True where an alert needs them, False where they wait to be claimed.
    """

    revision: str
    rows: Mapping[str, int]
    named: Mapping[str, bool]
    audit: tuple[int, str]


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite address; None for another database."""
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.drivername.startswith("sqlite") else None


async def copy_database(settings: Settings, copy: Path, tell: Tell) -> None:
    """Write the database as it is at this moment into a new SQLite file. Raises BadBackup."""
    path = sqlite_path(settings.database_url)
    if path is not None:
        if not path.is_file():
            raise BadBackup(f"{path} is not there: check TRACKER_DATABASE_URL and TRACKER_DATA")
        with _in_words("the database cannot be copied"):
            await asyncio.to_thread(_copy_sqlite, path, copy, tell)
    else:
        with _in_words("the database cannot be copied"):
            await _copy_postgresql(settings.database_url, copy, tell)
    await asyncio.to_thread(_settle, copy)


def facts_of(copy: Path) -> Facts:
    """Read a copy. Raises BadBackup where it is no database of ours."""
    try:
        with closing(_read_only(copy)) as opened:
            (revision,) = opened.execute("SELECT version_num FROM alembic_version").fetchone()
            tables = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            # The names come from the database itself, quoted as it wants them.
            rows = {
                name: int(opened.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608
                for name in [str(one) for (one,) in tables if not one.startswith("sqlite_")]
            }
            named: dict[str, bool] = {}
            for blob, claimed in opened.execute("SELECT blob, alert_id IS NOT NULL FROM upload_parts"):
                named[blob] = named.get(blob, False) or bool(claimed)
            head = opened.execute("SELECT seq, hash FROM audit_head").fetchone() or (0, "")
    except (sqlite3.Error, TypeError) as error:
        raise BadBackup(
            f"the database cannot be read ({error}): `tracker migrate` makes its shape"
        ) from error
    return Facts(str(revision), rows, named, (int(head[0]), str(head[1])))


def faults_of(copy: Path) -> str:
    """What SQLite finds wrong with a copy; empty when nothing."""
    try:
        with closing(_read_only(copy)) as opened:
            (said,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                return str(said).splitlines()[0]
            if orphan := opened.execute("PRAGMA foreign_key_check").fetchone():
                return f"a row of {orphan[0]} belongs to one of {orphan[2]} that is not there"
    except sqlite3.Error as error:
        return str(error)
    return ""


async def rows_in(url: str) -> int:
    """How many rows of ours a PostgreSQL database holds; 0 where there are no tables."""
    if await revision_of(url) is None:
        return 0
    database = Database(url)
    try:
        async with database.engine.connect() as connection:
            there = set((await connection.scalars(text("SELECT tablename FROM pg_tables"))).all())
            counted = [
                await connection.scalar(select(func.count()).select_from(table))
                for table in Row.metadata.sorted_tables
                if table.name in there
            ]
        return sum(count or 0 for count in counted)
    finally:
        await database.close()


async def fill_postgresql(copy: Path, url: str, tell: Tell) -> None:
    """Put a copy of the newest shape in the place of what a PostgreSQL database holds, in one transaction. Raises BadBackup."""
    with _in_words("PostgreSQL does not take what is in the backup; its rows are as they were"):
        await asyncio.to_thread(migrate, url)
        await _replace(copy, url, tell)


# ---- one database into another ------------------------------------------------------------------------------------


async def _replace(copy: Path, url: str, tell: Tell) -> None:
    source, target = Database(f"sqlite:///{copy}"), Database(url)
    try:
        async with source.engine.connect() as reading, target.engine.begin() as writing:
            for table in reversed(Row.metadata.sorted_tables):
                await writing.execute(delete(table))
            await _pour(reading, writing, tell)
            for table in Row.metadata.sorted_tables:
                await _count_on(writing, table)
    finally:
        await source.close()
        await target.close()


async def _copy_postgresql(url: str, copy: Path, tell: Tell) -> None:
    found = await revision_of(url)
    if found != newest():
        raise BadBackup(
            f"the database has shape {found or 'none'} and this version {newest()}: back it up with the version that made it, "
            "or `tracker migrate` first"
        )
    await asyncio.to_thread(migrate, f"sqlite:///{copy}")
    source, target = Database(url), Database(f"sqlite:///{copy}")
    try:
        async with source.engine.connect() as reading, target.engine.begin() as writing:
            # One moment for all tables; writers go on beside it.
            await reading.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            await _pour(reading, writing, tell)
    finally:
        await source.close()
        await target.close()


async def _pour(reading: AsyncConnection, writing: AsyncConnection, tell: Tell) -> None:
    """Every row of every table of ours, those that others point at first."""
    tables = Row.metadata.sorted_tables
    counts = {
        table.name: await reading.scalar(select(func.count()).select_from(table)) or 0 for table in tables
    }
    done, total = 0, sum(counts.values())
    for table in tables:
        put = insert(table).values(
            {column.name: bindparam(column.name, type_=_stored(column.type)) for column in table.columns}
        )
        async for rows in _pages(reading, table):
            await writing.execute(put, rows)
            done += len(rows)
            tell("copying the database", done, total)


async def _pages(reading: AsyncConnection, table: Table) -> AsyncIterator[list[dict[str, Any]]]:
    """The rows of a table in the order of its key. Any: rows are what they are in the database."""
    keys = list(table.primary_key.columns)
    is_large = any(isinstance(column.type, LargeBinary) for column in table.columns)
    page = select(table).order_by(*keys).limit(LARGE_ROWS_AT_ONCE if is_large else ROWS_AT_ONCE)
    after: Sequence[Any] | None = None
    while True:
        asked = page
        if after is not None:
            last = [literal(value, key.type) for value, key in zip(after, keys, strict=True)]
            asked = page.where(tuple_(*keys) > tuple_(*last))
        rows = [dict(row) for row in (await reading.execute(asked)).mappings()]
        if not rows:
            return
        after = [rows[-1][key.name] for key in keys]
        yield rows


def _stored(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type with which a value is written: nothing stays nothing, and does not become JSON's `null`."""
    if isinstance(kind, JSON):
        return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    return kind


async def _count_on(writing: AsyncConnection, table: Table) -> None:
    """Let a number that PostgreSQL gives by itself begin behind those that are there."""
    counted = table.autoincrement_column
    if counted is None:
        return
    sequence = await writing.scalar(select(func.pg_get_serial_sequence(table.name, counted.name)))
    if sequence:
        largest = await writing.scalar(select(func.max(counted))) or 0
        await writing.execute(select(func.setval(sequence, largest + 1, False)))


# ---- SQLite -------------------------------------------------------------------------------------------------------


def _copy_sqlite(path: Path, copy: Path, tell: Tell) -> None:
    with (
        closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        # One moment for the whole of it: without this, whatever is written meanwhile would make it begin anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(
            target,
            pages=STEP_PAGES,
            progress=lambda _status, left, total: tell("copying the database", total - left, total),
        )


def _settle(copy: Path) -> None:
    """Make a copy one file, and look whether it is whole. Raises BadBackup."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(copy)) as opened:
        # What is damaged says so below.
        opened.execute("PRAGMA journal_mode=DELETE")
    if fault := faults_of(copy):
        raise BadBackup(f"the copy of the database is damaged ({fault}): the database itself may be")


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """The errors of a database as one sentence with their name: what they say may hold what is stored. Raises BadBackup."""
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError) as error:
        name = type(getattr(error, "orig", None) or error).__name__
        raise BadBackup(f"{what} ({name}): look at the database, and at the room on its disk") from error


def _read_only(copy: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)
