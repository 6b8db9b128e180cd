"""Daily figures of intents and latencies without the method, by which nobody asks for them: a third fewer rows."""

import sqlalchemy as sa
from alembic import op

from control_plane.database.schema import MYSQL_OPTIONS

revision = "0013"
down_revision = "0012"

_DETAILS = {"intent_question_intent_days": ("intent", sa.String(64)),
            "intent_question_latency_days": ("bucket", sa.SmallInteger)}


def upgrade() -> None:
    """Add up what differs in the method only. The key begins with what the figures are grouped by."""
    for table, (detail, kind) in _DETAILS.items():
        keys = [sa.Column("day", sa.Date), sa.Column(detail, kind, autoincrement=False),
                sa.Column("model_version", sa.String(64))]
        _replace(table, keys, {})


def downgrade() -> None:
    """Have the method in the key again. Which it was is not known any more: it is empty."""
    for table, (detail, kind) in _DETAILS.items():
        keys = [sa.Column("day", sa.Date), sa.Column("method", sa.String(32)),
                sa.Column("model_version", sa.String(64)), sa.Column(detail, kind, autoincrement=False)]
        _replace(table, keys, {"method": sa.literal("")})


def _replace(name: str, keys: list[sa.Column], values: dict[str, sa.ColumnElement]) -> None:
    """Make the table anew with these keys; `values` are those of the keys that it does not have.

    MySQL commits each step by itself: whatever step an attempt before was cut off at, the next one loses nothing.
    """
    if sa.inspect(op.get_bind()).has_table(name):
        op.drop_table(f"{name}_new", if_exists=True)
        new = op.create_table(f"{name}_new", *keys, sa.Column("questions", sa.BigInteger, nullable=False),
                              sa.PrimaryKeyConstraint(*(key.name for key in keys)), **MYSQL_OPTIONS)
        old = sa.table(name, sa.column("questions"), *(sa.column(key.name) for key in keys))
        groups = [old.columns[key.name] for key in keys if key.name not in values]
        found = [values[key.name] if key.name in values else old.columns[key.name] for key in keys]
        op.execute(new.insert().from_select([*(key.name for key in keys), "questions"],
                                            sa.select(*found, sa.func.sum(old.columns.questions)).group_by(*groups)))
        op.drop_table(name)
    op.rename_table(f"{name}_new", name)
