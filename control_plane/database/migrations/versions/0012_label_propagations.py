"""Words of which something was decided that has not reached every duplicate yet."""

import sqlalchemy as sa
from alembic import op

from control_plane.database.schema import MYSQL_OPTIONS

revision = "0012"
down_revision = "0011"

_TABLE, _INDEX = "intent_label_propagations", "ix_intent_label_propagations_fingerprint"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("after_id", sa.String(32), nullable=False),
        **MYSQL_OPTIONS)
    op.create_index(_INDEX, _TABLE, ["fingerprint"])


def downgrade() -> None:
    """Drop it; the queue marks duplicates as it meets them."""
    op.drop_table(_TABLE)
