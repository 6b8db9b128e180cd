"""Training batches and the versions of the intent model."""

import sqlalchemy as sa
from alembic import op

from control_plane.database.schema import MYSQL_OPTIONS, UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "intent_model_training_batches",
        sa.Column("batch_id", sa.String(32), primary_key=True),
        sa.Column("description", sa.String(1000), nullable=False),
        sa.Column("recipe", sa.String(16), nullable=False),
        sa.Column("training_status", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(32)),
        sa.Column("auto_extract_keywords", sa.Boolean, nullable=False),
        sa.Column("taxonomy_revision", sa.Integer),
        sa.Column("question_count", sa.Integer),
        sa.Column("data_hash", sa.String(64)),
        sa.Column("model_path", sa.String(500)),
        sa.Column("model_version", sa.String(80)),
        sa.Column("metrics", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Index("ix_intent_model_training_batches_training_status", "training_status"),
        **MYSQL_OPTIONS)
    op.create_table(
        "intent_model_versions",
        sa.Column("version", sa.String(80), primary_key=True),
        sa.Column("triton_version", sa.Integer, nullable=False),
        sa.Column("model_path", sa.String(500), nullable=False),
        sa.Column("training_batch_id", sa.String(32),
                  sa.ForeignKey("intent_model_training_batches.batch_id"), nullable=False, unique=True),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("gate", sa.JSON, nullable=False),
        sa.Column("champion_version", sa.String(80)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("activated_at", UtcDateTime),
        sa.Index("ix_intent_model_versions_triton_version", "triton_version"),
        **MYSQL_OPTIONS)


def downgrade() -> None:
    """Drop both."""
    op.drop_table("intent_model_versions")
    op.drop_table("intent_model_training_batches")
