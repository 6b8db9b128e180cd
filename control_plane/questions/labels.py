"""What a label changes in the question itself; for the labelling package, which keeps who labelled what.

Whoever changes labels has locked the questions in an open transaction, and decides what else belongs to it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import select, update
from sqlalchemy.orm import Session, load_only

from control_plane.questions.daily_figures import count_labels
from control_plane.questions.tables import PENDING, QuestionRow
from control_plane.tuning_errors import QuestionErasedError, QuestionNotFoundError

# What a label changes or is compared with; a question's text and scores would take longer to read than all of it.
_MARKED = (QuestionRow.intents, QuestionRow.is_labeled, QuestionRow.training_status, QuestionRow.asked_at,
           QuestionRow.method, QuestionRow.model_version)


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


def lock_questions(session: Session, question_ids: Collection[str]) -> list[QuestionRow]:
    """Return those questions that are there and not erased, by id; nobody else changes them until the end."""
    if not question_ids:
        return []
    return list(session.scalars(
        select(QuestionRow).where(QuestionRow.id.in_(question_ids), QuestionRow.erased_at.is_(None))
        .options(load_only(*_MARKED)).order_by(QuestionRow.id).with_for_update()))


@contextmanager
def counting_labels(session: Session, rows: Sequence[QuestionRow]) -> Iterator[None]:
    """Add to the daily figures which of the locked questions the block labels, or takes a label from."""
    before = {row.id for row in rows if row.is_labeled}
    yield
    count_labels(session, [row for row in rows if row.is_labeled and row.id not in before], 1)
    count_labels(session, [row for row in rows if not row.is_labeled and row.id in before], -1)


def mark_labeled(rows: Sequence[QuestionRow], correct_intent: Sequence[str],
                 correct_time_intent: Mapping | None) -> None:
    """Write the label of locked questions, over the one that they may have; an empty one means out of scope."""
    correct = set(correct_intent)
    for row in rows:
        row.is_labeled = True
        row.correct_intent = list(correct_intent)
        row.correct_time_intent = None if correct_time_intent is None else dict(correct_time_intent)
        row.shared_intents, row.either_intents = len(correct.intersection(row.intents)), len(correct.union(row.intents))


def unmark(rows: Sequence[QuestionRow]) -> None:
    """Take the labels of locked questions away, where they have one; they wait for another."""
    for row in rows:
        row.is_labeled, row.correct_intent, row.correct_time_intent = False, None, None
        row.shared_intents = row.either_intents = None
        row.training_status = PENDING


def set_training_status(session: Session, question_ids: Collection[str], status: str) -> int:
    """Set the training status, one of TRAINING_STATES, of questions that are not erased; returns how many."""
    return session.execute(update(QuestionRow).where(
        QuestionRow.id.in_(question_ids), QuestionRow.erased_at.is_(None)).values(training_status=status)).rowcount
