"""SQLite for the event loop: aiosqlite's thread, handed one statement with its rows at a time where SQLAlchemy hands over four pieces.

Where a task is cancelled while the thread works, the thread finishes what it was given, be it a whole transaction.

A transaction begins with its first statement, so that one which reads nothing costs nothing, and a reader's end is waited for by nobody.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import aiosqlite

# How long the end of others' reading is waited for, while nobody writes.
CUT_SECONDS = 1.0
# A bulk insert is another statement for each number of rows.
CACHED_STATEMENTS = 512


Statement = tuple[str, Sequence[Any]]


class Cursor:
    """What SQLAlchemy's adapter asks of a cursor. Rows are fetched whole: nothing here streams."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "Cursor":
        """Run one statement and fetch its rows."""
        await self._connection.run(partial(self._execute, sql, parameters))
        return self

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> "Cursor":
        """Run one statement for many rows."""
        await self._connection.run(partial(self._executemany, sql, rows))
        return self

    async def fetchall(self) -> list[Any]:
        """The rows of the statement that ran last."""
        return self._rows

    async def close(self) -> None:
        """Nothing is open: the rows are here already."""

    def _execute(self, sql: str, parameters: Sequence[Any], opened: sqlite3.Connection) -> None:
        cursor = opened.execute(sql, parameters)
        self._rows = cursor.fetchall() if cursor.description else []
        self._remember(cursor)

    def _executemany(self, sql: str, rows: Iterable[Sequence[Any]], opened: sqlite3.Connection) -> None:
        self._remember(opened.executemany(sql, rows))

    def _remember(self, cursor: sqlite3.Cursor) -> None:
        self.description, self.rowcount, self.lastrowid = (
            cursor.description,
            cursor.rowcount,
            cursor.lastrowid,
        )
        cursor.close()


def cut_log(path: str) -> bool:
    """Bring all that the write-ahead log holds into the database and cut it off; False when others were reading all the time.

    What is deleted is overwritten in the database (secure_delete), and the log keeps it as it was written, for weeks where little is.
    """
    with closing(sqlite3.connect(path, timeout=CUT_SECONDS)) as opened:
        try:
            opened.execute("PRAGMA secure_delete=ON")
            (is_busy, *_) = opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            return False
    return not is_busy


class Connection(aiosqlite.Connection):
    """One connection with its thread."""

    _begin: str | None = None
    _reads = False
    _is_open = False

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._waiting: list[Statement] = []

    def begin(self, *, reads: bool) -> None:
        """Begin a transaction at the next statement; a writer takes its lock then, at once.

        A deferred writer that upgrades later fails with SQLITE_BUSY whatever the timeout.
        """
        self._begin = "BEGIN" if reads else "BEGIN IMMEDIATE"
        self._reads = reads

    def later(self, sql: str, parameters: Sequence[Any]) -> None:
        """Run a statement that tells nothing before whatever comes next in this transaction; if it fails, that fails.

        Not as the last thing within a savepoint, whose end would fail in its place and leave the rest of it standing.
        """
        self._waiting.append((sql, parameters))

    # Not a coroutine, as in aiosqlite: SQLAlchemy enters what it returns.
    def cursor(self) -> Cursor:  # type: ignore[override]
        """A cursor that costs no hand-over."""
        return Cursor(self)

    async def run(self, use: Any) -> None:
        """Run `use(sqlite3 connection)` in the connection's thread, in the transaction that was asked for.

        use  Any: a callable that takes the connection; what it returns is not looked at.
        """
        begin, self._begin = self._begin, None
        self._is_open = self._is_open or begin is not None
        waiting, self._waiting = self._waiting, []
        await self._execute(partial(_run, self._conn, begin, waiting, use))  # type: ignore[no-untyped-call]  # aiosqlite has no types here

    async def commit(self) -> None:
        """Commit, when anything ran or waits to."""
        if self._waiting:
            await self.run(sqlite3.Connection.commit)
        elif self._is_open:
            await super().commit()
        self._begin, self._is_open = None, False

    async def rollback(self) -> None:
        """Roll back, when anything ran. After reading nobody waits: the thread does it before whatever comes next."""
        self._waiting = []
        is_open, self._begin, self._is_open = self._is_open, None, False
        if is_open and self._reads:
            self._tx.put_nowait((None, self._conn.rollback))
        elif is_open:
            await super().rollback()


def _run(opened: sqlite3.Connection, begin: str | None, waiting: Sequence[Statement], use: Any) -> None:
    if begin is not None:
        opened.execute(begin)
    for sql, parameters in waiting:
        opened.execute(sql, parameters)
    use(opened)


def connect(path: str, **options: Any) -> Connection:
    """A connection to be awaited. options: of `sqlite3.connect`. Its thread does not keep a process alive."""
    # Autocommit, so that the BEGIN above is the only one.
    connection = Connection(
        partial(sqlite3.connect, path, isolation_level=None, **options), iter_chunk_size=64
    )
    connection._thread.daemon = True
    return connection
