"""Who published a case, and on which host, is read from its entry: a facet took too short a value for either."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM entry_facets WHERE facet IN ('node', 'publisher')")


def downgrade() -> None:
    # What was withdrawn before it came was nowhere to be seen: it is as if it had never been told of.
    op.execute("DELETE FROM entries WHERE state = 'unseen'")
    for facet, column in (("node", "host"), ("publisher", "actor")):
        op.execute(
            f"INSERT INTO entry_facets (entry, facet, value) SELECT id, '{facet}', {column} FROM entries "  # noqa: S608  # ours
            f"WHERE length({column}) <= 120 AND state <> 'withdrawn'"
        )
