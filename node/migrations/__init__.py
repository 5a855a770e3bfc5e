"""The shape of the database, step by step: Alembic, called by `tracker migrate` and by `tracker serve` before it opens."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config

from node.database import async_url

log = logging.getLogger(__name__)

HERE = Path(__file__).parent


def migrate(database_url: str, *, to: str = "head") -> None:
    """Bring a database to the newest shape. Safe to repeat, and to run in several processes at once. Blocks."""
    path = database_url.removeprefix("sqlite:///")
    if path != database_url:
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    command.upgrade(config(database_url), to)


def config(database_url: str) -> Config:
    """Alembic's configuration, made here: there is no ini file to go astray."""
    made = Config()
    made.set_main_option("script_location", str(HERE))
    made.set_main_option("path_separator", "os")
    made.attributes["url"] = async_url(database_url)
    return made
