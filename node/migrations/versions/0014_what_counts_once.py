"""An actor's likes of a case are one, and so are their boosts; a reply that waits has a place, and no two have the same."""

from collections import Counter
from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COUNTED_ONCE = sa.text("kind IN ('like', 'boost')")


def upgrade() -> None:
    op.execute(
        "DELETE FROM reactions WHERE id IN (SELECT id FROM ("
        "SELECT id, row_number() OVER (PARTITION BY case_url, actor, kind ORDER BY received_at DESC, id DESC) AS place "
        "FROM reactions WHERE kind IN ('like', 'boost')) AS ranked WHERE place > 1)"
    )
    with op.batch_alter_table("reactions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("place", sa.String(length=320), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_reactions_place"), ["place"])
    op.create_index(
        "uq_reactions_case_url_actor_kind",
        "reactions",
        ["case_url", "actor", "kind"],
        unique=True,
        sqlite_where=COUNTED_ONCE,
        postgresql_where=COUNTED_ONCE,
    )
    _give_places()


def downgrade() -> None:
    # Of several likes the last one stays: the others counted for nothing.
    op.drop_index("uq_reactions_case_url_actor_kind", table_name="reactions")
    with op.batch_alter_table("reactions", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_reactions_place"), type_="unique")
        batch_op.drop_column("place")


def _give_places() -> None:
    """Nothing that waits is lost: where more than a hundred of one host do, their numbers are higher."""
    connection = op.get_bind()
    waiting = connection.execute(
        sa.text(
            "SELECT id, actor FROM reactions WHERE kind = 'reply' AND decided_at IS NULL ORDER BY received_at, id"
        )
    )
    taken: Counter[str] = Counter()
    places = []
    for reply, actor in waiting.all():
        host = urlsplit(actor).netloc.lower()
        taken[host] += 1
        places.append({"id": reply, "place": f"{host} {taken[host]}"})
    if places:
        connection.execute(sa.text("UPDATE reactions SET place = :place WHERE id = :id"), places)
