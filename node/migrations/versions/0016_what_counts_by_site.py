"""Reports and what is kept out are counted by site, and what others say of a case as well.

What waits already keeps the place it has.
"""

from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

# As it is now: these values are counted by and mean nothing else, so a later rule may find some of an earlier one.
from federation.sites import site_of

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# table → the column that says whose it is
RENAMED = {"reports": "reporter", "quarantine": "id"}


def upgrade() -> None:
    for table, whose in RENAMED.items():
        _rename(table, "host", "site")
        _fill(table, "site", whose, by_site=True)
    with op.batch_alter_table("reactions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("site", sa.String(length=300), nullable=False, server_default=""))
        batch_op.drop_index(batch_op.f("ix_reactions_case_url"))
        batch_op.create_index(batch_op.f("ix_reactions_case_url_site"), ["case_url", "site"], unique=False)
    _fill("reactions", "site", "actor", by_site=True)


def downgrade() -> None:
    with op.batch_alter_table("reactions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reactions_case_url_site"))
        batch_op.create_index(batch_op.f("ix_reactions_case_url"), ["case_url"], unique=False)
        batch_op.drop_column("site")
    for table, whose in RENAMED.items():
        _rename(table, "site", "host")
        _fill(table, "host", whose, by_site=False)


def _rename(table: str, old: str, new: str) -> None:
    with op.batch_alter_table(table, schema=None) as batch_op:
        batch_op.drop_index(batch_op.f(f"ix_{table}_{old}"))
        batch_op.alter_column(old, new_column_name=new, existing_type=sa.String(length=300), existing_nullable=False)
    op.create_index(op.f(f"ix_{table}_{new}"), table, [new], unique=False)


def _fill(table: str, column: str, whose: str, *, by_site: bool) -> None:
    known = sa.table(table, sa.column("id"), sa.column(column), sa.column(whose))
    connection = op.get_bind()
    hosts = {
        id: urlsplit(url).netloc.lower() for id, url in connection.execute(sa.select(known.c.id, known.c[whose])).all()
    }
    rows = [{"row": id, "value": site_of(host) if by_site else host} for id, host in hosts.items()]
    if rows:
        filled = sa.update(known).where(known.c.id == sa.bindparam("row")).values({column: sa.bindparam("value")})
        connection.execute(filled, rows)
