"""Keeps the out-of-fold scores of the newest training, and lists the labels that they confidently contradict."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from control_plane.labelling.label_errors import suspected_errors
from control_plane.labelling.tables import LABELLED, OutOfFoldScoreRow, ResolutionRow
from control_plane.labelling.taxonomy import TaxonomySnapshot
from control_plane.questions.tables import QuestionRow

# Out-of-fold scores are calibrated probabilities: a label holds where it is likelier than not.
_THRESHOLD = 0.5
_CHUNK = 1000


@dataclass(frozen=True)
class SuspectedLabel:
    """A label that is probably wrong: what people said, and what the model says of the one intent."""

    question: QuestionRow
    labels: list[str]
    intent: str
    kind: str
    score: float
    margin: float
    model_version: str


def save_scores(session: Session, model_version: str, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Keep the scores of a training by question id and intent name, in place of those of the training before."""
    session.execute(delete(OutOfFoldScoreRow))
    rows = [{"question_id": question_id, "model_version": model_version, "scores": dict(values)}
            for question_id, values in scores.items()]
    for begin in range(0, len(rows), _CHUNK):
        session.execute(insert(OutOfFoldScoreRow), rows[begin:begin + _CHUNK])


def suspected_labels(session: Session, taxonomy: TaxonomySnapshot, limit: int) -> list[SuspectedLabel]:
    """Return up to `limit` suspected errors among the labels as they are now, the surest first."""
    rows = session.execute(
        select(OutOfFoldScoreRow.question_id, OutOfFoldScoreRow.model_version, OutOfFoldScoreRow.scores,
               ResolutionRow.intents)
        .join(ResolutionRow, ResolutionRow.question_id == OutOfFoldScoreRow.question_id)
        .join(QuestionRow, QuestionRow.id == OutOfFoldScoreRow.question_id)
        .where(ResolutionRow.state == LABELLED, QuestionRow.erased_at.is_(None))
        .order_by(OutOfFoldScoreRow.question_id)).all()
    if not rows:
        return []
    # An intent that is younger than the training has no scores, and a renamed one none under its new name.
    names = [name for name in taxonomy.labels if all(name in row.scores for row in rows)]
    labels = [taxonomy.names_of(row.intents) for row in rows]
    found = suspected_errors(np.array([[name in given for name in names] for given in labels], dtype=bool),
                             np.array([[row.scores[name] for name in names] for row in rows], dtype=np.float64),
                             np.full(len(names), _THRESHOLD))[:limit]
    questions = _questions(session, {rows[item.row].question_id for item in found})
    return [SuspectedLabel(questions[rows[item.row].question_id], labels[item.row], names[item.label], item.kind,
                           rows[item.row].scores[names[item.label]], item.margin, rows[item.row].model_version)
            for item in found]


def _questions(session: Session, ids: set[str]) -> dict[str, QuestionRow]:
    return {row.id: row for row in session.scalars(select(QuestionRow).where(QuestionRow.id.in_(ids)))}
