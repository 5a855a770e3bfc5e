"""Epochs and last days of wraps, signed grants, requests, later keys, recovery by words and by shares, witnessed manifests.

The wraps that are here are of the first key and for good. Undone, wraps of later keys and wraps for a time are dropped: the
older shape has no place for them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # By hand and not in a batch: one statement sequence that both databases run alike. Nothing refers to wraps.
    op.execute("CREATE TABLE wraps_before AS SELECT of, compartment, holder, sealed FROM wraps")
    _drop_wraps()
    op.create_table(
        "wraps",
        sa.Column("of", sa.String(32), nullable=False),
        sa.Column("compartment", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(26), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("of", "compartment", "holder", "epoch", name=op.f("pk_wraps")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_wraps_holder"), "wraps", ["holder"])
    op.execute(
        "INSERT INTO wraps (of, compartment, holder, epoch, sealed) SELECT of, compartment, holder, 1, sealed FROM wraps_before"
    )
    op.execute("DROP TABLE wraps_before")

    op.create_table(
        "grants",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("of", sa.String(32), nullable=False),
        sa.Column("compartment", sa.String(16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(26), nullable=False),
        sa.Column("given_by", sa.String(26), nullable=False),
        sa.Column("given_on", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("statement", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_of"), "grants", ["of"])
    op.create_table(
        "access_requests",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("of", sa.String(32), nullable=False),
        sa.Column("compartment", sa.String(16), nullable=False),
        sa.Column("asked_by", sa.String(26), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("decided_by", sa.String(26), nullable=True),
        sa.Column("decided_on", sa.Date(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("refusal", sa.String(1000), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_requests")),
    )
    op.create_index(op.f("ix_access_requests_of"), "access_requests", ["of"])
    op.create_index(op.f("ix_access_requests_asked_by"), "access_requests", ["asked_by"])
    op.create_table(
        "compartment_keys",
        sa.Column("of", sa.String(32), nullable=False),
        sa.Column("compartment", sa.String(16), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recipient", sa.String(2100), nullable=False),
        sa.Column("made_by", sa.String(26), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("of", "compartment", "epoch", name=op.f("pk_compartment_keys")),
    )
    op.create_table(
        "rotations_due",
        sa.Column("of", sa.String(32), nullable=False),
        sa.Column("compartment", sa.String(16), nullable=False),
        sa.Column("who_left", sa.String(26), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("of", "compartment", name=op.f("pk_rotations_due")),
    )
    op.create_table(
        "recovery_keys",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("recipient", sa.String(2100), nullable=False),
        sa.Column("shares", sa.String(8), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("retired_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_keys")),
        sa.UniqueConstraint("recipient", name=op.f("uq_recovery_keys_recipient")),
    )
    op.create_table(
        "witnessed_manifests",
        sa.Column("node", sa.String(300), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("root", sa.String(64), nullable=False),
        sa.Column("seen_on", sa.Date(), nullable=False),
        sa.Column("is_forked", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("node", "sha256", name=op.f("pk_witnessed_manifests")),
    )
    op.add_column("staff", sa.Column("recovery_auth_hash", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("staff", "recovery_auth_hash")
    for table in (
        "witnessed_manifests",
        "recovery_keys",
        "rotations_due",
        "compartment_keys",
        "access_requests",
        "grants",
    ):
        op.drop_table(table)
    op.execute(
        "CREATE TABLE wraps_after AS "
        "SELECT of, compartment, holder, sealed FROM wraps WHERE epoch = 1 AND until IS NULL"
    )
    _drop_wraps()
    op.create_table(
        "wraps",
        sa.Column("of", sa.String(32), nullable=False),
        sa.Column("compartment", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(26), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("of", "compartment", "holder", name=op.f("pk_wraps")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_wraps_holder"), "wraps", ["holder"])
    op.execute(
        "INSERT INTO wraps (of, compartment, holder, sealed) "
        "SELECT of, compartment, holder, sealed FROM wraps_after"
    )
    op.execute("DROP TABLE wraps_after")


def _drop_wraps() -> None:
    op.drop_index(op.f("ix_wraps_holder"), table_name="wraps")
    op.drop_table("wraps")
