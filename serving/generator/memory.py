"""Tells that memory ran out, and tries once more after freeing some. Knows nothing of what is computed."""

from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
# ONNX Runtime has no exception of its own for it (source: its bfc_arena.cc, and what() of C++'s std::bad_alloc).
_WORDS = ("Failed to allocate memory", "bad_alloc", "bad allocation")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python or ONNX Runtime found no memory."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _WORDS)


def compute_twice(compute: Callable[[], Result], free: Callable[[], None],
                  compute_less: Callable[[], Result]) -> Result:
    """Return what `compute` gives; where memory runs out, `free` some and return what `compute_less` gives."""
    try:
        return compute()
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own.
        if not is_out_of_memory(error):
            raise
    free()
    return compute_less()
