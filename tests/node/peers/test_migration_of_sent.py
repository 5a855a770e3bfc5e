"""What was sent before groups keeps everything; going back loses only what the older shape would show as our own words."""

from pathlib import Path

from alembic import command

from node.migrations import config, migrate
from tests.rig.databases import opened

ROW = "INSERT INTO sent (id, actor, type, object_id, body, is_public, sent_at{}) VALUES (?, 'a', 'Announce', 'c', X'00', 1, '2026-01-01'{})"


def test_what_we_said_outlives_the_new_column_and_its_undoing(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    url = f"sqlite:///{file}"
    command.upgrade(config(url), "0004")
    with opened(file) as before:
        before.execute(ROW.format("", ""), ("ours",))

    migrate(url)
    with opened(file) as now:
        assert now.execute("SELECT id, wraps FROM sent").fetchall() == [("ours", None)]
        now.execute(ROW.format(", wraps", ", 'theirs'"), ("passed on",))
        now.execute("INSERT INTO sent_to VALUES ('passed on', 'inbox')")
    command.downgrade(config(url), "0004")

    with opened(file) as after:
        assert after.execute("SELECT id FROM sent").fetchall() == [("ours",)]
        assert after.execute("SELECT count(*) FROM sent_to").fetchone() == (0,)
