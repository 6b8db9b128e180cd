"""The queue: gives people questions to label, each to one person at a time. Knows nothing of labels."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Bundle, Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.labelling.propagation import propagate_missed
from control_plane.labelling.sampling import Pick, Sampler, draw_count
from control_plane.labelling.tables import LabelLeaseRow
from control_plane.questions.tables import QuestionRow

LEASE_S = 600.0      # how long a question is kept for whom it was given to; asking again begins anew
MAX_OPEN = 1000      # questions that one person may have at once
BLIND_PAGE_SHARE = 0.1  # of a page that is second opinions at most, unless nothing else waits
# Of a question, what a person is shown: the rest would take as long to fetch again.
_SHOWN = Bundle("question", QuestionRow.id, QuestionRow.question, QuestionRow.intents, QuestionRow.scores,
                QuestionRow.confidence, QuestionRow.time_intent, QuestionRow.method, QuestionRow.model_version,
                QuestionRow.asked_at)
_ATTEMPTS = 10       # of many who ask at once one wins each round


@dataclass(frozen=True)
class QueuedQuestion:
    """A question that somebody has until its lease runs out."""

    lease_id: int  # grows within a page and from page to page
    question: Row  # with those of QuestionRow's columns that a person is shown
    slice: str | None
    expires_at: datetime


class LabelQueue:
    """The questions that wait for a label."""

    def __init__(self, database: Database, lease_s: float = LEASE_S) -> None:
        self._database, self._lease_s = database, lease_s

    def page(self, labeler: str, limit: int, after: int = 0) -> list[QueuedQuestion]:
        """Return up to `limit` questions for a person, leased to them: first those that they have already.

        `after` is the lease_id that ended the page before. Somebody who has MAX_OPEN questions gets no new ones.
        """
        page, count = self._renew(labeler, limit, after)
        for _ in range(_ATTEMPTS):
            sampler = self._sample(labeler, min(limit - len(page), MAX_OPEN - count))
            if not (sampler.picks or sampler.decided):
                break
            with self._database.write() as session:
                propagate_missed(session, sampler.decided)
                self._insert(session, labeler, sampler.picks)
                new = _held(session, labeler, limit - len(page), page[-1].lease_id if page else after)
            page += new
            count += len(new)
            if len(page) == limit or not sampler.picks:
                break
        return page

    def _renew(self, labeler: str, limit: int, after: int) -> tuple[list[QueuedQuestion], int]:
        """Drop what has run out, of anybody, and give the person's own more time; returns the page, and how many
        the person has in all.
        """
        now = utc_now()
        with self._database.write() as session:
            session.execute(delete(LabelLeaseRow).where(LabelLeaseRow.expires_at <= now))
            count = session.execute(update(LabelLeaseRow).where(LabelLeaseRow.labeler == labeler)
                                    .values(expires_at=now + timedelta(seconds=self._lease_s))).rowcount
            return _held(session, labeler, limit, after) if count else [], count

    def _sample(self, labeler: str, count: int) -> Sampler:
        """Look for up to `count` questions that nobody has."""
        with self._database.read() as session:
            sampler = Sampler(session)
            if count > 0:
                sampler.pick_for_second_opinion(labeler, min(count, draw_count(count * BLIND_PAGE_SHARE)))
                sampler.pick(count - len(sampler.picks))
                sampler.pick_for_second_opinion(labeler, count - len(sampler.picks))
            return sampler

    def _insert(self, session: Session, labeler: str, picks: list[Pick]) -> None:
        """Lease what nobody else leased meanwhile, everybody in one order (of the ids), so that none waits for ever."""
        if not picks:
            return
        expires_at = utc_now() + timedelta(seconds=self._lease_s)
        rows = [{"question_id": pick.question_id, "fingerprint": pick.fingerprint, "labeler": labeler,
                 "slice": pick.slice, "is_blind": pick.is_blind, "expires_at": expires_at}
                for pick in sorted(picks, key=lambda pick: pick.question_id)]
        table = LabelLeaseRow.__table__
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        session.execute(sqlite.insert(table).on_conflict_do_nothing() if is_sqlite
                        else mysql.insert(table).prefix_with("IGNORE"), rows)


def _held(session: Session, labeler: str, limit: int, after: int) -> list[QueuedQuestion]:
    """Return what a person has behind the lease `after`, and what is still there to be labelled."""
    rows = session.execute(
        select(LabelLeaseRow.id, _SHOWN, LabelLeaseRow.slice, LabelLeaseRow.expires_at)
        .join(QuestionRow, QuestionRow.id == LabelLeaseRow.question_id)
        .where(LabelLeaseRow.labeler == labeler, LabelLeaseRow.id > after, QuestionRow.erased_at.is_(None))
        .order_by(LabelLeaseRow.id).limit(limit))
    return [QueuedQuestion(*row) for row in rows]
