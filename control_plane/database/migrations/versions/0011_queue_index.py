"""An index that alone answers the labelling queue for its random slice, and disputed questions that stand aside."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TABLE, _INDEX = "intent_user_questions", "ix_intent_user_questions_random"
_BEGINNING = ["is_labeled", "training_status", "random_key"]
_END = ["asked_at", "shared_intents", "either_intents", "id"]
_QUESTIONS = sa.table(_TABLE, sa.column("id"), sa.column("training_status"), sa.column("erased_at"))
_RESOLUTIONS = sa.table("intent_resolutions", sa.column("question_id"), sa.column("state"))


def upgrade() -> None:
    """Add the fingerprint to the index; disputed questions no longer wait, their duplicates follow page by page."""
    _replace_index([*_BEGINNING, "fingerprint", *_END])
    _move_disputed("pending", "skipped")


def downgrade() -> None:
    """Have the narrower index again, and disputed questions among those that wait."""
    _move_disputed("skipped", "pending")
    _replace_index([*_BEGINNING, *_END])


def _replace_index(columns: list[str]) -> None:
    op.drop_index(_INDEX, _TABLE)
    op.create_index(_INDEX, _TABLE, columns)


def _move_disputed(before: str, after: str) -> None:
    disputed = sa.select(_RESOLUTIONS.c.question_id).where(_RESOLUTIONS.c.state == "disputed")
    op.execute(sa.update(_QUESTIONS).values(training_status=after).where(
        _QUESTIONS.c.id.in_(disputed), _QUESTIONS.c.training_status == before, _QUESTIONS.c.erased_at.is_(None)))
