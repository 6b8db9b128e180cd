"""Labels that were planted wrong are found, the surest first, and good ones are left alone."""

import numpy as np
import pytest

from control_plane.labelling.label_errors import EXTRA, MISSING, suspected_errors

HALF = np.full(2, 0.5)


def test_planted_errors_are_found_and_nothing_else():
    rng = np.random.default_rng(1)
    truth = rng.random((400, 3)) < 0.3
    scores = np.where(truth, rng.uniform(0.7, 0.9, truth.shape), rng.uniform(0.05, 0.3, truth.shape))
    planted = {(3, 0), (50, 2), (77, 1), (301, 0)}
    labels = truth.copy()
    for row, label in planted:
        labels[row, label] ^= True
        scores[row, label] = 0.95 if truth[row, label] else 0.01
    found = suspected_errors(labels, scores, np.full(3, 0.5))
    assert {(item.row, item.label) for item in found[:4]} == planted
    for item in found:
        if (item.row, item.label) in planted:
            assert item.kind == (MISSING if truth[item.row, item.label] else EXTRA)
        else:
            pytest.fail(f"{item} was right")


def test_a_model_that_is_unsure_suspects_nothing():
    labels = np.array([[1, 0], [0, 1], [0, 0], [1, 1]])
    assert suspected_errors(labels, np.full((4, 2), 0.45), HALF) == []


def test_disagreement_below_the_usual_confidence_is_no_suspicion():
    labels = np.array([[1, 0], [1, 0], [0, 0]])
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.1]])
    assert suspected_errors(labels, scores, HALF) == []
    scores[2, 0] = 0.95
    found, = suspected_errors(labels, scores, HALF)
    assert (found.row, found.label, found.kind) == (2, 0, MISSING)
    assert found.margin == pytest.approx(0.05)


def test_the_model_must_decide_otherwise_too():
    labels, scores = np.array([[1], [1], [0]]), np.array([[0.6], [0.6], [0.7]])
    assert [item.kind for item in suspected_errors(labels, scores, np.array([0.5]))] == [MISSING]
    assert MISSING not in [item.kind for item in suspected_errors(labels, scores, np.array([0.8]))]


def test_a_label_that_nobody_gave_is_never_missing():
    assert suspected_errors(np.zeros((3, 1)), np.full((3, 1), 0.99), np.array([0.5])) == []


def test_no_examples_have_no_errors():
    assert suspected_errors(np.zeros((0, 2)), np.zeros((0, 2)), HALF) == []


@pytest.mark.parametrize(("labels", "scores", "thresholds"), [
    ((2, 3), (3, 2), (3,)), ((2, 3), (2, 3), (2,)), ((2,), (2,), ())])
def test_shapes_that_do_not_fit_are_refused(labels, scores, thresholds):
    with pytest.raises(ValueError, match="do not fit"):
        suspected_errors(np.zeros(labels), np.zeros(scores), np.zeros(thresholds))
