"""The figures of an evaluation, against scipy and against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from control_plane.evaluation import best_threshold_accuracy, nearest_neighbour_accuracy, spearman

few_values = st.integers(-3, 3).map(float)  # so that there are ties
pairs = st.lists(st.tuples(few_values, few_values), min_size=2, max_size=30)
judged = st.lists(st.tuples(few_values, st.booleans()), min_size=1, max_size=30)


@given(pairs)
def test_spearman_is_scipys(values):
    predicted, expected = (np.array(column) for column in zip(*values, strict=True))
    if len(set(predicted)) == 1 or len(set(expected)) == 1:
        assert spearman(predicted, expected) is None
    else:
        assert spearman(predicted, expected) == pytest.approx(stats.spearmanr(predicted, expected).statistic)


@given(judged)
def test_the_best_threshold_is_the_best_of_all(values):
    similarities, is_alike = (np.array(column) for column in zip(*values, strict=True))
    thresholds = [*set(similarities), np.inf]
    best = max(np.mean((similarities >= threshold) == is_alike) for threshold in thresholds)
    assert best_threshold_accuracy(similarities, is_alike) == pytest.approx(best)


def test_nearest_neighbours():
    embeddings = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    assert nearest_neighbour_accuracy(embeddings, ["a", "a", "b", "b"]) == 1
    assert nearest_neighbour_accuracy(embeddings, ["a", "b", "b", "b"]) == 0.5
