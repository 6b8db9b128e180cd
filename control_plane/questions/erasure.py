"""Blanks the questions of a subject. Knows nothing of who asks for it, nor of where questions come from."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from control_plane.questions.tables import SKIPPED, ErasureRow, QuestionRow

# Method, version, time and latency stay: they are in the daily figures too, and tell of nobody.
_BLANK = {
    "question": "", "intents": [], "confidence": 0.0, "scores": {}, "time_intent": None, "subject_digest": None,
    "fingerprint": None, "uncertainty": 1.0, "is_labeled": False, "correct_intent": None, "correct_time_intent": None,
    "shared_intents": None, "either_intents": None, "training_status": SKIPPED,
}


def blank_questions(session: Session, subject_digest: str, until: datetime) -> int:
    """Blank what the subject asked until that moment; returns how many questions.

    The rows are locked before they are changed. MySQL's UPDATE may pass over a row that another transaction is about to
    commit (MySQL manual, "semi-consistent read"); a locking SELECT waits for it.
    """
    ids = session.scalars(select(QuestionRow.id).where(
        QuestionRow.subject_digest == subject_digest, QuestionRow.asked_at <= until).with_for_update()).all()
    for begin in range(0, len(ids), 500):
        session.execute(update(QuestionRow).where(QuestionRow.id.in_(ids[begin:begin + 500]))
                        .values(**_BLANK, erased_at=until))
    return len(ids)


def blank_erased(session: Session, subject_digests: Collection[str]) -> int:
    """Blank those questions of the subjects that came later than their erasure; returns how many.

    To be called after their rows were inserted and in the same transaction: an erasure that is not seen yet is written
    down before it looks for rows, and so finds these, waiting for the transaction to end.
    """
    erasures = session.scalars(select(ErasureRow).where(ErasureRow.subject_digest.in_(subject_digests))).all()
    return sum(blank_questions(session, erasure.subject_digest, erasure.erased_at) for erasure in erasures)
