"""In which States an actor says it works, and whom the hub of a node names as its members.

Nothing is said yet: actors say it when they are asked again, and the list is read when the node starts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("remote_actors", schema=None) as batch_op:
        batch_op.add_column(sa.Column("states", sa.String(300), nullable=False, server_default=""))
    op.create_table(
        "network_members",
        sa.Column("actor", sa.String(600), nullable=False),
        sa.Column("host", sa.String(300), nullable=False),
        sa.Column("name", sa.String(300), nullable=False),
        sa.Column("states", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint("actor", name=op.f("pk_network_members")),
    )
    op.create_index(op.f("ix_network_members_host"), "network_members", ["host"])


def downgrade() -> None:
    op.drop_table("network_members")
    with op.batch_alter_table("remote_actors", schema=None) as batch_op:
        batch_op.drop_column("states")
