"""Carries what was decided of a question to its exact duplicates: at once as they arrive, else step by step.

Exact duplicates share a fingerprint: they differ in width, case, punctuation and white space at most. They are marked
and leave the queue, but get no annotation and no place in a dataset, so that one opinion counts once.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.labelling.tables import LABELLED, PropagationRow, ResolutionRow
from control_plane.labelling.taxonomy import TaxonomySnapshot, read_taxonomy
from control_plane.questions.labels import counting_labels, lock_questions, mark_labeled, unmark
from control_plane.questions.tables import PENDING, QuestionRow
from control_plane.questions.tables import SKIPPED as NOT_FOR_TRAINING

POLL_S = 2.0
STEP = 200        # duplicates that one transaction marks
_ARRIVALS = 500   # questions that are looked up at once
_LOG = logging.getLogger(__name__)


class LabelPropagation:
    """Marks the duplicates of what was decided; several controllers may do so at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, stop: threading.Event) -> None:
        """Do what waits, now and then, until it is stopped; what goes wrong is tried again."""
        while not stop.wait(POLL_S):
            try:
                self.run_once(stop)
            except DatabaseUnavailableError:
                pass  # Others have said so already.
            except Exception:
                _LOG.exception("carrying labels to the duplicates of their questions failed")

    def run_once(self, stop: threading.Event | None = None) -> None:
        """Do all that waits, or what there is time for until `stop` is set."""
        while (stop is None or not stop.is_set()) and self._step():
            pass

    def _step(self) -> bool:
        """Mark the next duplicates of one wording; returns whether there was one."""
        with self._database.read() as session:
            task = session.scalars(select(PropagationRow).order_by(PropagationRow.id).limit(1)).one_or_none()
            if task is None:
                return False
            alike = QuestionRow.fingerprint == task.fingerprint
            duplicates = list(session.scalars(select(QuestionRow.id).where(alike, QuestionRow.id > task.after_id)
                                              .order_by(QuestionRow.id).limit(STEP)))
        with self._database.write() as session:
            _mark(session, dict.fromkeys(duplicates, task.fingerprint), decided_words(session, [task.fingerprint]),
                  read_taxonomy(session))
            row = PropagationRow.id == task.id
            session.execute(delete(PropagationRow).where(row) if len(duplicates) < STEP
                            else update(PropagationRow).where(row).values(after_id=duplicates[-1]))
        return True


def propagate(session: Session, fingerprints: Collection[str]) -> None:
    """Have what holds for these words carried to all their questions, from the first on."""
    session.add_all(PropagationRow(fingerprint=fingerprint) for fingerprint in sorted(fingerprints))


def propagate_missed(session: Session, fingerprints: Collection[str]) -> None:
    """As `propagate`, for words of which a question waits though it should not, unless they are being carried."""
    if fingerprints:
        propagate(session, set(fingerprints).difference(session.scalars(
            select(PropagationRow.fingerprint).where(PropagationRow.fingerprint.in_(fingerprints)))))


def mark_arrivals(session: Session, words: Mapping[str, str]) -> None:
    """Mark those of the questions that have just come, given with their fingerprints, whose words are decided."""
    arrived = list(words.items())
    for start in range(0, len(arrived), _ARRIVALS):
        some = dict(arrived[start:start + _ARRIVALS])
        if decided := decided_words(session, some.values()):
            _mark(session, {question: alike for question, alike in some.items() if alike in decided}, decided,
                  read_taxonomy(session))


def has_duplicates(session: Session, question: QuestionRow) -> bool:
    """Tell whether what is decided of a question holds for others."""
    if question.fingerprint is None:
        return False
    return session.scalar(select(exists().where(
        QuestionRow.fingerprint == question.fingerprint, QuestionRow.id != question.id)))


def decided_words(session: Session, fingerprints: Collection[str]) -> dict[str, ResolutionRow]:
    """Return by fingerprint what was decided, last, of a question that still is there."""
    rows = session.scalars(
        select(ResolutionRow).join(QuestionRow, QuestionRow.id == ResolutionRow.question_id)
        .where(ResolutionRow.fingerprint.in_(fingerprints), QuestionRow.erased_at.is_(None))
        .order_by(ResolutionRow.resolved_at))
    return {row.fingerprint: row for row in rows}


def apply_resolution(row: ResolutionRow | None, questions: Sequence[QuestionRow], taxonomy: TaxonomySnapshot) -> None:
    """Mark locked questions of the same words with what was decided of one of them, or that nothing is."""
    if row is not None and row.state == LABELLED:
        mark_labeled(questions, taxonomy.names_of(row.intents), row.time_intent)
        for question in questions:
            if question.training_status == NOT_FOR_TRAINING:
                question.training_status = PENDING
        return
    unmark(questions)
    if row is not None:
        for question in questions:
            question.training_status = NOT_FOR_TRAINING


def _mark(session: Session, words: Mapping[str, str], decided: Mapping[str, ResolutionRow],
          taxonomy: TaxonomySnapshot) -> None:
    """Mark questions, given with their fingerprints, but those of which somebody has said something themselves."""
    questions = lock_questions(session, words)
    own = set(session.scalars(select(ResolutionRow.question_id).where(ResolutionRow.question_id.in_(words))))
    alike = defaultdict(list)
    for question in questions:
        if question.id not in own:
            alike[words[question.id]].append(question)
    with counting_labels(session, questions):
        for fingerprint, some in alike.items():
            apply_resolution(decided.get(fingerprint), some, taxonomy)
