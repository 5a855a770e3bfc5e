"""The shape of the database, step by step: Alembic, called by `tracker migrate` and by `tracker serve` before it opens."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from node.database import async_url

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent


def migrate(database_url: str, *, to: str = "head") -> None:
    """Bring a database to the newest shape. Safe to repeat, and to run in several processes at once. Blocks."""
    path = database_url.removeprefix("sqlite:///")
    if path != database_url:
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if to == "head" and asyncio.run(revision_of(database_url)) == newest():
        return
    # Only now: Alembic weighs ten megabytes that a server whose database is in shape need not carry.
    from alembic import command

    command.upgrade(config(database_url), to)


def newest() -> str:
    """The newest revision: versions are numbered, and named by their number."""
    return max(path.name.partition("_")[0] for path in (HERE / "versions").glob("[0-9]*.py"))


def config(database_url: str) -> "Config":
    """Alembic's configuration, made here: there is no ini file to go astray."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(HERE))
    made.set_main_option("path_separator", "os")
    made.attributes["url"] = async_url(database_url)
    return made


async def revision_of(database_url: str) -> str | None:
    """The revision a database says it has; None for an empty one."""
    engine = create_async_engine(async_url(database_url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            found: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found
    except DBAPIError:
        return None
    finally:
        await engine.dispose()
