"""Rounding a matrix by what its products become."""

import numpy as np
import pytest

from export.gptq import STEPS, round_matrix

INPUTS, COLUMNS, TOKENS = 96, 24, 400


@pytest.fixture
def numbers():
    return np.random.default_rng(0)


@pytest.fixture
def matrix(numbers):
    return numbers.normal(size=(INPUTS, COLUMNS)).astype(np.float32)


def test_products_of_inputs_that_go_together_are_closer_than_rounding_to_nearest_makes_them(matrix, numbers):
    inputs = numbers.normal(size=(TOKENS, 8)) @ numbers.normal(size=(8, INPUTS))
    inputs += 0.1 * numbers.normal(size=inputs.shape)
    codes, scales = round_matrix(matrix, inputs.T @ inputs)
    assert np.linalg.norm(inputs @ (codes * scales - matrix)) < 0.5 * np.linalg.norm(
        inputs @ (_nearest(matrix) * scales - matrix))


def test_inputs_that_have_nothing_to_do_with_each_other_leave_nothing_to_make_up_for(matrix):
    codes, scales = round_matrix(matrix, np.eye(INPUTS))
    np.testing.assert_array_equal(codes, _nearest(matrix))
    assert codes.dtype == np.int8
    np.testing.assert_allclose(scales, np.abs(matrix).max(axis=0) / STEPS, rtol=1e-6)


def test_columns_do_not_know_of_each_other(matrix, numbers):
    inputs = numbers.normal(size=(TOKENS, INPUTS))
    together, _ = round_matrix(matrix, inputs.T @ inputs)
    alone, _ = round_matrix(matrix[:, 5:6], inputs.T @ inputs)
    np.testing.assert_array_equal(together[:, 5:6], alone)


def test_inputs_that_were_never_seen_and_empty_columns_are_rounded_all_the_same(matrix):
    matrix[:, 3] = 0
    codes, scales = round_matrix(matrix, np.zeros((INPUTS, INPUTS)))
    assert not codes[:, 3].any()
    np.testing.assert_allclose(codes * scales, matrix, atol=scales.max() / 2 * 1.001)


def _nearest(matrix: np.ndarray) -> np.ndarray:
    return np.rint(matrix / (np.abs(matrix).max(axis=0) / STEPS))
