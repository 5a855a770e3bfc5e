"""Of an activity that was processed only the digest is needed: who sent it, and under which id, goes from what came before."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE received SET activity_id = '', actor = '', signer = '' WHERE body IS NULL")


def downgrade() -> None:
    # What is forgotten does not come back; nothing asks for it.
    pass
