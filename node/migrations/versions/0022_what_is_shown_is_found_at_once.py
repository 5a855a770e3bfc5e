"""Indexes of those cases that are shown: the newest of a hundred thousand are found without looking at all."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SHOWN = sa.text("state IN ('live', 'corrected')")
NOT_SHOWN = sa.text("state NOT IN ('live', 'corrected')")


def upgrade() -> None:
    op.create_index(
        "ix_entries_shown", "entries", ["published_at", "id"], sqlite_where=SHOWN, postgresql_where=SHOWN
    )
    op.create_index(
        "ix_entries_shown_of_host",
        "entries",
        ["host", "published_at", "state"],
        sqlite_where=SHOWN,
        postgresql_where=SHOWN,
    )
    op.create_index(
        "ix_entries_not_shown",
        "entries",
        ["state", "withdrawn_at"],
        sqlite_where=NOT_SHOWN,
        postgresql_where=NOT_SHOWN,
    )
    op.drop_index("ix_entries_newest", table_name="entries")
    op.drop_index("ix_entries_published_at", table_name="entries")


def downgrade() -> None:
    op.create_index("ix_entries_published_at", "entries", ["published_at"])
    op.create_index("ix_entries_newest", "entries", ["state", "published_at"])
    op.drop_index("ix_entries_not_shown", table_name="entries")
    op.drop_index("ix_entries_shown_of_host", table_name="entries")
    op.drop_index("ix_entries_shown", table_name="entries")
