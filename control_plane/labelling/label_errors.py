"""Finds labels that a model, which was not trained on them, confidently contradicts. Pure numbers; knows no table."""

from dataclasses import dataclass

import numpy as np

MISSING = "missing"  # the model says it holds, the label does not
EXTRA = "extra"      # the label says it holds, the model does not


@dataclass(frozen=True)
class SuspectedError:
    """One label of one example that is probably wrong."""

    row: int
    label: int
    kind: str
    margin: float  # by how much the score lies beyond what is confident, 0 to 1


def suspected_errors(labels: np.ndarray, scores: np.ndarray, thresholds: np.ndarray) -> list[SuspectedError]:
    """Return the suspected errors, the surest first.

    `labels` bool [examples, labels], `scores` float [examples, labels] out of fold, `thresholds` float [labels] from
    which a label holds. A label is suspect where the model decides otherwise and is at least as confident as it is on
    average where people say the same as it: confident learning (C. Northcutt, L. Jiang, I. Chuang, "Confident
    Learning", JAIR 70, 2021), one label against the rest (A. Thyagarajan et al., "Identifying Incorrect Annotations in
    Multi-Label Classification Data", 2022). Raises ValueError where the shapes do not fit.
    """
    labels, scores = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    thresholds = np.asarray(thresholds, dtype=np.float64)
    if labels.ndim != 2 or labels.shape != scores.shape or thresholds.shape != labels.shape[1:]:
        raise ValueError(f"labels {labels.shape}, scores {scores.shape} and thresholds {thresholds.shape} do not fit")
    found = [*_beyond(MISSING, ~labels, scores, np.maximum(thresholds, _mean_where(scores, labels))),
             *_beyond(EXTRA, labels, 1 - scores, np.maximum(1 - thresholds, _mean_where(1 - scores, ~labels)))]
    return sorted(found, key=lambda item: (-item.margin, item.row, item.label))


def _mean_where(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the mean of each column where `mask` holds; infinite where it never does, for nothing is known then."""
    counts = mask.sum(axis=0)
    sums = np.where(mask, scores, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def _beyond(kind: str, mask: np.ndarray, scores: np.ndarray, bar: np.ndarray) -> list[SuspectedError]:
    """Return where `mask` holds and the score is over the bar of its label."""
    return [SuspectedError(int(row), int(label), kind, float(scores[row, label] - bar[label]))
            for row, label in np.argwhere(mask & (scores > bar))]
