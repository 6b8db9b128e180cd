"""What annotations come to, without a database."""

import pytest

from control_plane.labelling.resolution import is_in_overlap, resolve
from control_plane.labelling.tables import (
    ACTIVE,
    BLIND,
    DISPUTED,
    IMPORT,
    LABELLED,
    MERGED,
    QUEUE,
    REVIEW,
    SKIPPED,
    AnnotationRow,
)
from control_plane.labelling.taxonomy import Intent, TaxonomySnapshot

TAXONOMY = TaxonomySnapshot(1, (Intent(1, "wealth", "", "", ACTIVE, None), Intent(2, "love", "", "", ACTIVE, None),
                                Intent(3, "money", "", "", MERGED, 1)))


def said(intents, origin=QUEUE, labeler="ann"):
    return AnnotationRow(question_id="q", labeler=labeler, intents=intents, origin=origin)


@pytest.mark.parametrize(("annotations", "state", "decisive"), [
    ([said([1])], LABELLED, 0),
    ([said([])], LABELLED, 0),
    ([said(None)], SKIPPED, 0),
    ([said(None), said([2])], LABELLED, 1),
    ([said([1, 2]), said([2, 1], BLIND)], LABELLED, 1),
    ([said([1]), said([3], BLIND)], LABELLED, 1),  # money is wealth by now
    ([said([1]), said([], BLIND)], DISPUTED, 1),
    ([said([1]), said([2], BLIND), said([2], REVIEW)], LABELLED, 2),
    ([said([1]), said([2], REVIEW), said([1], REVIEW)], LABELLED, 2),
])
def test_annotations_come_to_a_state_and_the_one_that_decides(annotations, state, decisive):
    found = resolve(annotations, TAXONOMY)
    assert found.state == state
    assert found.decisive is annotations[decisive]


def test_without_annotations_there_is_nothing():
    assert resolve([], TAXONOMY) is None


@pytest.mark.parametrize(("annotations", "wants_second"), [
    ([said([1])], True), ([said([1], IMPORT)], False), ([said([1]), said([1], BLIND)], False), ([said(None)], False),
    ([said([1]), said([1], REVIEW)], False)])
def test_a_second_opinion_is_wanted_of_one_label_of_the_queue(annotations, wants_second):
    assert resolve(annotations, TAXONOMY, blind_share=1.0).wants_second == wants_second
    assert not resolve(annotations, TAXONOMY, blind_share=0.0).wants_second


def test_the_overlap_is_its_share_of_questions_and_always_the_same_ones():
    ids = [f"question{number}" for number in range(4000)]
    chosen = [question for question in ids if is_in_overlap(question, 0.05)]
    assert 150 <= len(chosen) <= 250
    assert chosen == [question for question in ids if is_in_overlap(question, 0.05)]
