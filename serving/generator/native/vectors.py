"""LLVM's words for vectors of 16 numbers, the processor's widest: what the other files here emit code with."""

from collections.abc import Callable

from llvmlite import ir

from serving.generator.native.layout import COLUMNS

INT, LONG, FLOAT, HALF = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.HalfType()
INTS, FLOATS, HALVES = (ir.VectorType(kind, COLUMNS) for kind in (INT, FLOAT, HALF))
VECTOR_BYTES, HALVES_BYTES = 4 * COLUMNS, 2 * COLUMNS
_READ, _SECOND_CACHE, _DATA = INT(0), INT(2), INT(1)   # of llvm.prefetch
NO_FLOATS = ir.Constant(FLOATS, [0.0] * COLUMNS)


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


def fetch(builder: ir.IRBuilder, address: ir.Value) -> None:
    """Ask for what will be loaded from an address later; it comes into the second cache."""
    place = ir.IntType(8).as_pointer()
    ask = declare(builder, "llvm.prefetch.p0", ir.VoidType(), [place, INT, INT, INT])
    builder.call(ask, [builder.inttoptr(address, place), _READ, _SECOND_CACHE, _DATA])


def spread(builder: ir.IRBuilder, value: ir.Value, kind: ir.VectorType) -> ir.Value:
    """Return a vector that holds one number 16 times."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, INT(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(INTS, [0] * COLUMNS))


def multiply_add(builder: ir.IRBuilder, one: ir.Value, other: ir.Value, total: ir.Value) -> ir.Value:
    """Return one times other plus total, all vectors of float32."""
    return builder.call(declare(builder, "llvm.fma.v16f32", FLOATS, [FLOATS] * 3), [one, other, total])


def repeat(builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int,
           add: Callable[[ir.Value, list[ir.Value]], list[ir.Value]], sums: int) -> list[ir.Value]:
    """Emit a loop of `add(place, sums)`, which returns what the sums are then; returns what they are in the end."""
    before = builder.block
    head, body, end = (builder.append_basic_block(name) for name in ("loop", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    place, totals = builder.phi(LONG), [builder.phi(FLOATS) for _ in range(sums)]
    builder.cbranch(builder.icmp_signed("<", place, stop), body, end)
    builder.position_at_end(body)
    added = add(place, totals)
    join(place, (start, before), (builder.add(place, LONG(step)), builder.block))
    for total, more in zip(totals, added, strict=True):
        join(total, (NO_FLOATS, before), (more, builder.block))
    builder.branch(head)
    builder.position_at_end(end)
    return totals


def call_one_of(builder: ir.IRBuilder, name: str, most: int, emit: Callable[..., None],
                arguments: list[ir.Value]) -> None:
    """Call the function for the count that the first argument is, 1 to `most`; emit(builder, count, *others) fills it.

    Each is compiled once: a call is nothing beside what it computes.
    """
    count, *others = arguments
    end = builder.append_basic_block("called")
    choice = builder.switch(count, end)
    for number in range(1, most + 1):
        block = builder.append_basic_block(f"{name}_{number}")
        choice.add_case(LONG(number), block)
        builder.position_at_end(block)
        builder.call(_define(builder.module, f"{name}_{number}", emit, number, others), others)
        builder.branch(end)
    builder.position_at_end(end)


def _define(module: ir.Module, name: str, emit: Callable[..., None], count: int,
            arguments: list[ir.Value]) -> ir.Function:
    if name not in module.globals:
        kind = ir.FunctionType(ir.VoidType(), [item.type for item in arguments])
        function = ir.Function(module, kind, name)
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        emit(builder, count, *function.args)
        builder.ret_void()
    return module.globals[name]


def join(phi: ir.Value, *incoming: tuple[ir.Value, ir.Block]) -> None:
    """Say which value a number has after which block."""
    for value, block in incoming:
        phi.add_incoming(value, block)
