"""The forms a source is asked with: what was published stays, and one draft of each.

Undone, the forms of the organisation are dropped; the ones that come along are asked again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "form_versions",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=True),
        sa.Column("published_by", sa.String(26), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_form_versions")),
        sa.UniqueConstraint("purpose", "number", name=op.f("uq_form_versions_purpose_number")),
    )
    op.create_table(
        "form_drafts",
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("saved_by", sa.String(26), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_form_drafts")),
    )


def downgrade() -> None:
    op.drop_table("form_drafts")
    op.drop_table("form_versions")
