"""Attention over keys and values that are kept in float16, as LLVM's code: 16 tokens, or 16 channels, at once."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from serving.generator.native.vectors import (
    COLUMNS,
    FLOAT,
    FLOATS,
    HALF,
    HALVES_BYTES,
    INT,
    LONG,
    VECTOR_BYTES,
    at,
    load,
    load_halves,
    multiply_add,
    spread,
    store,
    sum_up,
)


@intrinsic
def score_tokens(context, query, keys, scores, tiles, width, scale):
    """Write what a query makes of keys, 16 tokens at once, times a scale.

    query is float32 [width], keys float16 [tiles, width, 16], scores float32 [tiles * 16]; all are addresses, int64,
    but the scale, float32. The width is a multiple of 4.
    """
    def generate(context, builder, signature, arguments):
        query, keys, scores, tiles, width, scale = arguments
        tile_bytes = builder.mul(width, LONG(HALVES_BYTES))
        with cgutils.for_range(builder, tiles) as tile:
            first = builder.add(keys, builder.mul(tile.index, tile_bytes))
            total = sum_up(builder, width, lambda place, total: multiply_add(
                builder, spread(builder, load(builder, at(builder, query, place, 4), FLOAT), FLOATS),
                load_halves(builder, at(builder, first, place, HALVES_BYTES)), total))
            store(builder, at(builder, scores, tile.index, VECTOR_BYTES),
                  builder.fmul(total, spread(builder, scale, FLOATS)))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, types.float32), generate


@intrinsic
def mix_values(context, weights, values, output, tokens, width):
    """Write the sum of the values of tokens, each times its weight.

    weights is float32 [tokens], values float16 [tokens, width], output float32 [width]; all are addresses, int64. The
    width is a multiple of 16. Weights and values of a multiple of four tokens are read; those weights are 0.
    """
    def generate(context, builder, signature, arguments):
        weights, values, output, tokens, width = arguments
        row_bytes = builder.mul(width, LONG(HALVES_BYTES // COLUMNS))
        with cgutils.for_range(builder, builder.sdiv(width, LONG(COLUMNS))) as column:
            first = at(builder, values, column.index, HALVES_BYTES)
            total = sum_up(builder, tokens, lambda token, total: multiply_add(
                builder, spread(builder, load(builder, at(builder, weights, token, 4), FLOAT), FLOATS),
                load_halves(builder, builder.add(first, builder.mul(token, row_bytes))), total))
            store(builder, at(builder, output, column.index, VECTOR_BYTES), total)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic
def to_half(context, value):
    """Return the bits, uint16, of a float32 in float16."""
    def generate(context, builder, signature, arguments):
        return builder.bitcast(builder.fptrunc(arguments[0], HALF), ir.IntType(16))

    return types.uint16(types.float32), generate


@intrinsic
def power_of_two(context, exponent):
    """Return two to a whole number from -126 to 127, both float32."""
    def generate(context, builder, signature, arguments):
        biased = builder.add(builder.fptosi(arguments[0], INT), INT(127))
        return builder.bitcast(builder.shl(biased, INT(23)), FLOAT)

    return types.float32(types.float32), generate
