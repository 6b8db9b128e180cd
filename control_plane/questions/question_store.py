"""Reads logged questions, erases those of a subject and drops the old ones. Knows nothing of how they came here."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import Insert

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.questions.erasure import blank_questions
from control_plane.questions.tables import ErasureRow, QuestionRow, QuestionSegmentRow
from control_plane.tuning_errors import QuestionNotFoundError

RETENTION_BATCH = 1000  # rows that one transaction deletes, so that none waits long for its locks


class QuestionStore:
    """The questions in the database, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, question_id: str) -> QuestionRow:
        """Return a question, also an erased one; raises QuestionNotFoundError."""
        with self._database.read() as session:
            row = session.get(QuestionRow, question_id)
        if row is None:
            raise QuestionNotFoundError(question_id)
        return row

    def page(self, limit: int, before: str | None = None, is_labeled: bool | None = None) -> list[QuestionRow]:
        """Return up to `limit` questions, newest first: those asked before the question `before`, if one is given."""
        query = select(QuestionRow).order_by(QuestionRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(QuestionRow.id < before)
        if is_labeled is not None:
            query = query.where(QuestionRow.is_labeled == is_labeled)
        with self._database.read() as session:
            return list(session.scalars(query))

    def erase_subject(self, subject_digest: str) -> int:
        """Blank all that the subject asked until now, for good, and return how many questions were in the database.

        Those still in the spool are blanked when they arrive. Labels go with them, so that no later training sees them.
        """
        now = utc_now()
        with self._database.write() as session:
            # Seen by others before the rows are looked for: see blank_erased.
            session.execute(_erasure(session, subject_digest, now))
        with self._database.write() as session:
            return blank_questions(session, subject_digest, now)

    def apply_retention(self, days: int, now: datetime | None = None) -> int:
        """Delete questions that are older than `days` days, in batches, and return how many; daily figures stay."""
        end = (now or utc_now()) - timedelta(days=days)
        deleted = 0
        while True:
            with self._database.write() as session:
                count = _delete_batch(session, end)
            deleted += count
            if count < RETENTION_BATCH:
                break
        with self._database.write() as session:
            # Nothing that these protect can come any more.
            session.execute(delete(ErasureRow).where(ErasureRow.erased_at < end))
            session.execute(delete(QuestionSegmentRow).where(QuestionSegmentRow.moved_at < end))
        return deleted


def _erasure(session: Session, subject_digest: str, erased_at: datetime) -> Insert:
    """Return the statement that notes an erasure, over an earlier one."""
    values = {"subject_digest": subject_digest, "erased_at": erased_at}
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(ErasureRow).values(values).on_conflict_do_update(
            index_elements=["subject_digest"], set_={"erased_at": erased_at})
    return mysql.insert(ErasureRow).values(values).on_duplicate_key_update(erased_at=erased_at)


def _delete_batch(session: Session, end: datetime) -> int:
    # Ids begin with the milliseconds of their making (RFC 9562, 5.7) and are the one index that sorts by time.
    first_kept = f"{int(end.timestamp() * 1000) << 80:032x}"
    ids = session.scalars(select(QuestionRow.id).where(QuestionRow.id < first_kept).order_by(QuestionRow.id)
                          .limit(RETENTION_BATCH)).all()
    session.execute(delete(QuestionRow).where(QuestionRow.id.in_(ids)))
    return len(ids)
