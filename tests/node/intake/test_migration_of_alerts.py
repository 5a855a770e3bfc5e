"""Alerts that were here before doors had names keep everything, and go back unharmed."""

from pathlib import Path

from alembic import command

from node.migrations import config, migrate
from tests.rig.databases import opened


def test_an_alert_and_its_objects_outlive_the_new_columns_and_their_undoing(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    url = f"sqlite:///{file}"
    command.upgrade(config(url), "0001")
    with opened(file) as before:
        before.execute(
            "INSERT INTO alerts (id, mailbox, request_sha256, manifest_sha256, source_age, source_ed25519, "
            "dialogue, identity, received_on, state) VALUES ('a','m','r','s','x','y','d','i','2026-01-01','received')"
        )
        before.execute("INSERT INTO sealed_objects VALUES ('a','dialogue',1,'source','2026-01-01',X'00')")

    migrate(url)
    with opened(file) as database:
        assert database.execute("SELECT mode, is_blocked FROM alerts").fetchall() == [("sealed", 0)]
    command.downgrade(config(url), "0001")

    with opened(file) as database:
        assert database.execute("SELECT count(*) FROM alerts, sealed_objects").fetchone() == (1,)
