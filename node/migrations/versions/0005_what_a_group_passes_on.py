"""What of an activity of ours passes somebody else's on. Everything that was sent before is our own."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sent", sa.Column("wraps", sa.String(2000), nullable=True))


def downgrade() -> None:
    # The older shape has no place for them, and would show them in outboxes.
    op.execute("DELETE FROM sent_to WHERE activity IN (SELECT id FROM sent WHERE wraps IS NOT NULL)")
    op.execute("DELETE FROM sent WHERE wraps IS NOT NULL")
    op.drop_column("sent", "wraps")
