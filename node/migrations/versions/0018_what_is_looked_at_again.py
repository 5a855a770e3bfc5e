"""When each host was told who of its people follow each actor of ours; and of actors, whether they were looked for in vain.

Whoever was told today before is told once more. Going back, all hosts are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "told_of_followers",
        sa.Column("pair", sa.String(length=900), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pair", name=op.f("pk_told_of_followers")),
    )
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.drop_column("synchronised_at")
    with op.batch_alter_table("remote_actors", schema=None) as batch_op:
        batch_op.add_column(sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("remote_actors", schema=None) as batch_op:
        batch_op.drop_column("missing_since")
        batch_op.drop_column("looked_at")
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("synchronised_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_table("told_of_followers")
