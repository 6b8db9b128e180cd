"""Lists the questions of which people say different things, so that somebody decides. Reads only."""

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.labelling.annotations import QuestionRecord
from control_plane.labelling.tables import DISPUTED, AnnotationRow, ResolutionRow
from control_plane.labelling.taxonomy import read_taxonomy
from control_plane.questions.tables import QuestionRow


def read_disputes(session: Session, limit: int, after: str = "") -> list[QuestionRecord]:
    """Return up to `limit` disputed questions behind the id `after`, the oldest first, with all that was said of them.

    Erased ones are left out. The queue gives out none of these, so that nobody has them.
    """
    taxonomy = read_taxonomy(session)
    rows = session.execute(
        select(QuestionRow, ResolutionRow).join(ResolutionRow, ResolutionRow.question_id == QuestionRow.id)
        .where(ResolutionRow.state == DISPUTED, ResolutionRow.question_id > after, QuestionRow.erased_at.is_(None))
        .order_by(ResolutionRow.question_id).limit(limit)).all()
    said: dict[str, list[AnnotationRow]] = defaultdict(list)
    for annotation in session.scalars(select(AnnotationRow).where(
            AnnotationRow.question_id.in_([question.id for question, _ in rows])).order_by(AnnotationRow.id)):
        said[annotation.question_id].append(annotation)
    return [QuestionRecord(question, resolution, tuple(said[question.id]), None, taxonomy)
            for question, resolution in rows]
