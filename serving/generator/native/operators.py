"""A decoder's operators on rows of float32 and of 8-bit codes, as machine code (numba's nopython mode).

Each computes a row by itself and in one order, so that a row's result never depends on its company. Knows no layers.
"""

import numpy as np
from numba import njit

from serving.generator.native.attention import MOST_QUERIES, mix_values, power_of_two, score_tokens, to_half
from serving.generator.native.compiled import OPTIONS
from serving.generator.native.layout import BLOCK, COLUMNS, ZERO_POINT
from serving.generator.native.products import MOST_ROWS, multiply_rows
from serving.generator.native.vectors import VECTOR_BYTES

_HALF = np.float32(0.5)  # codes are rounded by cutting off what is left of it after the point
_STEPS = np.float32(127)
_LOWEST, _HIGHEST = np.float32(0.5), np.float32(255.5)
_LOG2_E, _LN_2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
_FACTORS = tuple(np.float32(1 / factor) for factor in (720, 120, 24, 6, 2, 1))  # of the exponential's Taylor series
_SMALLEST_EXPONENT = np.float32(-87)   # below, float32 has no normal number
# No order of sums that would keep numbers out of vectors, and no care for what is no number: codes hide it, as ONNX
# Runtime's do.
_COMPILED = {**OPTIONS, "fastmath": {"nnan", "reassoc", "nsz", "arcp", "contract"}}


@njit(**OPTIONS)
def multiply(codes, scales, matrix, start, stop, outputs, adds):
    """Multiply rows of codes with the groups of 16 columns `start` to `stop` of a packed matrix (packing.py).

    codes uint8 [rows, inputs], scales float32 [rows, blocks], outputs float32 [rows, columns]; where `adds` is 1, the
    product is added to them.
    """
    groups, offsets, column_scales = matrix
    blocks = offsets.shape[1]
    steps = groups.shape[1] // blocks
    for group in range(start, stop):
        for first in range(0, len(codes), MOST_ROWS):
            multiply_rows(
                min(len(codes) - first, MOST_ROWS), groups[group].ctypes.data, offsets[group].ctypes.data,
                column_scales[group].ctypes.data, codes[first:].ctypes.data, codes.strides[0],
                scales[first:].ctypes.data, scales.strides[0],
                outputs[first:].ctypes.data + group * VECTOR_BYTES, outputs.strides[0], steps, blocks, adds)


@njit(**_COMPILED)
def look_up(codes, scales, row):
    """Write an embedding, float32 [channels], of which codes are kept: uint8 [channels], scales float32 [blocks]."""
    block = len(codes) // len(scales)
    for place in range(len(codes)):
        row[place] = (np.float32(codes[place]) - np.float32(ZERO_POINT)) * scales[place // block]


@njit(**_COMPILED)
def normalize_to_codes(row, epsilon, scale, codes):
    """Write the codes of a row that is divided by its root mean square, with one scale for all of it; beyond it is cut.

    row float32 [channels], codes uint8 [channels].
    """
    factor = np.float32(1) / (_root_mean_square(row, epsilon) * scale)
    for place in range(len(row)):
        code = row[place] * factor + (np.float32(ZERO_POINT) + _HALF)
        codes[place] = np.uint8(np.int32(min(max(code, _LOWEST), _HIGHEST)))


@njit(**_COMPILED)
def normalize(row, epsilon, gains):
    """Divide a row, float32 [channels], by its root mean square and multiply it by the gains, in place."""
    factor = np.float32(1) / _root_mean_square(row, epsilon)
    for place in range(len(row)):
        row[place] *= factor * gains[place]


@njit(**_COMPILED)
def code_blocks(row, codes, scales):
    """Write the codes of a row, with a scale for each 64 of it that fits the largest.

    row float32 [channels], codes uint8 [channels], scales float32 [blocks].
    """
    for block in range(len(row) // BLOCK):
        first = block * BLOCK
        largest = np.float32(0)
        for place in range(first, first + BLOCK):
            largest = max(largest, abs(row[place]))
        scales[block] = largest / _STEPS
        factor = _STEPS / largest if largest > 0 else np.float32(0)
        for place in range(first, first + BLOCK):
            codes[place] = np.uint8(np.int32(row[place] * factor + (np.float32(ZERO_POINT) + _HALF)))


@njit(**_COMPILED)
def turn_by_position(head, cosines, sines):
    """Turn a head of a query or a key in place (rotary embedding, its halves paired).

    head float32 [head_dim], cosines and sines of its position float32 [head_dim / 2].
    """
    half = len(cosines)
    for place in range(half):
        first, second = head[place], head[half + place]
        head[place] = first * cosines[place] - second * sines[place]
        head[half + place] = second * cosines[place] + first * sines[place]


@njit(**_COMPILED)
def keep(numbers, halves):
    """Write float32 [channels] as the bits of float16, uint16 [channels]."""
    for place in range(len(numbers)):
        halves[place] = to_half(numbers[place])


@njit(**_COMPILED)
def attend(queries, scale, keys, values, next_keys, weights, outputs):
    """Write the values' means, weighted by the softmax of what each query makes of the keys.

    queries and outputs float32 [heads, head_dim], keys float16 [tiles, head_dim, 16], values float16 [tokens,
    head_dim]; weights, float32 [MOST_QUERIES, tokens], has room for whole tiles. `next_keys` are read after these.
    """
    tokens, width = len(values), queries.shape[1]
    tiles = (tokens + COLUMNS - 1) // COLUMNS
    for first in range(0, len(queries), MOST_QUERIES):
        count = min(len(queries) - first, MOST_QUERIES)
        score_tokens(count, queries[first:].ctypes.data, queries.strides[0], keys.ctypes.data, values.ctypes.data,
                     weights.ctypes.data, weights.strides[0], tiles, width, scale)
        for row in range(count):
            _soften(weights[row, :tokens])
        mix_values(count, weights.ctypes.data, weights.strides[0], values.ctypes.data, next_keys.ctypes.data,
                   outputs[first:].ctypes.data, outputs.strides[0], tokens, width)


@njit(**_COMPILED)
def _soften(scores):
    """Replace scores, float32 [tokens], by their softmax."""
    largest = scores[0]
    for token in range(len(scores)):
        largest = max(largest, scores[token])
    total = np.float32(0)
    for token in range(len(scores)):
        scores[token] = _exponential(scores[token] - largest)
        total += scores[token]
    for token in range(len(scores)):
        scores[token] /= total


@njit(**_COMPILED)
def gate(gates, row):
    """Multiply a row, float32 [channels], by the SiLU of its gates, in place."""
    for place in range(len(row)):
        value = gates[place]
        row[place] *= value / (np.float32(1) + _exponential(-value))


@njit(inline="always", **_COMPILED)
def _root_mean_square(row, epsilon):
    squares = np.float32(0)
    for place in range(len(row)):
        squares += row[place] * row[place]
    return np.sqrt(squares / np.float32(len(row)) + epsilon)


@njit(inline="always", **_COMPILED)
def _exponential(value):
    """Return e to a float32 in operations that vectors have: a power of two times the series of what is left."""
    power = min(max(value, _SMALLEST_EXPONENT), -_SMALLEST_EXPONENT) * _LOG2_E
    whole = np.floor(power + _HALF)
    rest = (power - whole) * _LN_2
    series = _FACTORS[0]
    series = series * rest + _FACTORS[1]
    series = series * rest + _FACTORS[2]
    series = series * rest + _FACTORS[3]
    series = series * rest + _FACTORS[4]
    series = series * rest + _FACTORS[5]
    series = series * rest + np.float32(1)
    return series * power_of_two(whole)
