"""Keyword rules, what was done to them, and their revision."""

import sqlalchemy as sa
from alembic import op

from control_plane.database.schema import MYSQL_OPTIONS, UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "intent_keyword_rules",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("keyword", sa.String(64), nullable=False),
        sa.Column("intent", sa.String(64), nullable=False),
        sa.Column("confidence_boost", sa.Double, nullable=False),
        sa.Column("usage_count", sa.BigInteger, nullable=False),
        sa.Column("success_count", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("admission", sa.JSON),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("keyword", "intent"),
        **MYSQL_OPTIONS)
    op.create_index("ix_intent_keyword_rules_state_id", "intent_keyword_rules", ["state", "id"])
    op.create_index("ix_intent_keyword_rules_intent_id", "intent_keyword_rules", ["intent", "id"])
    op.create_table(
        "intent_keyword_rule_changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rule_id", sa.Integer, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(191), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("confidence_boost", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        **MYSQL_OPTIONS)
    op.create_index("ix_intent_keyword_rule_changes_rule_id_id", "intent_keyword_rule_changes", ["rule_id", "id"])
    op.create_table(
        "intent_keyword_rules_revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        **MYSQL_OPTIONS)


def downgrade() -> None:
    """Drop them."""
    op.drop_table("intent_keyword_rules_revision")
    op.drop_table("intent_keyword_rule_changes")
    op.drop_table("intent_keyword_rules")
