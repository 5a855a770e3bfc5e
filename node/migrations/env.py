"""Alembic's environment: the models' metadata, and an asynchronous engine run to completion."""

import asyncio
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, text

from node import roles  # noqa: F401  # imports every room, so that every Row is known
from node.casework import cases, pictures  # noqa: F401
from node.database import Database, Row, UtcDateTime
from node.intake import alerts, forms, recovery  # noqa: F401
from node.publishing import copies, featured, positions, publications  # noqa: F401
from node.staff import accounts, entrance  # noqa: F401

LOCK = 7_228_115  # any number, the same for all: one migration at a time


def plain(kind: str, value: Any, context_: AutogenContext) -> str | Literal[False]:
    """Types as they stand in the database: a migration must not change when our types do."""
    if kind == "type" and isinstance(value, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(value, sa.JSON):
        context_.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=plain,
    )
    with context.begin_transaction():
        context.run_migrations()


async def upgrade() -> None:
    # Our own engine: its transactions begin immediately, so that a second process waits its turn on SQLite too.
    database = Database(context.config.attributes["url"])
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await database.close()


asyncio.run(upgrade())
