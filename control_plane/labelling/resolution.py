"""What the annotations of one question come to. Pure; knows no database."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.labelling.tables import DISPUTED, LABELLED, QUEUE, REVIEW, SKIPPED, AnnotationRow
from control_plane.labelling.taxonomy import TaxonomySnapshot

BLIND_SHARE = 0.05  # of the questions that the queue gave out and that were labelled


@dataclass(frozen=True)
class Resolution:
    """The state of a question, the annotation that its label comes from, and who was first."""

    state: str
    decisive: AnnotationRow
    first: AnnotationRow
    wants_second: bool


def resolve(annotations: Sequence[AnnotationRow], taxonomy: TaxonomySnapshot,
            blind_share: float = BLIND_SHARE) -> Resolution | None:
    """Return what annotations that are not undone, oldest first, come to; None where there are none.

    The newest review decides. Else the question is labelled where all labels name the same intents, disputed where they
    do not, and skipped where there are only skips.
    """
    if not annotations:
        return None
    labels = [annotation for annotation in annotations if annotation.intents is not None]
    reviews = [annotation for annotation in labels if annotation.origin == REVIEW]
    if reviews:
        return Resolution(LABELLED, reviews[-1], labels[0], False)
    if not labels:
        return Resolution(SKIPPED, annotations[-1], annotations[0], False)
    if len({frozenset(taxonomy.names_of(annotation.intents)) for annotation in labels}) > 1:
        return Resolution(DISPUTED, labels[-1], labels[0], False)
    is_alone = len(labels) == 1 and labels[0].origin == QUEUE
    return Resolution(LABELLED, labels[-1], labels[0],
                      is_alone and is_in_overlap(labels[0].question_id, blind_share))


def is_in_overlap(question_id: str, share: float) -> bool:
    """Return whether a question is one of those that two people label; always the same for the same id."""
    digest = hashlib.sha256(question_id.encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32
