"""Three indexes go: each told what a longer one tells as well, and was written beside it. Of lanes, with every delivery."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SPARED = (
    ("ix_lanes_due_at", "lanes", "due_at"),
    ("ix_follows_follower", "follows", "follower"),
    ("ix_publication_versions_publication", "publication_versions", "publication"),
)


def upgrade() -> None:
    for name, table, _ in SPARED:
        op.drop_index(name, table_name=table)


def downgrade() -> None:
    for name, table, column in SPARED:
        op.create_index(name, table, [column], unique=False)
