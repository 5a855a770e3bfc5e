"""Cases that a hub keeps out, and whether a publisher agrees to be searched; those known so far do until they are asked again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('quarantine',
    sa.Column('id', sa.String(length=2000), nullable=False),
    sa.Column('actor', sa.String(length=2000), nullable=False),
    sa.Column('host', sa.String(length=300), nullable=False),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_quarantine'))
    )
    op.create_index(op.f('ix_quarantine_actor'), 'quarantine', ['actor'], unique=False)
    op.create_index(op.f('ix_quarantine_host'), 'quarantine', ['host'], unique=False)
    with op.batch_alter_table('remote_actors', schema=None) as batch_op:
        batch_op.add_column(sa.Column('indexable', sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    with op.batch_alter_table('remote_actors', schema=None) as batch_op:
        batch_op.drop_column('indexable')
    op.drop_table('quarantine')
