"""Which servers fetched a case, so that they hear of its correction and its withdrawal."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "copies",
        sa.Column("case_url", sa.String(length=2000), nullable=False),
        sa.Column("inbox", sa.String(length=2000), nullable=False),
        sa.Column("site", sa.String(length=300), nullable=False),
        sa.Column("seen_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["case_url"], ["entries.id"], name=op.f("fk_copies_case_url"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("case_url", "inbox", name=op.f("pk_copies")),
    )
    op.create_index(op.f("ix_copies_case_url_site"), "copies", ["case_url", "site"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_copies_case_url_site"), table_name="copies")
    op.drop_table("copies")
