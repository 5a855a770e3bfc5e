"""Decisions and advice about hosts, reports, featured cases, aliases, where activities went, and what was decided about replies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('aliases',
    sa.Column('actor', sa.String(length=600), nullable=False),
    sa.Column('other', sa.String(length=2000), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('said_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('actor', 'other', name=op.f('pk_aliases'))
    )
    op.create_table('blocklists',
    sa.Column('url', sa.String(length=600), nullable=False),
    sa.Column('actor', sa.String(length=2000), nullable=False),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('trouble', sa.String(length=300), nullable=True),
    sa.PrimaryKeyConstraint('url', name=op.f('pk_blocklists'))
    )
    op.create_table('featured',
    sa.Column('case_url', sa.String(length=600), nullable=False),
    sa.Column('featured_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('case_url', name=op.f('pk_featured'))
    )
    op.create_index(op.f('ix_featured_featured_at'), 'featured', ['featured_at'], unique=False)

    op.create_table('reports',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('activity_id', sa.String(length=2000), nullable=False),
    sa.Column('reporter', sa.String(length=2000), nullable=False),
    sa.Column('host', sa.String(length=300), nullable=False),
    sa.Column('objects', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('text', sa.String(length=2000), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reports')),
    sa.UniqueConstraint('activity_id', name=op.f('uq_reports_activity_id'))
    )
    op.create_index(op.f('ix_reports_host'), 'reports', ['host'], unique=False)

    op.create_table('host_advice',
    sa.Column('blocklist', sa.String(length=600), nullable=False),
    sa.Column('name', sa.String(length=300), nullable=False),
    sa.Column('policy', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=1000), nullable=False),
    sa.ForeignKeyConstraint(['blocklist'], ['blocklists.url'], name=op.f('fk_host_advice_blocklist'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('blocklist', 'name', name=op.f('pk_host_advice'))
    )
    op.create_index(op.f('ix_host_advice_name'), 'host_advice', ['name'], unique=False)

    op.create_table('sent_to',
    sa.Column('activity', sa.String(length=600), nullable=False),
    sa.Column('inboxes', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['activity'], ['sent.id'], name=op.f('fk_sent_to_activity'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('activity', name=op.f('pk_sent_to'))
    )
    op.add_column('hosts', sa.Column('failing_since', sa.DateTime(timezone=True), nullable=True))
    op.add_column('hosts', sa.Column('synchronised_at', sa.DateTime(timezone=True), nullable=True))

    op.add_column('reactions', sa.Column('author', sa.String(length=2048), nullable=True))
    op.add_column('reactions', sa.Column('content', sa.String(), nullable=True))
    op.add_column('reactions', sa.Column('published_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('reactions', sa.Column('decided_by', sa.String(length=40), nullable=True))
    op.add_column('reactions', sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True))

    op.add_column('remote_actors', sa.Column('moved_to', sa.String(length=2000), nullable=True))
    op.add_column('remote_actors', sa.Column('moved_at', sa.DateTime(timezone=True), nullable=True))

    op.add_column('remote_keys', sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column('remote_keys', 'expires_at')

    op.drop_column('remote_actors', 'moved_at')
    op.drop_column('remote_actors', 'moved_to')

    op.drop_column('reactions', 'decided_at')
    op.drop_column('reactions', 'decided_by')
    op.drop_column('reactions', 'published_at')
    op.drop_column('reactions', 'content')
    op.drop_column('reactions', 'author')

    op.drop_column('hosts', 'synchronised_at')
    op.drop_column('hosts', 'failing_since')

    op.drop_table('sent_to')
    op.drop_index(op.f('ix_host_advice_name'), table_name='host_advice')

    op.drop_table('host_advice')
    op.drop_index(op.f('ix_reports_host'), table_name='reports')

    op.drop_table('reports')
    op.drop_index(op.f('ix_featured_featured_at'), table_name='featured')

    op.drop_table('featured')
    op.drop_table('blocklists')
    op.drop_table('aliases')
