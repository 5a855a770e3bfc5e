"""In which States an actor says it works, whom the hub of a node names as its members, and within how many hours urgent alerts are answered.

Nothing is said yet: actors say it when they are asked again, and the list is read when the node starts. What an organisation wrote
about its hours in the words of its form stays there and is shown as before; a promise in hours is made at the desk. Undone, promises
and what became of them are forgotten.
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
    op.create_table(
        "intake_promises",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.String(26), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intake_promises")),
    )
    op.create_table(
        "duties",
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("fk_duties_alert_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_duties")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("duties")
    op.drop_table("intake_promises")
    op.drop_table("network_members")
    with op.batch_alter_table("remote_actors", schema=None) as batch_op:
        batch_op.drop_column("states")
