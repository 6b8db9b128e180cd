"""What a label changes in the question itself; for the labelling package, which keeps who labelled what.

Each function takes an open session, so that its caller decides what else belongs to the transaction.
"""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from control_plane.questions.daily_figures import count_label
from control_plane.questions.tables import PENDING, QuestionRow
from control_plane.tuning_errors import QuestionErasedError, QuestionNotFoundError


def lock_question(session: Session, question_id: str) -> QuestionRow:
    """Return a question that nobody else changes until the transaction ends.

    Raises QuestionNotFoundError, and QuestionErasedError for one that was erased.
    """
    row = session.scalars(select(QuestionRow).where(QuestionRow.id == question_id).with_for_update()).one_or_none()
    if row is None:
        raise QuestionNotFoundError(question_id)
    if row.erased_at is not None:
        raise QuestionErasedError(question_id)
    return row


def mark_labeled(session: Session, question_id: str, correct_intent: Sequence[str],
                 correct_time_intent: Mapping | None) -> QuestionRow:
    """Write a question's label, over the one that it may have; an empty one means out of scope. Raises as above."""
    row = lock_question(session, question_id)
    if not row.is_labeled:
        count_label(session, row, 1)
    row.is_labeled = True
    row.correct_intent = list(correct_intent)
    row.correct_time_intent = None if correct_time_intent is None else dict(correct_time_intent)
    return row


def unmark(session: Session, question_id: str) -> QuestionRow:
    """Take a question's label away, if it has one; it waits for another. Raises as above."""
    row = lock_question(session, question_id)
    if row.is_labeled:
        count_label(session, row, -1)
    row.is_labeled, row.correct_intent, row.correct_time_intent = False, None, None
    row.training_status = PENDING
    return row


def set_training_status(session: Session, question_ids: Collection[str], status: str) -> int:
    """Set the training status, one of TRAINING_STATES, of questions that are not erased; returns how many."""
    return session.execute(update(QuestionRow).where(
        QuestionRow.id.in_(question_ids), QuestionRow.erased_at.is_(None)).values(training_status=status)).rowcount
