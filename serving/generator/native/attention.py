"""Attention over keys and values that are kept in float16, as LLVM's code: 16 tokens, or 16 channels, at once.

Several queries are computed with what is loaded once. Every sum is added up in one order, however many there are.
"""

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from serving.generator.native.layout import COLUMNS
from serving.generator.native.vectors import (
    FLOAT,
    FLOATS,
    HALF,
    HALVES_BYTES,
    INT,
    LONG,
    VECTOR_BYTES,
    at,
    call_one_of,
    fetch,
    load,
    load_halves,
    multiply_add,
    repeat,
    spread,
    store,
)

MOST_QUERIES = 4
_SUMS_AT_ONCE = 4    # at least, as long as there are as many: an addition is waited for longer than it takes
_COLUMNS_AT_ONCE = 4


@intrinsic
def score_tokens(context, count, queries, query_stride, keys, ahead, scores, score_stride, tiles, width, scale):
    """Write what queries, 1 to MOST_QUERIES, make of keys, 16 tokens at once, times a scale.

    As much as is read of the keys is asked for from the address `ahead`, because it will be read next.
    queries are float32 [count, width], keys float16 [tiles, width, 16], scores float32 [count, tiles * 16]; all are
    addresses and strides in bytes, int64, but the scale, float32.
    """
    def generate(context, builder, signature, arguments):
        call_one_of(builder, "conch_score", MOST_QUERIES, _emit_scores, arguments)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9, types.float32), generate


@intrinsic
def mix_values(context, count, weights, weight_stride, values, ahead, outputs, output_stride, tokens, width):
    """Write the sums of the values of tokens, each times its weight; there are weights of 1 to MOST_QUERIES queries.

    As much as is read of the values is asked for from the address `ahead`.
    weights are float32 [count, tokens], values float16 [tokens, width], outputs float32 [count, width]; all are
    addresses and strides in bytes, int64. The width is a multiple of 16.
    """
    def generate(context, builder, signature, arguments):
        call_one_of(builder, "conch_mix", MOST_QUERIES, _emit_mix, arguments)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9), generate


def _emit_scores(builder: ir.IRBuilder, count: int, queries, query_stride, keys, ahead, scores, score_stride,
                 tiles, width, scale) -> None:
    def of_tiles(together: int) -> Callable[[ir.Value], None]:
        def emit(tile) -> None:
            firsts = [builder.mul(builder.mul(builder.add(tile, LONG(part)), width), LONG(HALVES_BYTES))
                      for part in range(together)]

            def add(place, sums):
                offsets = [at(builder, first, place, HALVES_BYTES) for first in firsts]
                for offset in offsets:
                    fetch(builder, builder.add(ahead, offset))
                columns = [load_halves(builder, builder.add(keys, offset)) for offset in offsets]
                return _add_products(builder, columns, rows, place, sums)

            sums = repeat(builder, LONG(0), width, 1, add, together * count)
            for part in range(together):
                for row in range(count):
                    place = builder.add(builder.mul(score_stride, LONG(row)), scores)
                    store(builder, at(builder, place, builder.add(tile, LONG(part)), VECTOR_BYTES),
                          builder.fmul(sums[part * count + row], spread(builder, scale, FLOATS)))
        return emit

    rows = [builder.add(queries, builder.mul(query_stride, LONG(row))) for row in range(count)]
    _in_runs(builder, tiles, -(-_SUMS_AT_ONCE // count), of_tiles)


def _emit_mix(builder: ir.IRBuilder, count: int, weights, weight_stride, values, ahead, outputs, output_stride,
              tokens, width) -> None:
    def of_columns(together: int) -> Callable[[ir.Value], None]:
        def emit(column) -> None:
            first = builder.mul(column, LONG(HALVES_BYTES))

            def add(token, sums):
                offset = builder.add(first, builder.mul(token, row_bytes))
                offsets = [builder.add(offset, LONG(part * HALVES_BYTES)) for part in range(together)]
                for offset in offsets[::2]:   # Two are a line of the cache.
                    fetch(builder, builder.add(ahead, offset))
                columns = [load_halves(builder, builder.add(values, offset)) for offset in offsets]
                return _add_products(builder, columns, rows, token, sums)

            sums = repeat(builder, LONG(0), tokens, 1, add, together * count)
            for part in range(together):
                for row in range(count):
                    place = builder.add(builder.mul(output_stride, LONG(row)), outputs)
                    store(builder, at(builder, place, builder.add(column, LONG(part)), VECTOR_BYTES),
                          sums[part * count + row])
        return emit

    row_bytes = builder.mul(width, LONG(HALVES_BYTES // COLUMNS))
    rows = [builder.add(weights, builder.mul(weight_stride, LONG(row))) for row in range(count)]
    _in_runs(builder, builder.sdiv(width, LONG(COLUMNS)), _COLUMNS_AT_ONCE, of_columns)


def _add_products(builder: ir.IRBuilder, columns: list[ir.Value], rows: list[ir.Value], place: ir.Value,
                  sums: list[ir.Value]) -> list[ir.Value]:
    """Return the sums, of each column all rows, with the column times the number that the row has at a place added."""
    numbers = [spread(builder, load(builder, at(builder, row, place, 4), FLOAT), FLOATS) for row in rows]
    pairs = [(column, number) for column in columns for number in numbers]
    return [multiply_add(builder, number, column, total) for (column, number), total in zip(pairs, sums, strict=True)]


def _in_runs(builder: ir.IRBuilder, count: ir.Value, together: int,
             of: Callable[[int], Callable[[ir.Value], None]]) -> None:
    """Emit what `of(n)` emits for n neighbours at once, as long as there are so many, and for each that is left."""
    runs = builder.mul(builder.sdiv(count, LONG(together)), LONG(together))
    repeat(builder, LONG(0), runs, together, lambda place, _: of(together)(place) or [], 0)
    repeat(builder, runs, count, 1, lambda place, _: of(1)(place) or [], 0)


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
