"""Under which ids a Follow of ours was asked for, so that a late answer to an earlier one is known for what it is.

Of those that are here nobody knows: an answer to them counts as it did.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ids = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.add_column("follows", sa.Column("asked_as", ids, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("follows", "asked_as")
