"""What people say of questions: label, skip, undo. Annotations are rows of their own; no prediction is overwritten."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.labelling.propagation import decided_words
from control_plane.labelling.resolution import BLIND_SHARE
from control_plane.labelling.standing import settle
from control_plane.labelling.tables import (
    BLIND,
    DISPUTED,
    LABELLED,
    QUEUE,
    REVIEW,
    SKIPPED,
    AnnotationRow,
    LabelLeaseRow,
    ResolutionRow,
)
from control_plane.labelling.taxonomy import TaxonomySnapshot, read_taxonomy
from control_plane.questions.labels import lock_question
from control_plane.questions.tables import SKIPPED as NOT_FOR_TRAINING
from control_plane.questions.tables import QuestionRow
from control_plane.tuning_errors import LabelStateError, QuestionNotFoundError

UNLABELLED, ERASED = "unlabelled", "erased"  # states of a question that no annotation made


@dataclass(frozen=True)
class QuestionRecord:
    """A question with everything that was said of it, oldest first, and who has it now."""

    question: QuestionRow
    resolution: ResolutionRow | None
    annotations: tuple[AnnotationRow, ...]  # those that were undone included
    lease: LabelLeaseRow | None             # one that has not run out
    taxonomy: TaxonomySnapshot
    words_state: str | None = None          # of the resolution of an exact duplicate

    @property
    def state(self) -> str:
        """What the question is now; of an exact duplicate, what was decided of the other."""
        if self.question.erased_at is not None:
            return ERASED
        if self.resolution is not None:
            return self.resolution.state
        if self.words_state is not None:
            return self.words_state
        if self.question.is_labeled:
            return LABELLED
        return SKIPPED if self.question.training_status == NOT_FOR_TRAINING else UNLABELLED

    @property
    def correct_intent(self) -> list[str] | None:
        """The label by the names of today; a duplicate's own row has those of the day of its label."""
        if self.resolution is None or self.resolution.intents is None or self.question.erased_at is not None:
            return self.question.correct_intent
        return self.taxonomy.names_of(self.resolution.intents)


class Annotations:
    """The annotations in the database."""

    def __init__(self, database: Database, blind_share: float = BLIND_SHARE,
                 note_label: Callable[[str, Sequence[str]], None] = lambda question, intents: None) -> None:
        """`note_label` is told of each first label of a question: its masked text and its intents."""
        self._database, self._blind_share, self._note_label = database, blind_share, note_label

    def find(self, question_id: str) -> QuestionRecord:
        """Return all that is known of a question, also an erased one; raises QuestionNotFoundError."""
        with self._database.read() as session:
            question = session.get(QuestionRow, question_id)
            if question is None:
                raise QuestionNotFoundError(question_id)
            annotations = session.scalars(select(AnnotationRow).where(
                AnnotationRow.question_id == question_id).order_by(AnnotationRow.id))
            words = decided_words(session, [question.fingerprint])
            return QuestionRecord(question, session.get(ResolutionRow, question_id), tuple(annotations),
                                  _open_lease(session, question_id, utc_now()), read_taxonomy(session),
                                  words[question.fingerprint].state if words else None)

    def label(self, question_id: str, intents: Sequence[str], time_intent: Mapping | None, labeler: str,
              is_review: bool = False) -> None:
        """Say which intents a question has, none for out of scope; a review decides over the labels that there are.

        Raises UnknownIntentsError, QuestionNotFoundError, QuestionErasedError, and LabelStateError where somebody else
        has the question, or it is labelled already and this is neither a review nor the second opinion that the queue
        asked for.
        """
        with self._database.write() as session:
            taxonomy = read_taxonomy(session)
            ids = taxonomy.ids_of(intents)
            question = lock_question(session, question_id)
            lease = _open_lease(session, question_id, utc_now())
            origin = _origin_of_label(session, question, lease, labeler, is_review)
            self._add(session, question, taxonomy, AnnotationRow(
                question_id=question_id, labeler=labeler, intents=ids, origin=origin, slice=lease and lease.slice,
                time_intent=None if time_intent is None else dict(time_intent)))
        if origin == QUEUE:
            self._note_label(question.question, intents)

    def skip(self, question_id: str, labeler: str) -> None:
        """Take a question out of the queue, for everybody, until that is undone; raises as `label`."""
        with self._database.write() as session:
            question = lock_question(session, question_id)
            lease = _open_lease(session, question_id, utc_now())
            _check_lease(question_id, lease, labeler)
            if lease is not None and lease.is_blind:
                _decline_second_opinion(session, question_id)
                return
            if session.get(ResolutionRow, question_id) is not None or question.is_labeled:
                raise LabelStateError(question_id, "it is labelled or skipped already; undo that first")
            self._add(session, question, read_taxonomy(session), AnnotationRow(
                question_id=question_id, labeler=labeler, intents=None, origin=QUEUE, slice=lease and lease.slice))

    def undo(self, question_id: str, labeler: str) -> None:
        """Withdraw the last thing that somebody said of a question; raises LabelStateError where there is none."""
        with self._database.write() as session:
            question = lock_question(session, question_id)
            last = session.scalars(select(AnnotationRow).where(
                AnnotationRow.question_id == question_id, AnnotationRow.labeler == labeler,
                AnnotationRow.undone_at.is_(None)).order_by(AnnotationRow.id.desc()).limit(1)).one_or_none()
            if last is None:
                raise LabelStateError(question_id, f"there is nothing of {labeler!r} to undo")
            last.undone_at = utc_now()
            settle(session, question, read_taxonomy(session), self._blind_share)

    def _add(self, session: Session, question: QuestionRow, taxonomy: TaxonomySnapshot,
             annotation: AnnotationRow) -> None:
        session.add(annotation)
        settle(session, question, taxonomy, self._blind_share)
        session.execute(delete(LabelLeaseRow).where(LabelLeaseRow.question_id == question.id))


def _open_lease(session: Session, question_id: str, now: datetime) -> LabelLeaseRow | None:
    return session.scalars(select(LabelLeaseRow).where(
        LabelLeaseRow.question_id == question_id, LabelLeaseRow.expires_at > now)).one_or_none()


def _origin_of_label(session: Session, question: QuestionRow, lease: LabelLeaseRow | None, labeler: str,
                     is_review: bool) -> str:
    """Return how this label came about; raises LabelStateError where the question takes none now."""
    resolution = session.get(ResolutionRow, question.id)
    state = resolution.state if resolution else None
    if is_review:
        if state not in (LABELLED, DISPUTED):
            raise LabelStateError(question.id, "there is no label to review; label it without `review`")
        return REVIEW
    _check_lease(question.id, lease, labeler)
    if lease is not None and lease.is_blind and state == LABELLED:
        return BLIND
    if state == DISPUTED:
        raise LabelStateError(question.id, "its labels differ; decide it with `review`")
    if state == LABELLED:
        raise LabelStateError(question.id, f"{resolution.first_labeler!r} has labelled it already; undo that, or "
                                           "correct it with `review`")
    words = decided_words(session, [question.fingerprint]).get(question.fingerprint)
    if question.is_labeled or (words is not None and words.state == LABELLED):
        raise LabelStateError(question.id, "an exact duplicate of it is labelled already, and its label holds for both")
    return QUEUE


def _check_lease(question_id: str, lease: LabelLeaseRow | None, labeler: str) -> None:
    if lease is not None and lease.labeler != labeler:
        raise LabelStateError(question_id, f"{lease.labeler!r} has it until {lease.expires_at:%H:%M:%S} UTC; take "
                                           "another one")


def _decline_second_opinion(session: Session, question_id: str) -> None:
    """Leave the label that is there as it is, and ask nobody else."""
    session.get(ResolutionRow, question_id).wants_second = False
    session.execute(delete(LabelLeaseRow).where(LabelLeaseRow.question_id == question_id))
