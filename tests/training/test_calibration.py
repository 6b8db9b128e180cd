import numpy as np
import pytest
from scipy.special import expit

from training.calibration import (
    Calibration,
    calibration_gaps,
    expected_calibration_error,
    fit_calibration,
    fit_thresholds,
    mean_loss,
    reliability,
    sigmoid,
)


@pytest.fixture(scope="module")
def overconfident():
    """(logits, truth): truth was drawn by sigmoid((logits + 1.5) / 3)."""
    random = np.random.default_rng(0)
    logits = random.normal(-2, 6, (4000, 5))
    return logits, random.random(logits.shape) < expit((logits + 1.5) / 3)


def test_sigmoid_is_that_of_scipy_also_far_out():
    logits = np.array([-1000.0, -3, 0, 3, 1000])
    assert sigmoid(logits) == pytest.approx(expit(logits))


def test_temperature_and_shift_are_found_and_lower_the_error_on_other_examples(overconfident):
    logits, truth = overconfident
    calibration = fit_calibration(logits[:2000], truth[:2000])
    assert calibration.temperature == pytest.approx(3, rel=0.1)
    assert calibration.shift == pytest.approx(1.5, abs=0.3)
    before, after = (expected_calibration_error(scores, truth[2000:])
                     for scores in (sigmoid(logits[2000:]), calibration.scores(logits[2000:])))
    assert after < 0.03 < 0.1 < before


def test_no_other_temperature_or_shift_has_a_lower_loss(overconfident):
    logits, truth = overconfident
    found = fit_calibration(logits, truth)

    def loss(temperature, shift):
        return mean_loss((logits + shift) / temperature, truth)

    least = loss(found.temperature, found.shift)
    for changed in ((1.05, 0), (0.95, 0), (1, 0.1), (1, -0.1)):
        assert loss(found.temperature * changed[0], found.shift + changed[1]) > least


def test_what_can_be_told_apart_for_certain_gets_a_finite_calibration():
    logits = np.linspace(-3, 3, 40)[:, None]
    found = fit_calibration(logits, logits > 0)
    assert found.temperature >= 0.05
    assert np.isfinite(found.scores(logits)).all()


def test_the_loss_is_that_of_the_likelihood():
    assert mean_loss(np.array([[0.0, 2.0]]), np.array([[True, False]])) == pytest.approx(
        -np.log(0.5) - np.log(1 - expit(2.0)))


def test_gaps_add_up_to_the_error():
    scores = np.random.default_rng(5).random((50, 4))
    truth = scores > 0.4
    gaps, counts = calibration_gaps(scores, truth)
    assert gaps.shape == (50, 15)
    assert np.abs(gaps.sum(axis=0)).sum() / counts.sum() == pytest.approx(expected_calibration_error(scores, truth))


def test_a_calibration_is_a_shift_and_then_a_division():
    assert Calibration(2.0, 1.0).scores(np.array([3.0])) == pytest.approx(expit(2.0))


def test_the_error_is_the_distance_of_promise_and_outcome():
    scores = np.full((100, 1), 0.8)
    truth = np.arange(100)[:, None] < 60
    assert expected_calibration_error(scores, truth) == pytest.approx(0.2)
    bins = reliability(scores, truth)
    assert (bins.confidence.tolist(), bins.counts.tolist()) == (pytest.approx([0.8]), [100])
    assert bins.accuracy.tolist() == pytest.approx([0.6])


def test_labels_that_nobody_thinks_of_do_not_hide_the_error():
    scores = np.column_stack([np.full(100, 0.8), np.full((100, 50), 0.001)])
    truth = np.zeros((100, 51), bool)
    truth[:60, 0] = True
    assert expected_calibration_error(scores, truth) == pytest.approx(0.2)


def separable(threshold, count, random):
    """Return scores and truth of one label that holds from `threshold` on."""
    scores = random.random(count)
    return scores, scores >= threshold


def test_each_frequent_label_gets_the_threshold_of_its_best_f1():
    random = np.random.default_rng(1)
    columns = [separable(threshold, 3000, random) for threshold in (0.3, 0.7)]
    scores, truth = (np.column_stack(parts) for parts in zip(*columns, strict=True))
    assert fit_thresholds(scores, truth) == pytest.approx([0.3, 0.7], abs=0.05)


def test_a_rare_label_stays_near_the_common_threshold():
    random = np.random.default_rng(2)
    scores, truth = (np.column_stack([column] * 3) for column in separable(0.5, 1000, random))
    scores[:, 2] = 0.001
    truth[:, 2] = False
    scores[0, 2], truth[0, 2] = 0.95, True
    thresholds = fit_thresholds(scores, truth)
    assert abs(thresholds[2] - thresholds[0]) < 0.1


def test_a_label_without_calibration_examples_gets_the_common_threshold():
    scores, truth = (np.column_stack([column] * 2) for column in separable(0.6, 500, np.random.default_rng(3)))
    scores[:, 1], truth[:, 1] = 0.0, False
    thresholds = fit_thresholds(scores, truth)
    assert np.isfinite(thresholds).all()
    assert thresholds[1] == pytest.approx(0.6, abs=0.05)


def test_out_of_scope_examples_raise_the_threshold():
    random = np.random.default_rng(4)
    inside, outside = random.uniform(0.6, 1.0, 300), random.uniform(0.0, 0.55, 30)
    scores = np.concatenate([inside, outside])[:, None]
    truth = np.arange(330)[:, None] < 300
    assert 0.54 < fit_thresholds(scores, truth)[0] < 0.62
