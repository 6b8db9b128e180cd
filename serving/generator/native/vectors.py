"""LLVM's words for vectors of 16 numbers, the processor's widest: what the other files here emit code with."""

from collections.abc import Callable

from llvmlite import ir

COLUMNS = 16                # numbers in a vector
INT, LONG, FLOAT, HALF = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.HalfType()
INTS, FLOATS, HALVES = (ir.VectorType(kind, COLUMNS) for kind in (INT, FLOAT, HALF))
VECTOR_BYTES, HALVES_BYTES = 4 * COLUMNS, 2 * COLUMNS
NO_FLOATS = ir.Constant(FLOATS, [0.0] * COLUMNS)
SUMS = 4                    # that are added up side by side: an addition is waited for longer than it takes


def declare(builder: ir.IRBuilder, name: str, result: ir.Type, arguments: list[ir.Type]) -> ir.Function:
    """Return a function that LLVM or the C library has."""
    return builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(result, arguments), name)


def at(builder: ir.IRBuilder, base: ir.Value, index: ir.Value, size: int) -> ir.Value:
    """Return the address of an element of so many bytes."""
    return builder.add(base, builder.mul(index, LONG(size)))


def load(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    """Load from an address that need not be aligned."""
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


def store(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> None:
    """Store at an address that need not be aligned."""
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=1)


def load_halves(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """Load 16 float16 as float32."""
    return builder.fpext(load(builder, address, HALVES), FLOATS)


def spread(builder: ir.IRBuilder, value: ir.Value, kind: ir.VectorType) -> ir.Value:
    """Return a vector that holds one number 16 times."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, INT(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(INTS, [0] * COLUMNS))


def multiply_add(builder: ir.IRBuilder, one: ir.Value, other: ir.Value, total: ir.Value) -> ir.Value:
    """Return one times other plus total, all vectors of float32."""
    return builder.call(declare(builder, "llvm.fma.v16f32", FLOATS, [FLOATS] * 3), [one, other, total])


def sum_up(builder: ir.IRBuilder, count: ir.Value, add: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
    """Emit a loop of `add(place, sum)` over places, `count` rounded up to a multiple of SUMS; returns the sum."""
    before = builder.block
    loop, end = (builder.function.append_basic_block(name) for name in ("loop", "end"))
    builder.branch(loop)
    builder.position_at_end(loop)
    place, sums = builder.phi(LONG), [builder.phi(FLOATS) for _ in range(SUMS)]
    added = [add(builder.add(place, LONG(part)), total) for part, total in enumerate(sums)]
    following = builder.add(place, LONG(SUMS))
    builder.cbranch(builder.icmp_signed("<", following, count), loop, end)
    join(place, (LONG(0), before), (following, loop))
    for total, more in zip(sums, added, strict=True):
        join(total, (NO_FLOATS, before), (more, loop))
    builder.position_at_end(end)
    return builder.fadd(builder.fadd(added[0], added[1]), builder.fadd(added[2], added[3]))


def join(phi: ir.Value, *incoming: tuple[ir.Value, ir.Block]) -> None:
    """Say which value a number has after which block."""
    for value, block in incoming:
        phi.add_incoming(value, block)
