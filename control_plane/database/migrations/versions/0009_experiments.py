"""Experiments on versions of the intent model, and versions that are kept loaded beside the active one."""

import sqlalchemy as sa
from alembic import op

from control_plane.database.schema import MYSQL_OPTIONS, UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables and the column."""
    op.add_column("models", sa.Column("extra_versions", sa.JSON))
    op.create_table(
        "intent_experiments",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("running_model", sa.String(64)),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("control_version", sa.Integer, nullable=False),
        sa.Column("treatment_version", sa.Integer, nullable=False),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("max_error_share", sa.Double, nullable=False),
        sa.Column("max_p95_ms", sa.Double),
        sa.Column("min_samples", sa.Integer, nullable=False),
        sa.Column("min_difference", sa.Double, nullable=False),
        sa.Column("created_by", sa.String(191), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ended_by", sa.String(191)),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("reason", sa.Text),
        sa.UniqueConstraint("running_model", name="uq_intent_experiments_running_model"),
        **MYSQL_OPTIONS)
    op.create_table(
        "intent_experiment_hours", *_group(),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("fallbacks", sa.BigInteger, nullable=False),
        sa.Column("llm_calls", sa.BigInteger, nullable=False),
        sa.Column("agreements", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        **MYSQL_OPTIONS)
    op.create_table(
        "intent_experiment_latencies", *_group(),
        sa.Column("bucket", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        **MYSQL_OPTIONS)


def downgrade() -> None:
    """Drop them."""
    for table in ("intent_experiment_latencies", "intent_experiment_hours", "intent_experiments"):
        op.drop_table(table)
    op.drop_column("models", "extra_versions")


def _group() -> list[sa.Column]:
    """Return the columns that the counts are kept by."""
    return [sa.Column("experiment_id", sa.String(32), primary_key=True),
            sa.Column("arm", sa.String(16), primary_key=True), sa.Column("hour", UtcDateTime, primary_key=True)]
