"""How far each label agrees with the prediction, and indexes that alone answer the labelling queue and the accuracy."""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_QUESTIONS = sa.table("intent_user_questions", *(sa.column(name, kind) for name, kind in {
    "id": sa.String, "is_labeled": sa.Boolean, "intents": sa.JSON, "correct_intent": sa.JSON,
    "shared_intents": sa.SmallInteger, "either_intents": sa.SmallInteger}.items()))
_BEGINNING = ["is_labeled", "training_status"]
_NEW = {"uncertain": [*_BEGINNING, "uncertainty", "fingerprint", "id"],
        "random": [*_BEGINNING, "random_key", "asked_at", "shared_intents", "either_intents", "id"]}
_OLD = {"uncertain": [*_BEGINNING, "uncertainty"], "random": [*_BEGINNING, "random_key"]}
_BATCH = 1000


def upgrade() -> None:
    """Add the columns, fill them where there is a label, and make the indexes wider."""
    for name in ("shared_intents", "either_intents"):
        op.add_column("intent_user_questions", sa.Column(name, sa.SmallInteger))
    _compare_labels()
    _replace_indexes(_NEW)


def downgrade() -> None:
    """Drop the columns and have the narrow indexes again."""
    _replace_indexes(_OLD)
    for name in ("either_intents", "shared_intents"):
        op.drop_column("intent_user_questions", name)


def _replace_indexes(columns: dict[str, list[str]]) -> None:
    for name, names in columns.items():
        op.drop_index(f"ix_intent_user_questions_{name}", "intent_user_questions")
        op.create_index(f"ix_intent_user_questions_{name}", "intent_user_questions", names)


def _compare_labels() -> None:
    """Count the intents that prediction and label share, and those in either, as labels.mark_labeled does."""
    columns, after = _QUESTIONS.columns, ""
    query = sa.select(columns.id, columns.intents, columns.correct_intent).where(
        columns.is_labeled == sa.true()).order_by(columns.id).limit(_BATCH)
    while rows := op.get_bind().execute(query.where(columns.id > after)).all():
        found = defaultdict(list)
        for row in rows:
            predicted, correct = _names(row.intents), _names(row.correct_intent)
            found[len(predicted & correct), len(predicted | correct)].append(row.id)
        for (shared, either), ids in found.items():
            op.get_bind().execute(sa.update(_QUESTIONS).where(columns.id.in_(ids)).values(
                shared_intents=shared, either_intents=either))
        after = rows[-1].id


def _names(intents: object) -> set[str]:
    """Take what is no list for an empty one: a row that somebody wrote by hand must not stop the schema."""
    return set(intents) if isinstance(intents, list) else set()
