"""Usage of each model by the hour, and how long each target's last load of a model took."""

import sqlalchemy as sa
from alembic import op

from control_plane.database.schema import MYSQL_OPTIONS, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table and the column."""
    op.create_table(
        "model_usage",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("hour", UtcDateTime, primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("texts", sa.BigInteger, nullable=False),
        sa.Column("characters", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        **MYSQL_OPTIONS)
    op.add_column("model_targets", sa.Column("load_s", sa.Double))


def downgrade() -> None:
    """Drop both."""
    with op.batch_alter_table("model_targets") as table:
        table.drop_column("load_s")
    op.drop_table("model_usage")
