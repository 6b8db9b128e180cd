"""Products of bytes: rows of codes times 16 columns of a matrix at once, as LLVM's code.

The instruction is VPDPBUSD of 512 bits: four products of an unsigned and a signed byte are added to each of 16 sums
(source: Intel's intrinsics guide, _mm512_dpbusd_epi32).
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from serving.generator.native.layout import BYTE_INPUTS
from serving.generator.native.vectors import (
    FLOAT,
    FLOATS,
    INT,
    INTS,
    LONG,
    NO_FLOATS,
    VECTOR_BYTES,
    at,
    call_one_of,
    declare,
    fetch,
    join,
    load,
    spread,
    store,
)

MOST_ROWS = 8       # that are multiplied with what one instruction has loaded
_INSTRUCTION = "llvm.x86.avx512.vpdpbusd.512"
# How far ahead codes are asked for, into the second cache. With few rows the processor keeps up by itself.
_AHEAD_BYTES = 8192
_ROWS_TO_FETCH_FOR = 5


@intrinsic
def multiply_rows(context, rows, codes, offsets, scales, inputs, input_stride, input_scales, input_scale_stride,
                  outputs, output_stride, steps, blocks, adds):
    """Multiply `rows` rows, 1 to MOST_ROWS, with 16 columns of a matrix; all arguments are int64, most are addresses.

    `inputs` are uint8 with zero point 128, `input_scales` float32, one for each block of 4 * steps inputs; codes are
    int8 [blocks, steps, 16, 4], offsets int32 and scales float32 [blocks, 16]; offsets are -128 times the sum of a
    block's codes. Strides are in bytes, of rows. Where `adds` is not 0 the result is added to the outputs, float32. A
    row's result does not depend on how many there are.
    """
    def generate(context, builder, signature, arguments):
        call_one_of(builder, "conch_multiply", MOST_ROWS, _emit_product, arguments)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 13), generate


def _emit_product(builder: ir.IRBuilder, rows: int, *arguments: ir.Value) -> None:
    _Product(builder, rows, *arguments).emit()


class _Product:
    """Emits a loop over blocks around a loop over their inputs; sums stay in registers."""

    def __init__(self, builder: ir.IRBuilder, rows: int, codes, offsets, scales, inputs, input_stride, input_scales,
                 input_scale_stride, outputs, output_stride, steps, blocks, adds) -> None:
        self._builder, self._rows = builder, range(rows)
        self._codes, self._offsets, self._scales = codes, offsets, scales
        self._inputs = self._row_addresses(inputs, input_stride)
        self._input_scales = self._row_addresses(input_scales, input_scale_stride)
        self._outputs = self._row_addresses(outputs, output_stride)
        self._steps, self._blocks, self._adds = steps, blocks, adds

    def emit(self) -> None:
        builder = self._builder
        before = builder.block
        block, step, scale, end = (builder.append_basic_block(name) for name in ("block", "step", "scale", "end"))
        builder.branch(block)

        builder.position_at_end(block)
        number, first_step = builder.phi(LONG), builder.phi(LONG)
        sums = [builder.phi(FLOATS) for _ in self._rows]
        offsets = load(builder, at(builder, self._offsets, number, VECTOR_BYTES), INTS)
        builder.branch(step)

        builder.position_at_end(step)
        place = builder.phi(LONG)
        products = [builder.phi(INTS) for _ in self._rows]
        added = self._add_products(products, builder.add(first_step, place))
        next_place = builder.add(place, LONG(1))
        builder.cbranch(builder.icmp_signed("<", next_place, self._steps), step, scale)
        join(place, (LONG(0), block), (next_place, step))
        for product, more in zip(products, added, strict=True):
            join(product, (offsets, block), (more, step))

        builder.position_at_end(scale)
        scaled = self._add_scaled(sums, added, number)
        next_number, next_first = builder.add(number, LONG(1)), builder.add(first_step, self._steps)
        builder.cbranch(builder.icmp_signed("<", next_number, self._blocks), block, end)
        join(number, (LONG(0), before), (next_number, scale))
        join(first_step, (LONG(0), before), (next_first, scale))
        for total, more in zip(sums, scaled, strict=True):
            join(total, (NO_FLOATS, before), (more, scale))

        builder.position_at_end(end)
        self._store(scaled)

    def _add_products(self, products: list, step) -> list:
        """Return the sums after one step: four inputs of each row times four codes of each column."""
        builder = self._builder
        instruction = declare(builder, _INSTRUCTION, INTS, [INTS] * 3)
        address = at(builder, self._codes, step, VECTOR_BYTES)
        codes = load(builder, address, INTS)
        if len(self._rows) >= _ROWS_TO_FETCH_FOR:
            fetch(builder, builder.add(address, LONG(_AHEAD_BYTES)))
        return [builder.call(instruction, [
            product, spread(builder, load(builder, at(builder, self._inputs[row], step, BYTE_INPUTS), INT), INTS),
            codes]) for row, product in zip(self._rows, products, strict=True)]

    def _add_scaled(self, sums: list, products: list, block) -> list:
        builder, found = self._builder, []
        scales = load(builder, at(builder, self._scales, block, VECTOR_BYTES), FLOATS)
        for row, total, product in zip(self._rows, sums, products, strict=True):
            input_scale = load(builder, at(builder, self._input_scales[row], block, 4), FLOAT)
            factors = builder.fmul(scales, spread(builder, input_scale, FLOATS))
            found.append(builder.fadd(total, builder.fmul(builder.sitofp(product, FLOATS), factors)))
        return found

    def _store(self, sums: list) -> None:
        builder = self._builder
        adds = builder.icmp_signed("!=", self._adds, LONG(0))
        for row, total in zip(self._rows, sums, strict=True):
            with_before = builder.fadd(load(builder, self._outputs[row], FLOATS), total)
            store(builder, self._outputs[row], builder.select(adds, with_before, total))

    def _row_addresses(self, first, stride) -> list:
        return [self._builder.add(first, self._builder.mul(stride, LONG(row))) for row in self._rows]
