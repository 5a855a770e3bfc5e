"""Whether an actor says that it is of this network; and of which hosts no media and no reports are taken.

Actors known so far count as strangers until they are asked again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("remote_actors", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_network", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        for name in ("no_media", "no_reports"):
            batch_op.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("hosts", schema=None) as batch_op:
        batch_op.drop_column("no_reports")
        batch_op.drop_column("no_media")
    with op.batch_alter_table("remote_actors", schema=None) as batch_op:
        batch_op.drop_column("is_network")
