"""Cases that a hub keeps out, positions on others' cases, and whether a publisher agrees to be searched.

Publishers known so far count as agreed until they are asked again.
"""

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
    op.create_table('positions',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('url', sa.String(length=600), nullable=False),
    sa.Column('case_url', sa.String(length=2000), nullable=False),
    sa.Column('case_sha256', sa.String(length=64), nullable=False),
    sa.Column('kind', sa.String(length=30), nullable=False),
    sa.Column('language', sa.String(length=35), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.Column('document', sa.LargeBinary(), nullable=True),
    sa.Column('drafted_by', sa.String(length=40), nullable=False),
    sa.Column('approved_by', sa.String(length=40), nullable=True),
    sa.Column('drafted_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_positions')),
    sa.UniqueConstraint('url', name=op.f('uq_positions_url'))
    )
    op.create_index(op.f('ix_positions_case_url'), 'positions', ['case_url'], unique=False)
    with op.batch_alter_table('reactions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('position', sa.String(length=30), nullable=True))
    with op.batch_alter_table('remote_actors', schema=None) as batch_op:
        batch_op.add_column(sa.Column('indexable', sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    with op.batch_alter_table('remote_actors', schema=None) as batch_op:
        batch_op.drop_column('indexable')
    with op.batch_alter_table('reactions', schema=None) as batch_op:
        batch_op.drop_column('position')
    op.drop_table('positions')
    op.drop_table('quarantine')
