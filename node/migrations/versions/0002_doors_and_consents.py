"""By which door an alert came, whether its source may still write, and what the source agreed to.

Alerts that are here already came sealed; nobody is blocked. Undone, these facts are forgotten: nothing else is lost.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Never in a batch: SQLite would copy the table anew, and its foreign keys would take the objects away with it.
    op.add_column("alerts", sa.Column("mode", sa.String(16), nullable=False, server_default="sealed"))
    op.add_column("alerts", sa.Column("is_blocked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "consents",
        sa.Column("alert_id", sa.String(32), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("use", sa.String(16), nullable=False),
        sa.Column("answer", sa.String(3), nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=True),
        sa.Column("answered_on", sa.Date(), nullable=False),
        sa.Column("signature", sa.String(96), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("fk_consents_alert_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert_id", "seq", name=op.f("pk_consents")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("consents")
    op.drop_column("alerts", "is_blocked")
    op.drop_column("alerts", "mode")
