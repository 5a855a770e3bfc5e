"""Who published a case goes back into a facet, and what was never seen goes, when an older version is to read it."""

from pathlib import Path

from alembic import command

from node.migrations import config, migrate
from tests.rig.databases import opened

ENTRY = (
    "INSERT INTO entries (id, actor, host, publisher, own, state, language, fields, document, sha256, proof_key, text, "
    "published_at, received_at) VALUES (?, 'https://a.example/actor', 'a.example', '', 0, ?, '', '{}', X'', '', '', '', "
    "'2026-01-01', '2026-01-01')"
)
FACETS = "SELECT entry, facet, value FROM entry_facets ORDER BY facet"
OLD = [("shown", "node", "a.example"), ("shown", "publisher", "https://a.example/actor")]


def test_who_published_a_case_outlives_the_move_and_its_undoing(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    url = f"sqlite:///{file}"
    command.upgrade(config(url), "0014")
    with opened(file) as before:
        before.execute(ENTRY, ("shown", "live"))
        before.executemany("INSERT INTO entry_facets VALUES (?, ?, ?)", [*OLD, ("shown", "state", "FR")])

    migrate(url)
    with opened(file) as now:
        assert now.execute(FACETS).fetchall() == [("shown", "state", "FR")]
        now.execute(ENTRY, ("never", "unseen"))
    command.downgrade(config(url), "0014")

    with opened(file) as after:
        assert after.execute(FACETS).fetchall() == [*OLD, ("shown", "state", "FR")]
        assert after.execute("SELECT id FROM entries").fetchall() == [("shown",)]
