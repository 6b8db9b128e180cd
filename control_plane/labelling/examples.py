"""Hands out what people labelled: for datasets, for exports, and for measuring agreement. Reads, and freezes splits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from control_plane.labelling.tables import (
    ACTIVE,
    BLIND,
    LABELLED,
    REVIEW,
    SEED,
    AnnotationRow,
    ResolutionRow,
    SplitRow,
)
from control_plane.labelling.taxonomy import TaxonomySnapshot
from control_plane.questions.tables import USED, QuestionRow

TEST, TRAIN = "test", "train"
_CHUNK = 1000


@dataclass(frozen=True)
class LabelledExample:
    """One example of a dataset; no labels is out of scope."""

    id: str
    text: str                 # masked
    labels: tuple[str, ...]   # in the taxonomy's order
    split: str | None         # None: not assigned yet
    origin: str               # "label", "replay" (was in a training before) or "seed"


@dataclass(frozen=True)
class LabelledRow:
    """One labelled question with what its export shows."""

    question: QuestionRow
    resolution: ResolutionRow
    split: str | None


def labelled_examples(session: Session, taxonomy: TaxonomySnapshot) -> Iterator[LabelledExample]:
    """Yield what a dataset of that taxonomy has, by id: neither erased, disputed nor skipped questions.

    Past labels are followed to what they are now. A retired intent leaves its examples, and one that had no other
    intent leaves the dataset, for nobody said that it is out of scope.
    """
    for row in labelled_rows(session):
        current = taxonomy.current(row.resolution.intents)
        labels = tuple(intent.name for intent in current if intent.state == ACTIVE)
        if labels or not current:
            yield LabelledExample(row.question.id, row.question.question, labels, row.split, _origin(row))


def labelled_rows(session: Session, after: str = "") -> Iterator[LabelledRow]:
    """Yield labelled questions that were not erased, by id, from behind the id `after`."""
    while chunk := labelled_chunk(session, after, _CHUNK):
        yield from chunk
        after = chunk[-1].question.id


def labelled_chunk(session: Session, after: str, limit: int) -> list[LabelledRow]:
    """Return the next labelled questions behind the id `after`; empty at the end."""
    rows = session.execute(
        select(QuestionRow, ResolutionRow, SplitRow.split)
        .join(ResolutionRow, ResolutionRow.question_id == QuestionRow.id)
        .outerjoin(SplitRow, SplitRow.question_id == QuestionRow.id)
        .where(ResolutionRow.state == LABELLED, ResolutionRow.question_id > after, QuestionRow.erased_at.is_(None))
        .order_by(ResolutionRow.question_id).limit(limit))
    return [LabelledRow(*row) for row in rows]


def assign_splits(session: Session, splits: Mapping[str, str]) -> int:
    """Freeze the split, TEST or TRAIN, of examples by id; one that has a split keeps it. Returns how many were new.

    Raises ValueError for any other split.
    """
    wrong = set(splits.values()) - {TEST, TRAIN}
    if wrong:
        raise ValueError(f"{sorted(wrong)} are no splits; give {TEST!r} or {TRAIN!r}")
    ids, new = sorted(splits), []
    for begin in range(0, len(ids), _CHUNK):
        chunk = ids[begin:begin + _CHUNK]
        frozen = set(session.scalars(select(SplitRow.question_id).where(SplitRow.question_id.in_(chunk))))
        new += [{"question_id": example, "split": splits[example]} for example in chunk if example not in frozen]
    if new:
        session.execute(insert(SplitRow), new)
    return len(new)


def independent_opinions(session: Session, taxonomy: TaxonomySnapshot) -> list[list[frozenset[str]]]:
    """Return for each question that was labelled twice, blind, what each person said; reviewers knew more."""
    twice = select(AnnotationRow.question_id).where(AnnotationRow.origin == BLIND, AnnotationRow.undone_at.is_(None))
    rows = session.execute(
        select(AnnotationRow.question_id, AnnotationRow.intents)
        .where(AnnotationRow.question_id.in_(twice), AnnotationRow.undone_at.is_(None), AnnotationRow.origin != REVIEW)
        .order_by(AnnotationRow.id))
    opinions: dict[str, list[frozenset[str]]] = {}
    for question_id, intents in rows:
        if intents is not None:
            opinions.setdefault(question_id, []).append(frozenset(taxonomy.names_of(intents)))
    return list(opinions.values())


def _origin(row: LabelledRow) -> str:
    if row.resolution.origin == SEED:
        return "seed"
    return "replay" if row.question.training_status == USED else "label"
