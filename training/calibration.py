"""Makes scores mean probabilities, and finds the score from which on a label holds.

Temperature: Guo et al. 2017, "On Calibration of Modern Neural Networks". Pure numbers; knows nothing of models.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

_TEMPERATURES = (0.05, 20.0)
_GRID = np.linspace(0.02, 0.98, 97)   # thresholds that are tried; F1 is flat between neighbours
# A label's own best threshold counts as much as the common one once it has this many calibration examples.
_PRIOR_EXAMPLES = 20
_BINS = 15                            # of the reliability plot and the error, as in Guo et al.


@dataclass(frozen=True)
class Reliability:
    """What the scores of each bin promise and what came true; each float64 [bins that are not empty]."""

    confidence: np.ndarray   # mean score
    accuracy: np.ndarray     # share of decisions that came true
    counts: np.ndarray


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logits)) without overflow."""
    return np.exp(-np.logaddexp(0, -logits))


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature that minimises the negative log-likelihood of sigmoid(logits / temperature).

    `logits` float [examples, labels], `truth` bool of that shape.
    """
    signed = np.where(truth, -1.0, 1.0) * logits

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, signed / np.exp(log_temperature)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded").x))


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

    Counted are each example's best label and every other that has a score of at least 0.02: the many labels that nobody
    would think of are all right with a score of nearly 0, and would hide everything else.
    """
    bins = reliability(scores, truth)
    return float(np.average(np.abs(bins.confidence - bins.accuracy), weights=bins.counts)) if len(bins.counts) else 0.0


def reliability(scores: np.ndarray, truth: np.ndarray) -> Reliability:
    """Return the bins of equal width over the scores that expected_calibration_error counts."""
    counted = scores >= _GRID[0]
    counted[np.arange(len(scores)), scores.argmax(axis=1)] = True
    confidence, correct = scores[counted], truth[counted]
    index = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(index, minlength=_BINS)
    filled = counts > 0
    sums = (np.bincount(index, values, _BINS)[filled] for values in (confidence, correct))
    return Reliability(*(total / counts[filled] for total in sums), counts[filled])


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
