"""Which form is asked now, apart from the number of its version: earlier words that are published again keep their line."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("form_versions", sa.Column("place", sa.Integer(), nullable=True))
    op.execute("UPDATE form_versions SET place = number")


def downgrade() -> None:
    # The highest number is asked again, so the number says what the place said; the earlier number has no other home.
    op.execute(
        "UPDATE form_versions SET number = place + (SELECT max(other.number) FROM form_versions AS other) "
        "WHERE place > number"
    )
    op.drop_column("form_versions", "place")
