"""Writes down what a question's annotations come to, in the question and beside it, within an open transaction.

What holds for a question holds for its exact duplicates (the same fingerprint: they differ in width, case, punctuation
and white space at most): they are marked with it and leave the queue, but get no annotation and no place in a dataset,
so that one opinion counts once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Row, false, select, update
from sqlalchemy.orm import Session

from control_plane.labelling.resolution import Resolution, resolve
from control_plane.labelling.tables import DISPUTED, LABELLED, SKIPPED, AnnotationRow, ResolutionRow
from control_plane.labelling.taxonomy import TaxonomySnapshot, read_taxonomy
from control_plane.questions.labels import counting_labels, lock_questions, mark_labeled, unmark
from control_plane.questions.tables import PENDING, QuestionRow
from control_plane.questions.tables import SKIPPED as NOT_FOR_TRAINING

_ASIDE = (SKIPPED, DISPUTED)  # what nobody is to label, for now
_ARRIVALS = 500  # questions that are looked up at once
COPIES = 200  # duplicates that one request marks at most; the queue marks others as it meets them


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
    stood_aside = row is not None and row.state in _ASIDE
    if found is None:
        if row is not None:
            session.delete(row)
        row = None
    else:
        row = session.merge(_resolution_row(question, found))
    if stood_aside and (row is None or row.state not in _ASIDE):
        _let_wait(session, question)
    questions = [question, *lock_questions(session, _duplicates(session, question))]
    with counting_labels(session, questions):
        _apply(row, questions, taxonomy)
    return row


def _apply(row: ResolutionRow | None, questions: Sequence[QuestionRow], taxonomy: TaxonomySnapshot) -> None:
    """Mark locked questions of the same words with what was decided of one of them."""
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


def mark_arrivals(session: Session, words: Mapping[str, str]) -> None:
    """Mark those of the questions that have just come, given with their fingerprints, whose words are decided."""
    arrived = list(words.items())
    for start in range(0, len(arrived), _ARRIVALS):
        some = arrived[start:start + _ARRIVALS]
        decided = decided_words(session, [fingerprint for _, fingerprint in some])
        mark_duplicates(session, {question_id: decided[fingerprint].question_id
                                  for question_id, fingerprint in some if fingerprint in decided})


def mark_duplicates(session: Session, decided: Mapping[str, str]) -> None:
    """Mark questions that came after their words were decided, and that were not erased since.

    `decided` gives by their ids the id of the duplicate that was decided.
    """
    if not decided:
        return
    taxonomy = read_taxonomy(session)
    questions, words = lock_questions(session, decided), defaultdict(list)
    for question in questions:
        words[decided[question.id]].append(question)
    rows = list(session.scalars(select(ResolutionRow).where(ResolutionRow.question_id.in_(words))))
    with counting_labels(session, questions):
        for row in rows:
            _apply(row, words[row.question_id], taxonomy)


def decided_words(session: Session, fingerprints: Sequence[str]) -> dict[str, Row]:
    """Return by fingerprint the question that was decided and still is there: fingerprint, question_id and state."""
    rows = session.execute(
        select(ResolutionRow.fingerprint, ResolutionRow.question_id, ResolutionRow.state)
        .join(QuestionRow, QuestionRow.id == ResolutionRow.question_id)
        .where(ResolutionRow.fingerprint.in_(fingerprints), QuestionRow.erased_at.is_(None)))
    return {row.fingerprint: row for row in rows}


def _resolution_row(question: QuestionRow, found: Resolution) -> ResolutionRow:
    decisive = found.decisive
    is_labelled = found.state == LABELLED
    return ResolutionRow(
        question_id=question.id, fingerprint=question.fingerprint, state=found.state,
        intents=decisive.intents if is_labelled else None, time_intent=decisive.time_intent if is_labelled else None,
        origin=decisive.origin, slice=found.first.slice, first_labeler=found.first.labeler,
        wants_second=found.wants_second, resolved_at=decisive.created_at)


def _let_wait(session: Session, question: QuestionRow) -> None:
    """Put every duplicate that stood aside back into the queue, from where the label that there is now reaches it."""
    session.execute(update(QuestionRow).where(*_is_duplicate(question), QuestionRow.training_status == NOT_FOR_TRAINING)
                    .values(training_status=PENDING).execution_options(synchronize_session=False))


def _duplicates(session: Session, question: QuestionRow) -> list[str]:
    """Return other questions of the same words that have no annotation of their own."""
    return list(session.scalars(
        select(QuestionRow.id).where(*_is_duplicate(question)).order_by(QuestionRow.id).limit(COPIES)))


def _is_duplicate(question: QuestionRow) -> tuple[ColumnElement[bool], ...]:
    has_own = select(ResolutionRow.question_id).where(ResolutionRow.question_id == QuestionRow.id).exists()
    is_alike = false() if question.fingerprint is None else QuestionRow.fingerprint == question.fingerprint
    return is_alike, QuestionRow.id != question.id, QuestionRow.erased_at.is_(None), ~has_own
