"""The question log, its daily figures, and what keeps both right."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from control_plane.database.schema import MYSQL_OPTIONS, UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "intent_user_questions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("question", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("intents", sa.JSON, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("scores", sa.JSON, nullable=False),
        sa.Column("time_intent", sa.JSON),
        sa.Column("latency_ms", sa.Double, nullable=False),
        sa.Column("has_consent", sa.Boolean, nullable=False),
        sa.Column("subject_digest", sa.String(64)),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("uncertainty", sa.Double, nullable=False),
        sa.Column("random_key", sa.Double, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("variant", sa.String(48)),
        sa.Column("is_labeled", sa.Boolean, nullable=False),
        sa.Column("correct_intent", sa.JSON),
        sa.Column("correct_time_intent", sa.JSON),
        sa.Column("training_status", sa.String(16), nullable=False),
        sa.Column("erased_at", UtcDateTime),
        **MYSQL_OPTIONS)
    for name, columns in {
        "uncertain": ["is_labeled", "training_status", "uncertainty"],
        "random": ["is_labeled", "training_status", "random_key"],
        "is_labeled_id": ["is_labeled", "id"],
        "subject_digest": ["subject_digest"],
        "fingerprint": ["fingerprint"],
        "variant": ["variant", "is_labeled"],
    }.items():
        op.create_index(f"ix_intent_user_questions_{name}", "intent_user_questions", columns)
    op.create_table(
        "intent_question_days", *_group(),
        sa.Column("questions", sa.BigInteger, nullable=False),
        sa.Column("logged", sa.BigInteger, nullable=False),
        sa.Column("labeled", sa.BigInteger, nullable=False),
        sa.Column("llm_calls", sa.BigInteger, nullable=False),
        sa.Column("latency_ms", sa.Double, nullable=False),
        **MYSQL_OPTIONS)
    op.create_table(
        "intent_question_intent_days", *_group(),
        sa.Column("intent", sa.String(64), primary_key=True),
        sa.Column("questions", sa.BigInteger, nullable=False),
        **MYSQL_OPTIONS)
    op.create_table(
        "intent_question_latency_days", *_group(),
        sa.Column("bucket", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("questions", sa.BigInteger, nullable=False),
        **MYSQL_OPTIONS)
    op.create_table(
        "intent_question_segments",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("moved_at", UtcDateTime, nullable=False),
        **MYSQL_OPTIONS)
    op.create_table(
        "intent_question_erasures",
        sa.Column("subject_digest", sa.String(64), primary_key=True),
        sa.Column("erased_at", UtcDateTime, nullable=False),
        **MYSQL_OPTIONS)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("intent_question_erasures", "intent_question_segments", "intent_question_latency_days",
                  "intent_question_intent_days", "intent_question_days", "intent_user_questions"):
        op.drop_table(table)


def _group() -> list[sa.Column]:
    """Return the columns that the daily figures are kept by."""
    return [sa.Column("day", sa.Date, primary_key=True), sa.Column("method", sa.String(32), primary_key=True),
            sa.Column("model_version", sa.String(64), primary_key=True)]
