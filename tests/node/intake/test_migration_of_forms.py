"""The form that is asked stays the one that is asked when its place is told apart from its number, and when that is undone."""

from pathlib import Path

from alembic import command

from node.migrations import config, migrate
from tests.rig.databases import opened

ASKED = "SELECT sha256 FROM form_versions WHERE {0} IS NOT NULL ORDER BY {0} DESC"


def test_what_is_asked_now_is_asked_after_the_change_and_its_undoing(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    url = f"sqlite:///{file}"
    command.upgrade(config(url), "0012")
    rows = [("a", 1), ("b", 2), ("came along", None)]
    with opened(file) as before:
        before.executemany(
            "INSERT INTO form_versions (sha256, purpose, number, document) VALUES (?, 'alert', ?, X'00')",
            rows,
        )

    migrate(url)
    with opened(file) as database:
        assert database.execute(ASKED.format("place")).fetchall() == [("b",), ("a",)]
        # Asked again since.
        database.execute("UPDATE form_versions SET place = 3 WHERE sha256 = 'a'")
    command.downgrade(config(url), "0012")

    with opened(file) as database:
        assert database.execute(ASKED.format("number")).fetchall() == [("a",), ("b",)]
        assert database.execute("SELECT count(*) FROM form_versions").fetchone() == (3,)
