"""The taxonomy, annotations and what they come to, leases, frozen splits, out-of-fold scores."""

import sqlalchemy as sa
from alembic import op

from control_plane.database.schema import MYSQL_OPTIONS, UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables."""
    _create_taxonomy()
    _create_annotations()
    op.create_table(
        "intent_label_leases",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("question_id", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("labeler", sa.String(191), nullable=False),
        sa.Column("slice", sa.String(16)),
        sa.Column("is_blind", sa.Boolean, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("question_id", name="uq_intent_label_leases_question_id"),
        sa.UniqueConstraint("fingerprint", name="uq_intent_label_leases_fingerprint"),
        **MYSQL_OPTIONS)
    op.create_index("ix_intent_label_leases_labeler", "intent_label_leases", ["labeler", "id"])
    op.create_index("ix_intent_label_leases_expires_at", "intent_label_leases", ["expires_at"])
    op.create_table(
        "intent_out_of_fold_scores",
        sa.Column("question_id", sa.String(32), primary_key=True),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("scores", sa.JSON, nullable=False),
        **MYSQL_OPTIONS)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("intent_out_of_fold_scores", "intent_label_leases", "intent_example_splits", "intent_resolutions",
                  "intent_annotations", "intent_taxonomy_changes", "intent_labels"):
        op.drop_table(table)


def _create_taxonomy() -> None:
    op.create_table(
        "intent_labels",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("display_name", sa.String(128), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("merged_into", sa.Integer),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("name", name="uq_intent_labels_name"),
        **MYSQL_OPTIONS)
    op.create_table(
        "intent_taxonomy_changes",
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(191), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("intent", sa.String(64), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        **MYSQL_OPTIONS)


def _create_annotations() -> None:
    op.create_table(
        "intent_annotations",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("question_id", sa.String(32), nullable=False),
        sa.Column("labeler", sa.String(191), nullable=False),
        sa.Column("intents", sa.JSON),
        sa.Column("time_intent", sa.JSON),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("slice", sa.String(16)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("undone_at", UtcDateTime),
        **MYSQL_OPTIONS)
    op.create_index("ix_intent_annotations_question_id", "intent_annotations", ["question_id", "id"])
    op.create_index("ix_intent_annotations_origin", "intent_annotations", ["origin", "id"])
    op.create_table(
        "intent_resolutions",
        sa.Column("question_id", sa.String(32), primary_key=True),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("intents", sa.JSON),
        sa.Column("time_intent", sa.JSON),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("slice", sa.String(16)),
        sa.Column("first_labeler", sa.String(191), nullable=False),
        sa.Column("wants_second", sa.Boolean, nullable=False),
        sa.Column("resolved_at", UtcDateTime, nullable=False),
        **MYSQL_OPTIONS)
    op.create_index("ix_intent_resolutions_fingerprint", "intent_resolutions", ["fingerprint"])
    op.create_index("ix_intent_resolutions_wants_second", "intent_resolutions", ["wants_second", "resolved_at"])
    op.create_index("ix_intent_resolutions_state", "intent_resolutions", ["state", "question_id"])
    op.create_table(
        "intent_example_splits",
        sa.Column("question_id", sa.String(32), primary_key=True),
        sa.Column("split", sa.String(8), nullable=False),
        sa.Column("assigned_at", UtcDateTime, nullable=False),
        **MYSQL_OPTIONS)
