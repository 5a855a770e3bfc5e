"""Lists of keys are kept whatever number they give themselves: a witness that cannot keep one has seen nothing.

SQLite's integers are of 64 bits already.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("witnessed_manifests", "epoch", type_=sa.BigInteger(), existing_nullable=False)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DELETE FROM witnessed_manifests WHERE epoch NOT BETWEEN -2147483648 AND 2147483647")
        op.alter_column("witnessed_manifests", "epoch", type_=sa.Integer(), existing_nullable=False)
