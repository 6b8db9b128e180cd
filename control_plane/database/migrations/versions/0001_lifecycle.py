"""Leases, and what should be live: models, their history, and what is seen of them on each target."""

import sqlalchemy as sa
from alembic import op

from control_plane.database.schema import MYSQL_OPTIONS, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "leases",
        sa.Column("name", sa.String(191), primary_key=True),
        sa.Column("owner", sa.String(191), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        **MYSQL_OPTIONS)
    op.create_table(
        "models",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("is_wanted", sa.Boolean, nullable=False),
        sa.Column("policy", sa.String(16), nullable=False),
        sa.Column("is_resident", sa.Boolean, nullable=False),
        sa.Column("active_version", sa.Integer),
        sa.Column("previous_version", sa.Integer),
        sa.Column("keeps_previous_warm", sa.Boolean, nullable=False),
        sa.Column("targets", sa.JSON),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("activated_at", UtcDateTime),
        sa.Column("last_used_at", UtcDateTime),
        **MYSQL_OPTIONS)
    op.create_table(
        "model_events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(191), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("from_version", sa.Integer),
        sa.Column("to_version", sa.Integer),
        sa.Column("detail", sa.JSON),
        **MYSQL_OPTIONS)
    op.create_index("ix_model_events_model_id", "model_events", ["model", "id"])
    op.create_table(
        "model_targets",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("target", sa.String(191), primary_key=True),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("checked_at", UtcDateTime, nullable=False),
        **MYSQL_OPTIONS)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("model_targets", "model_events", "models", "leases"):
        op.drop_table(table)
