"""Makes scores mean probabilities, measures how far they do, and finds the score from which on a label holds.

Error and reliability: Guo et al. 2017, "On Calibration of Modern Neural Networks", for many labels at once. Pure
numbers; knows nothing of models.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

_TEMPERATURES = (0.05, 20.0)
_GRID = np.linspace(0.02, 0.98, 97)   # thresholds that are tried; F1 is flat between neighbours
# A label's own best threshold counts as much as the common one once it has this many calibration examples.
_PRIOR_EXAMPLES = 20
_BINS = 15                            # of the reliability plot and the error, as in Guo et al.


@dataclass(frozen=True)
class Calibration:
    """score = sigmoid((logit + shift) / temperature)."""

    temperature: float
    shift: float

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Return the scores of logits; float64 of the same shape."""
        return sigmoid((logits + self.shift) / self.temperature)


@dataclass(frozen=True)
class Reliability:
    """What the scores of each bin promise and what came true; each float64 [bins that are not empty]."""

    confidence: np.ndarray   # mean score
    accuracy: np.ndarray     # share of decisions that came true
    counts: np.ndarray


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logits)) without overflow."""
    return np.exp(-np.logaddexp(0, -logits))


def fit_calibration(logits: np.ndarray, truth: np.ndarray) -> Calibration:
    """Return the calibration of the lowest loss; `logits` float [examples, labels], `truth` bool of that shape.

    Platt 1999, one for all labels. A temperature alone cannot say that all scores are too low: nearly all labels of an
    example are false, so it would sharpen what is right of those and spoil the few scores that people look at.
    """
    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = parameters[0] * logits + parameters[1]
        error = sigmoid(scaled) - truth
        return mean_loss(scaled, truth), np.array([(error * logits).sum(), error.sum()]) / len(logits)

    slope, offset = minimize(loss, (1.0, 0.0), jac=True, method="L-BFGS-B",
                             bounds=[tuple(1 / limit for limit in reversed(_TEMPERATURES)), (None, None)]).x
    return Calibration(float(1 / slope), float(offset / slope))


def mean_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the sigmoid cross-entropy, summed over the labels, mean over the examples; [examples, labels] each."""
    return float(np.logaddexp(0, np.where(truth, -logits, logits)).sum(axis=1).mean())


def fit_thresholds(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the score from which on each label holds; float64 [labels].

    `scores` are float, `truth` is bool, both [examples, labels].

    Each label's is the one of its best F1, drawn towards one common threshold, the more so the rarer the label is:
    a best F1 over three examples says little.
    """
    common = common_threshold(scores, truth)
    own = np.array([_best_f1_threshold(column, true, common) for column, true in zip(scores.T, truth.T, strict=True)])
    trust = truth.sum(axis=0) / (truth.sum(axis=0) + _PRIOR_EXAMPLES)
    return sigmoid(trust * _logit(own) + (1 - trust) * _logit(np.full(len(own), common)))


def common_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the one score for all labels with the best mean of exact matches in scope and out of scope.

    The two shares count with the square root of how many examples they are of: a dozen examples out of scope beside a
    thousand in scope should neither be overlooked nor decide alone.
    """
    inside = truth.any(axis=1)
    parts = [rows for rows in (inside, ~inside) if rows.any()]
    right = [((scores >= threshold) == truth).all(axis=1) for threshold in _GRID]
    shares = np.array([[matches[rows].mean() for rows in parts] for matches in right])
    return _middle_of_best(shares @ np.sqrt([rows.sum() for rows in parts]))


def expected_calibration_error(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean distance of promise and outcome over the bins, weighted by their counts.

    What is counted is single answers, "this question has this label", not whole questions: each example's best label
    and every other that has a score of at least 0.02. The many labels that nobody would think of are all right with a
    score of nearly 0, and would hide everything else. With few examples the figure is too high, as what is chance
    counts too; training.statistics.calibration_interval takes that off.
    """
    gaps, counts = calibration_gaps(scores, truth)
    return float(np.abs(gaps.sum(axis=0)).sum() / max(1, counts.sum()))


def calibration_gaps(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each example's sum of promise minus outcome in each bin, and how many of its labels are counted.

    float64 [examples, bins], int64 [examples]. The error of any choice of examples is
    |sum of their gaps| summed over the bins, divided by the sum of their counts.
    """
    counted = _counted(scores)
    rows, bins = np.nonzero(counted)[0], _bins(scores[counted])
    gaps = np.zeros((len(scores), _BINS))
    np.add.at(gaps, (rows, bins), scores[counted] - truth[counted])
    return gaps, counted.sum(axis=1)


def reliability(scores: np.ndarray, truth: np.ndarray) -> Reliability:
    """Return the bins of equal width over the scores that expected_calibration_error counts."""
    counted = _counted(scores)
    confidence, correct = scores[counted], truth[counted]
    index = _bins(confidence)
    counts = np.bincount(index, minlength=_BINS)
    filled = counts > 0
    sums = (np.bincount(index, values, _BINS)[filled] for values in (confidence, correct))
    return Reliability(*(total / counts[filled] for total in sums), counts[filled])


def _counted(scores: np.ndarray) -> np.ndarray:
    """Return which labels of which examples the calibration error counts; bool [examples, labels]."""
    counted = scores >= _GRID[0]
    counted[np.arange(len(scores)), scores.argmax(axis=1)] = True
    return counted


def _bins(scores: np.ndarray) -> np.ndarray:
    return np.minimum((scores * _BINS).astype(int), _BINS - 1)


def _best_f1_threshold(scores: np.ndarray, truth: np.ndarray, fallback: float) -> float:
    if not truth.any():
        return fallback
    decided = scores[:, None] >= _GRID
    return _middle_of_best(2 * (decided & truth[:, None]).sum(axis=0) / (decided.sum(axis=0) + truth.sum()))


def _middle_of_best(values: np.ndarray) -> float:
    """Return the median of the grid points that share the best value: the one furthest from doing worse."""
    return float(np.median(_GRID[values >= values.max() - 1e-12]))


def _logit(probability: np.ndarray) -> np.ndarray:
    return np.log(probability) - np.log1p(-probability)
