"""The migrations make what the models say, on both databases, and may be run again and at once."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.ext.asyncio import create_async_engine

from node.database import Row, async_url
from node.migrations import migrate
from tests.rig.databases import know_every_row

pytestmark = pytest.mark.both_databases


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found: list[object] = compare_metadata(context, Row.metadata)
    return found


async def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    know_every_row()
    await asyncio.to_thread(migrate, database_url)
    await asyncio.to_thread(migrate, database_url)

    engine = create_async_engine(async_url(database_url))
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


def test_two_processes_may_migrate_at_once(database_url: str) -> None:
    command = [sys.executable, "-c", "import sys; from node.migrations import migrate; migrate(sys.argv[1])"]
    both = [subprocess.Popen([*command, database_url]) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]


def test_the_first_migration_can_be_undone(tmp_path: Path) -> None:
    from alembic import command

    from node.migrations import config

    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    migrate(url)

    command.downgrade(config(url), "base")
    migrate(url)


def test_no_index_tells_what_a_longer_one_tells_as_well() -> None:
    know_every_row()
    spared = []
    for table in Row.metadata.sorted_tables:
        unique = [
            one for one in table.constraints if isinstance(one, PrimaryKeyConstraint | UniqueConstraint)
        ]
        # One of some rows tells nothing of the others.
        whole = [one for one in table.indexes if one.dialect_options["sqlite"]["where"] is None]
        longer = [[column.name for column in one.columns] for one in (*unique, *whole)]
        for index in table.indexes:
            told = [column.name for column in index.columns]
            if not index.unique and any(told == other[: len(told)] and told != other for other in longer):
                spared.append(index.name)

    assert spared == []
