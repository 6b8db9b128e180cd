import numpy as np
import pytest
from scipy.stats import binomtest

from training.calibration import expected_calibration_error, sigmoid
from training.metrics import macro_f1, micro_f1
from training.statistics import calibration_interval, compare_f1, macro_f1_interval, mcnemar

LABELS = ("a", "b", "c")


def answers(share_wrong, count=600, seed=0):
    """Return decisions with so many labels flipped, and the truth; the truth depends on nothing but the count."""
    truth = np.random.default_rng(99).random((count, 3)) < 0.3
    return truth ^ (np.random.default_rng(seed).random(truth.shape) < share_wrong), truth


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (5, 5), (1, 9), (40, 12), (700, 800)])
def test_mcnemar_is_the_exact_binomial_test(gained, lost):
    first = np.array([True] * gained + [False] * lost + [True] * 50)
    second = np.array([False] * gained + [True] * lost + [True] * 50)
    test = mcnemar(first, second)
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert (test.only_challenger, test.only_champion) == (gained, lost)
    assert test.p_value == pytest.approx(expected)


def test_the_same_answers_differ_by_exactly_nothing():
    decided, truth = answers(0.1)
    comparison = compare_f1(decided, decided, truth, LABELS)
    for interval in (comparison.macro_f1, comparison.micro_f1, *comparison.label_f1.values()):
        assert (interval.value, interval.low, interval.high) == (0, 0, 0)


def test_differences_are_those_of_the_metrics_and_lie_within_their_intervals():
    (ours, truth), (theirs, _) = answers(0.02), answers(0.1, seed=1)
    comparison = compare_f1(ours, theirs, truth, LABELS)
    assert comparison.macro_f1.value == pytest.approx(macro_f1(ours, truth) - macro_f1(theirs, truth))
    assert comparison.micro_f1.value == pytest.approx(micro_f1(ours, truth) - micro_f1(theirs, truth))
    for interval in (comparison.macro_f1, comparison.micro_f1):
        assert 0 < interval.low < interval.value < interval.high


def test_the_interval_is_as_wide_as_the_figure_scatters_over_fresh_samples():
    widths, figures = [], []
    for seed in range(40):
        random = np.random.default_rng(seed)
        truth = random.random((400, 3)) < 0.3
        decided = truth ^ (random.random(truth.shape) < 0.1)
        figures.append(macro_f1(decided, truth))
        if seed < 5:
            interval = macro_f1_interval(decided, truth)
            widths.append(interval.high - interval.low)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(figures), rel=0.35)


def test_a_label_that_does_not_occur_has_no_difference():
    decided, truth = answers(0.1)
    truth[:, 2] = False
    assert set(compare_f1(decided, decided, truth, LABELS).label_f1) == {"a", "b"}


def drawn(distortion, count, seed):
    """Return scores, and truth that was drawn by their logits times `distortion`."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1.5, 3, (count, 6))
    return sigmoid(logits), random.random(logits.shape) < sigmoid(logits * distortion)


def test_few_examples_do_not_make_scores_look_worse_than_they_are():
    intervals = [calibration_interval(*drawn(1.0, 60, seed)) for seed in range(20)]
    plain = [expected_calibration_error(*drawn(1.0, 60, seed)) for seed in range(20)]
    assert np.mean([interval.value for interval in intervals]) < 0.7 * np.mean(plain)
    assert all(0 <= interval.low <= interval.value <= interval.high for interval in intervals)


def test_the_error_of_many_examples_lies_in_most_intervals_of_few():
    true = expected_calibration_error(*drawn(0.4, 40_000, 99))
    intervals = [calibration_interval(*drawn(0.4, 150, seed)) for seed in range(40)]
    assert sum(interval.low <= true <= interval.high for interval in intervals) >= 34
