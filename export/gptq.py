"""Rounds a matrix to 8 bits so that its products, rather than its numbers, come out right.

Source: GPTQ, Frantar et al. 2022: rows are rounded one after another, and what one row's rounding adds to the products
is taken back by the rows that are still to be rounded, as far as their inputs go together. Knows nothing of graphs.
"""

import numpy as np

STEPS = 127     # int8 without -128, so that a scale serves both signs
_DAMPING = 0.1  # of the mean square of an input; few calibration texts say little about what goes together
_BLOCK = 64     # rows whose corrections are made at once
_SLAB = 8192    # columns that are rounded at once, for those of vocabularies are many and rounded in float64


def round_matrix(matrix: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 [inputs, columns] and the columns' scales, float32 [columns], for float [inputs, columns].

    `gram` is float [inputs, inputs]: the sum of x xᵀ over the inputs that the matrix will be multiplied with.
    """
    scales = np.abs(matrix).max(axis=0) / STEPS
    scales[scales == 0] = 1
    order = np.argsort(-np.diag(gram), kind="stable")  # the inputs that matter most have all others to make up for them
    factor = _inverse_factor(gram[np.ix_(order, order)])
    rounded = np.empty(matrix.shape, np.int8)
    for start in range(0, matrix.shape[1], _SLAB):
        slab = slice(start, start + _SLAB)
        rounded[order, slab] = _round_rows(matrix[order, slab].astype(np.float64), scales[slab], factor)
    return rounded, scales.astype(np.float32)


def _round_rows(left: np.ndarray, scales: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return the codes of float64 [inputs, columns], which is overwritten, in its order of rows."""
    codes = np.empty(left.shape, np.int8)
    for start in range(0, len(left), _BLOCK):
        stop = min(start + _BLOCK, len(left))
        errors = np.empty((stop - start, left.shape[1]))
        for row in range(start, stop):
            codes[row] = np.clip(np.rint(left[row] / scales), -STEPS, STEPS)
            errors[row - start] = (left[row] - codes[row] * scales) / factor[row, row]
            left[row + 1:stop] -= np.outer(factor[row, row + 1:stop], errors[row - start])
        left[stop:] -= factor[start:stop, stop:].T @ errors
    return codes


def _inverse_factor(gram: np.ndarray) -> np.ndarray:
    """Return the upper triangular factor U of the damped inverse, UᵀU; float64 [inputs, inputs]."""
    damped = gram.astype(np.float64)
    damped[np.diag_indices_from(damped)] += _DAMPING * np.mean(np.diag(damped)) + np.finfo(np.float32).tiny
    return np.linalg.cholesky(np.linalg.inv(damped)).T
