"""Which mode a server had, so that what a narrower one refused is asked for when it is widened."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "modes",
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("since", name=op.f("pk_modes")),
    )


def downgrade() -> None:
    op.drop_table("modes")
