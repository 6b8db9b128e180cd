"""Writes down what a question's annotations come to, in the question and beside it, within an open transaction."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.labelling.propagation import apply_resolution, has_duplicates, propagate
from control_plane.labelling.resolution import Resolution, resolve
from control_plane.labelling.tables import LABELLED, AnnotationRow, ResolutionRow
from control_plane.labelling.taxonomy import TaxonomySnapshot
from control_plane.questions.labels import counting_labels
from control_plane.questions.tables import QuestionRow


def read_annotations(session: Session, question_id: str) -> list[AnnotationRow]:
    """Return the annotations of a question that are not undone, oldest first."""
    return list(session.scalars(select(AnnotationRow).where(
        AnnotationRow.question_id == question_id, AnnotationRow.undone_at.is_(None)).order_by(AnnotationRow.id)))


def settle(session: Session, question: QuestionRow, taxonomy: TaxonomySnapshot,
           blind_share: float) -> ResolutionRow | None:
    """Bring a locked question and its resolution to what its annotations come to now, and have duplicates follow."""
    session.flush()
    found = resolve(read_annotations(session, question.id), taxonomy, blind_share)
    row = session.get(ResolutionRow, question.id)
    if found is not None:
        row = session.merge(_resolution_row(question, found))
    elif row is not None:
        session.delete(row)
        row = None
    with counting_labels(session, [question]):
        apply_resolution(row, [question], taxonomy)
    if has_duplicates(session, question):
        propagate(session, [question.fingerprint])
    return row


def _resolution_row(question: QuestionRow, found: Resolution) -> ResolutionRow:
    decisive = found.decisive
    is_labelled = found.state == LABELLED
    return ResolutionRow(
        question_id=question.id, fingerprint=question.fingerprint, state=found.state,
        intents=decisive.intents if is_labelled else None, time_intent=decisive.time_intent if is_labelled else None,
        origin=decisive.origin, slice=found.first.slice, first_labeler=found.first.labeler,
        wants_second=found.wants_second, resolved_at=decisive.created_at)
