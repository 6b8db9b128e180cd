"""Each operator computes what NumPy does, and a row the same whatever is computed with it."""

import numpy as np
import pytest

from serving.generator.native.operators import (
    attend,
    code_blocks,
    gate,
    keep,
    look_up,
    multiply,
    normalize,
    normalize_to_codes,
    turn_by_position,
)
from serving.generator.native.packing import pack_matrix

RANDOM = np.random.default_rng(0)
EPSILON = np.float32(1e-5)
NOTHING = np.float16(np.nan).view(np.uint16)


def floats(*shape):
    return RANDOM.normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 20])
@pytest.mark.parametrize("blocks", [1, 3])
def test_a_product_is_exact_up_to_the_rounding_of_its_sums(rows, blocks):
    codes = RANDOM.integers(-127, 128, (192, 64)).astype(np.int8)
    scales, input_scales = np.abs(floats(blocks, 64)), np.abs(floats(rows, blocks))
    inputs = RANDOM.integers(0, 256, (rows, 192)).astype(np.uint8)
    outputs = floats(rows, 64)
    before = outputs.copy()
    parts = np.einsum("rbi,bic->rbc", inputs.reshape(rows, blocks, -1).astype(float) - 128,
                      codes.reshape(blocks, -1, 64).astype(float))
    expected = (parts * scales * input_scales[:, :, None]).sum(axis=1)
    matrix = pack_matrix(codes, scales)
    multiply(inputs, input_scales, (matrix.groups, matrix.offsets, matrix.scales), 1, 3, outputs, 1)
    np.testing.assert_allclose(outputs[:, 16:48], (before + expected)[:, 16:48], rtol=1e-5, atol=1e-2)
    assert np.array_equal(outputs[:, :16], before[:, :16])
    assert np.array_equal(outputs[:, 48:], before[:, 48:])
    alone = np.zeros((1, 64), np.float32)
    together = np.zeros((rows, 64), np.float32)
    packed = (matrix.groups, matrix.offsets, matrix.scales)
    multiply(inputs, input_scales, packed, 0, 4, together, 0)
    for row in range(rows):
        multiply(inputs[row:row + 1], input_scales[row:row + 1], packed, 0, 4, alone, 0)
        assert np.array_equal(alone[0], together[row])


def test_an_embedding_is_its_codes_times_their_scales():
    codes, scales, row = RANDOM.integers(0, 256, 64).astype(np.uint8), floats(2), np.zeros(64, np.float32)
    look_up(codes, scales, row)
    np.testing.assert_array_equal(row, (codes.astype(np.float32) - 128) * scales.repeat(32))


def test_a_norm_divides_by_the_root_mean_square():
    row, gains = floats(64), floats(64)
    expected = row / np.sqrt((row ** 2).mean() + EPSILON)
    codes = np.zeros(64, np.uint8)
    normalize_to_codes(row, EPSILON, np.float32(0.01), codes)
    np.testing.assert_array_equal(codes, np.clip(np.floor(expected / 0.01 + 128.5), 0, 255))
    normalize(row, EPSILON, gains)
    np.testing.assert_allclose(row, expected * gains, rtol=1e-5)


def test_codes_of_blocks_fit_the_largest_and_nothing_is_nothing():
    row = floats(192)
    row[64:128] = 0
    codes, scales = np.zeros(192, np.uint8), np.zeros(3, np.float32)
    code_blocks(row, codes, scales)
    np.testing.assert_allclose(scales, np.abs(row.reshape(3, 64)).max(axis=1) / 127, rtol=1e-6)
    found = ((codes.astype(np.float32) - 128).reshape(3, 64) * scales[:, None]).ravel()
    assert np.abs(found - row).max() <= scales.max() / 2 * 1.0001
    assert (codes[64:128] == 128).all()


def test_a_head_is_turned_by_its_position():
    head, angles = floats(32), floats(16)
    expected = (head[:16] + 1j * head[16:]) * np.exp(1j * angles)
    turn_by_position(head, np.cos(angles), np.sin(angles))
    np.testing.assert_allclose(head, np.concatenate([expected.real, expected.imag]), atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 5, 16, 33, 150])
@pytest.mark.parametrize(("heads", "width"), [(1, 32), (2, 64), (3, 16), (4, 128), (7, 80)])
def test_attention_is_the_softmax_of_scores_over_values(heads, tokens, width):
    queries, keys, values = floats(heads, width), floats(tokens, width), floats(tokens, width)
    tiles = np.full((10, width, 16), NOTHING)   # what is beyond the tokens is never used
    kept = np.full((160, width), NOTHING)
    for token in range(tokens):
        keep(keys[token], tiles[token // 16, :, token % 16])
        keep(values[token], kept[token])
    np.testing.assert_array_equal(kept[:tokens].view(np.float16), values.astype(np.float16))
    weights, outputs, alone = np.zeros((4, 160), np.float32), np.zeros((heads, width), np.float32), floats(1, width)
    attend(queries, np.float32(0.3), tiles, kept[:tokens], tiles, weights, outputs)
    scores = np.exp(0.3 * queries @ keys.T - (0.3 * queries @ keys.T).max(axis=1, keepdims=True))
    np.testing.assert_allclose(outputs, scores / scores.sum(axis=1, keepdims=True) @ values, atol=5e-3)
    for head in range(heads):
        attend(queries[head:head + 1], np.float32(0.3), tiles, kept[:tokens], tiles, weights, alone)
        assert np.array_equal(alone[0], outputs[head])


def test_a_gate_is_a_silu_also_of_numbers_beyond_what_an_exponential_can_be():
    gates = np.concatenate([floats(60) * 3, np.array([-200, 200, -90, 0], np.float32)])
    row = floats(64)
    with np.errstate(over="ignore"):
        expected = row * (gates.astype(np.float64) / (1 + np.exp(-gates.astype(np.float64))))
    gate(gates, row)
    np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)
