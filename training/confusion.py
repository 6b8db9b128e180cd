"""Which intents are taken for which others, where an example may have several or none. Pure numbers."""

import numpy as np


def confusion_matrix(decided: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count true labels by what was decided; bool [examples, labels] each; int64 [labels + 1, labels + 1].

    Rows are true, columns decided, and the last of both is "no intent". A label that was found counts on the diagonal.
    One that was missed counts against each label that was decided wrongly in its place, or against no intent; one that
    was decided although nothing was missed counts in the row of no intent.
    """
    none = truth.shape[1]
    matrix = np.zeros((none + 1, none + 1), np.int64)
    for found, true in zip(decided, truth, strict=True):
        both = np.flatnonzero(found & true)
        matrix[both, both] += 1
        missed, wrong = np.flatnonzero(true & ~found), np.flatnonzero(found & ~true)
        if len(missed) or len(wrong) or not len(both):
            matrix[np.ix_(missed if len(missed) else [none], wrong if len(wrong) else [none])] += 1
    return matrix


def most_confused(matrix: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` indices with the most mistakes in row and column, ascending; no intent is the last."""
    mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    return np.sort(np.argsort(-mistakes, kind="stable")[:most])
