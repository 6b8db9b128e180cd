"""Turns lists of labels into matrices of truth. Knows nothing of where they come from."""

from collections.abc import Sequence

import numpy as np


def truth_matrix(truth_labels: Sequence[Sequence[str]], names: Sequence[str]) -> np.ndarray:
    """Return which of `names` each example has; bool [examples, names]; labels without a name are left out."""
    column = {name: index for index, name in enumerate(names)}
    truth = np.zeros((len(truth_labels), len(names)), bool)
    for row, labels in enumerate(truth_labels):
        truth[row, [column[label] for label in labels if label in column]] = True
    return truth
