"""What this machine can do at most: the cryptography, the parsing and the disk alone, measured in the run whose figures they stand beside.

No HTTP, no checks, no interpreter between them but the loop that counts. Seconds for each.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from federation.keys import PrivateKey, read_pem

COUNT = 2000
# As many rows as a busy server commits together.
BATCH = 50


def signature(key: PrivateKey) -> float:
    """One signature."""
    signer = key.signer("limit")
    return _each(lambda number: signer.sign(b"%d" % number), count=COUNT // 4)


def verification(key: PrivateKey, body: bytes) -> float:
    """One verification of a signature."""
    signed, public = key.signer("limit").sign(body), read_pem(key.public.pem)
    return _each(lambda _: public.verify(signed, body))


def digest(body: bytes) -> float:
    """One SHA-256."""
    return _each(lambda _: hashlib.sha256(body).digest())


def parsing(body: bytes) -> float:
    """One reading of JSON."""
    return _each(lambda _: json.loads(body))


def row(body: bytes, directory: Path) -> float:
    """One row on SQLite with synchronous=FULL, committed with others."""
    database = sqlite3.connect(directory / "limit.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE kept (digest BLOB PRIMARY KEY, body BLOB) WITHOUT ROWID")

    def keep(number: int) -> None:
        if number % BATCH == 0:
            database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO kept VALUES (?, ?)", (hashlib.sha256(b"%d" % number).digest(), body))
        if number % BATCH == BATCH - 1:
            database.execute("COMMIT")

    try:
        return _each(keep)
    finally:
        database.close()


def _each(step: Callable[[int], object], *, count: int = COUNT) -> float:
    started = time.perf_counter()
    for number in range(count):
        step(number)
    return (time.perf_counter() - started) / count
