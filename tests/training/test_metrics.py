import numpy as np
import pytest
from sklearn.metrics import f1_score

from training.metrics import (
    best_label_accuracy,
    decision_figures,
    exact_matches,
    label_f1,
    macro_f1,
    micro_f1,
    out_of_scope_recall,
)


@pytest.fixture
def answers():
    """(decided, truth) of 200 examples and 6 labels, all of which occur."""
    random = np.random.default_rng(0)
    truth = random.random((200, 6)) < 0.2
    return truth ^ (random.random(truth.shape) < 0.1), truth


def test_f1_is_that_of_scikit_learn(answers):
    decided, truth = answers
    assert label_f1(decided, truth) == pytest.approx(f1_score(truth, decided, average=None))
    assert macro_f1(decided, truth) == pytest.approx(f1_score(truth, decided, average="macro"))
    assert micro_f1(decided, truth) == pytest.approx(f1_score(truth, decided, average="micro"))


def test_a_label_that_never_occurs_does_not_count_in_the_macro_average():
    truth = np.array([[True, False], [False, False]])
    assert macro_f1(truth, truth) == 1.0
    assert macro_f1(truth[:, 1:], truth[:, 1:]) == 0.0


def test_out_of_scope_is_right_only_without_any_label():
    truth = np.array([[False, False], [False, False], [True, False]])
    decided = np.array([[False, False], [True, False], [True, False]])
    assert out_of_scope_recall(decided, truth) == 0.5
    assert exact_matches(decided, truth).tolist() == [True, False, True]
    assert out_of_scope_recall(truth[2:], truth[2:]) is None


def test_a_best_label_counts_only_where_any_label_is_decided():
    truth = np.array([[True, False], [True, False], [False, True]])
    scores = np.array([[0.9, 0.1], [0.4, 0.1], [0.8, 0.2]])
    assert best_label_accuracy(scores, scores >= 0.5, truth) == pytest.approx(1 / 3)


def test_figures_leave_out_what_cannot_be_measured(answers):
    _, truth = answers
    inside = truth[truth.any(axis=1)]
    figures = decision_figures(inside.astype(float), np.full(6, 0.5), inside)
    assert figures == {"examples": len(inside), "macro_f1": 1, "micro_f1": 1, "exact_match": 1, "in_scope_accuracy": 1}
