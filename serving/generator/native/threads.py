"""Threads that share out work and wait for each other, awake for a while and then asleep (Linux: futex).

A counter is int64 [2]: a number that only grows, and how many sleep until it does. Functions here take addresses.
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from serving.generator.native.compiled import OPTIONS
from serving.generator.native.vectors import INT, LONG, declare

_SLEEPERS = 8                       # bytes from a counter's number
_FUTEX = LONG(202)                  # the system call's number on x86-64
_WAIT, _WAKE = LONG(128), LONG(129)  # FUTEX_WAIT and FUTEX_WAKE, both private to the process
_ALL = LONG(2 ** 31 - 1)


@intrinsic
def take(context, counter, count):
    """Add to a number and return what it was: which of a work's parts are the caller's."""
    def generate(context, builder, signature, arguments):
        counter, count = arguments
        return builder.atomic_rmw("add", builder.inttoptr(counter, LONG.as_pointer()), count, "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _read(context, counter):
    def generate(context, builder, signature, arguments):
        return builder.load_atomic(builder.inttoptr(arguments[0], LONG.as_pointer()), "seq_cst", 8)

    return types.int64(types.int64), generate


@intrinsic
def _pause(context):
    def generate(context, builder, signature, arguments):
        builder.call(declare(builder, "llvm.x86.sse2.pause", ir.VoidType(), []), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _sleep(context, counter, seen):
    """Sleep until woken; not at all where the number is another than was seen."""
    def generate(context, builder, signature, arguments):
        counter, seen = arguments
        return _call_futex(builder, counter, _WAIT, seen)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _wake(context, counter):
    def generate(context, builder, signature, arguments):
        return _call_futex(builder, arguments[0], _WAKE, _ALL)

    return types.int64(types.int64), generate


def _call_futex(builder: ir.IRBuilder, counter: ir.Value, operation: ir.Value, value: ir.Value) -> ir.Value:
    """Emit the system call: it compares the counter's lower 32 bits, and no time limits it."""
    call = declare(builder, "syscall", LONG, [LONG] * 5)
    low = builder.zext(builder.trunc(value, INT), LONG)
    return builder.call(call, [_FUTEX, counter, operation, low, LONG(0)])


@njit(**OPTIONS)
def count_up(counter):
    """Add 1, and wake who sleeps until then."""
    take(counter, 1)
    if _read(counter + _SLEEPERS) > 0:
        _wake(counter)


@njit(**OPTIONS)
def wait_for(counter, number, looks):
    """Return when a counter has reached a number; who has looked so many times sleeps until it grows."""
    seen = _read(counter)
    while seen < number:
        if looks > 0:
            looks -= 1
            _pause()
        else:
            take(counter + _SLEEPERS, 1)
            _sleep(counter, seen)
            take(counter + _SLEEPERS, -1)
        seen = _read(counter)
