"""How good embeddings are, on pairs that people scored or texts that they labelled. Pure: arrays in, figures out."""

from collections.abc import Sequence

import numpy as np


def spearman(predicted: np.ndarray, expected: np.ndarray) -> float | None:
    """Return Spearman's rank correlation of two float [n] arrays, None where one of them never changes.

    Equal values share the mean of their ranks (C. Spearman, 1904).
    """
    ranks = [_mean_ranks(values) for values in (predicted, expected)]
    first, second = (rank - rank.mean() for rank in ranks)
    spread = np.sqrt(np.sum(first ** 2) * np.sum(second ** 2))
    return float(np.sum(first * second) / spread) if spread else None


def best_threshold_accuracy(similarities: np.ndarray, is_alike: np.ndarray) -> float:
    """Return the share of pairs that the best threshold on float [n] judges right; bool [n] says which are alike."""
    order = np.argsort(-similarities, kind="stable")
    alike = np.cumsum(is_alike[order])                       # judged alike rightly, by how many are judged alike
    unlike = np.cumsum(~is_alike[order])
    right = np.concatenate([[0], alike]) + (unlike[-1] - np.concatenate([[0], unlike]))
    # A threshold cannot part pairs of the same similarity.
    parts = np.concatenate([[True], np.diff(similarities[order]) != 0, [True]])
    return float(right[parts].max() / len(similarities))


def nearest_neighbour_accuracy(embeddings: np.ndarray, labels: Sequence[str]) -> float:
    """Return the share of texts whose nearest other text has their label; float [n, dimension] of length 1."""
    similarities = embeddings @ embeddings.T
    np.fill_diagonal(similarities, -np.inf)
    nearest = np.argmax(similarities, axis=1)
    return float(np.mean([labels[row] == labels[column] for row, column in enumerate(nearest)]))


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return (last - (sizes - 1) / 2)[group]
