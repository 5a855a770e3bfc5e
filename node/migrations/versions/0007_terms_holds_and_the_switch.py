"""For how long records are kept, who holds one, what is on its way out; the switch of the door; how a report was settled.

Undone, terms, holds and notes are forgotten and the door is open: nothing that was destroyed comes back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_terms",
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("set_by", sa.String(26), nullable=False),
        sa.Column("set_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_retention_terms")),
    )
    op.create_table(
        "retention_holds",
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("held_by", sa.String(26), nullable=False),
        sa.Column("held_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("fk_retention_holds_alert_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_retention_holds")),
    )
    op.create_table(
        "erasures",
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("begun_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_erasures")),
    )
    op.create_table(
        "intake_closures",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("closed_by", sa.String(26), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("elsewhere", sa.String(1000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intake_closures")),
    )
    op.add_column("reports", sa.Column("closed_by", sa.String(26), nullable=True))
    op.add_column("reports", sa.Column("note", sa.String(1000), nullable=True))


def downgrade() -> None:
    op.drop_column("reports", "note")
    op.drop_column("reports", "closed_by")
    for table in ("intake_closures", "erasures", "retention_holds", "retention_terms"):
        op.drop_table(table)
