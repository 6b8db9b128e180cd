"""Writes down what a question's annotations come to, in the question and beside it, within an open transaction.

What holds for a question holds for its exact duplicates (the same fingerprint: they differ in width, case, punctuation
and white space at most): they are marked with it and leave the queue, but get no annotation and no place in a dataset,
so that one opinion counts once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.labelling.resolution import Resolution, resolve
from control_plane.labelling.tables import LABELLED, SKIPPED, AnnotationRow, ResolutionRow
from control_plane.labelling.taxonomy import TaxonomySnapshot, read_taxonomy
from control_plane.questions.labels import lock_questions, mark_labeled, unmark
from control_plane.questions.tables import PENDING, QuestionRow
from control_plane.questions.tables import SKIPPED as NOT_FOR_TRAINING

COPIES = 200  # duplicates that one request marks at most; the queue marks others when it meets them


def read_annotations(session: Session, question_id: str) -> list[AnnotationRow]:
    """Return the annotations of a question that are not undone, oldest first."""
    return list(session.scalars(select(AnnotationRow).where(
        AnnotationRow.question_id == question_id, AnnotationRow.undone_at.is_(None)).order_by(AnnotationRow.id)))


def settle(session: Session, question: QuestionRow, taxonomy: TaxonomySnapshot,
           blind_share: float) -> ResolutionRow | None:
    """Bring a locked question, its resolution and its duplicates to what its annotations come to now."""
    session.flush()
    found = resolve(read_annotations(session, question.id), taxonomy, blind_share)
    row = session.get(ResolutionRow, question.id)
    if found is None:
        if row is not None:
            session.delete(row)
        row = None
    else:
        row = session.merge(_resolution_row(question, found))
    apply_resolution(session, [question, *lock_questions(session, _duplicates(session, question))], row, taxonomy)
    return row


def apply_resolution(session: Session, questions: Sequence[QuestionRow], row: ResolutionRow | None,
                     taxonomy: TaxonomySnapshot) -> None:
    """Mark locked questions of the same words with what was decided of one of them."""
    if row is not None and row.state == LABELLED:
        mark_labeled(session, questions, taxonomy.names_of(row.intents), row.time_intent)
        for question in questions:
            if question.training_status == NOT_FOR_TRAINING:
                question.training_status = PENDING
        return
    unmark(session, questions)
    if row is not None and row.state == SKIPPED:
        for question in questions:
            question.training_status = NOT_FOR_TRAINING


def mark_duplicates(session: Session, decided: Mapping[str, ResolutionRow]) -> None:
    """Mark questions, by id, that came after their words were decided, and that were not erased since."""
    taxonomy = read_taxonomy(session)
    words: dict[str, list[QuestionRow]] = defaultdict(list)
    for question in lock_questions(session, decided):
        words[decided[question.id].question_id].append(question)
    for questions in words.values():
        apply_resolution(session, questions, decided[questions[0].id], taxonomy)


def decided_duplicates(session: Session, fingerprints: Sequence[str]) -> dict[str, ResolutionRow]:
    """Return by fingerprint what was decided of questions that still are there."""
    rows = session.scalars(
        select(ResolutionRow).join(QuestionRow, QuestionRow.id == ResolutionRow.question_id).where(
            ResolutionRow.fingerprint.in_(fingerprints), QuestionRow.erased_at.is_(None)))
    return {row.fingerprint: row for row in rows}


def _resolution_row(question: QuestionRow, found: Resolution) -> ResolutionRow:
    decisive = found.decisive
    is_labelled = found.state == LABELLED
    return ResolutionRow(
        question_id=question.id, fingerprint=question.fingerprint, state=found.state,
        intents=decisive.intents if is_labelled else None, time_intent=decisive.time_intent if is_labelled else None,
        origin=decisive.origin, slice=found.first.slice, first_labeler=found.first.labeler,
        wants_second=found.wants_second, resolved_at=decisive.created_at)


def _duplicates(session: Session, question: QuestionRow) -> list[str]:
    """Return other questions of the same words that have no annotation of their own."""
    if question.fingerprint is None:
        return []
    has_own = select(ResolutionRow.question_id).where(ResolutionRow.question_id == QuestionRow.id).exists()
    return list(session.scalars(select(QuestionRow.id).where(
        QuestionRow.fingerprint == question.fingerprint, QuestionRow.id != question.id,
        QuestionRow.erased_at.is_(None), ~has_own).order_by(QuestionRow.id).limit(COPIES)))
