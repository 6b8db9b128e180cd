"""Slots of a decoder that our own machine code computes; used as serving.generator.session is.

Rows are computed one like the other, so a prompt gives the same in chunks of any size, and a row in any company.
"""

import contextlib
import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from serving.errors import VersionLoadError
from serving.generator.native.attention import MOST_QUERIES
from serving.generator.native.compiled import call_first
from serving.generator.native.decoder_step import (
    NO_MORE,
    Caches,
    Meeting,
    Rows,
    Scratch,
    ask_for_step,
    end_threads,
    operators,
    take_part,
)
from serving.generator.native.layout import BLOCK, COLUMNS, Matrix, Weights

_PROMPT_ROWS = 64   # of a prompt that are computed at once; reading the weights is next to nothing then
_LOOKS_PER_US = 50  # that a thread takes to see whether another has come


@dataclass(frozen=True)
class NativeDecoder:
    """A decoder's weights, packed for our code."""

    weights: Weights
    threads: int
    spin_us: int       # how long threads wait for each other awake while a step is computed
    engine = "machine code of ours"

    @property
    def layers(self) -> int:
        """How many layers it has."""
        return len(self.weights.widening.groups)

    @property
    def head_dim(self) -> int:
        """Numbers in the key or the value of one head."""
        return 2 * self.weights.cosines.shape[1]

    @property
    def heads(self) -> int:
        """Heads of queries."""
        _, _, steps, _, inputs = self.weights.attention_outputs.groups.shape
        return steps * inputs // self.head_dim

    @property
    def kv_heads(self) -> int:
        """Heads of keys, and of values."""
        return (_columns(self.weights.attention_inputs) // self.head_dim - self.heads) // 2

    @property
    def token_bytes(self) -> int:
        """Bytes that the keys and values of one token take."""
        return 2 * self.layers * self.kv_heads * self.head_dim * np.dtype(np.float16).itemsize

    @property
    def vocab_size(self) -> int:
        """How many logits there are."""
        return len(self.weights.embedding)

    def new_session(self, slots: int, context_tokens: int) -> "NativeSession":
        """Return empty slots; raises MemoryError, VersionLoadError for a context beyond the graph's positions."""
        if context_tokens > len(self.weights.cosines):
            raise VersionLoadError(f"the graph knows {len(self.weights.cosines)} positions, and context_tokens is "
                                   f"{context_tokens}; set it lower in config.pbtxt")
        return NativeSession(self, slots, context_tokens)


class NativeSession:
    """A decoder with the keys and values of its slots; for one thread."""

    is_exact = True

    def __init__(self, decoder: NativeDecoder, slots: int, context_tokens: int) -> None:
        self.slots = slots
        self._caches = _make_caches(decoder, slots, context_tokens)
        self._scratch = _make_scratch(decoder, max(slots, _PROMPT_ROWS), context_tokens)
        self._rows = Rows(np.zeros(2, np.int64), *np.zeros((3, len(self._scratch.stream)), np.int64))
        taken = np.zeros((operators(decoder.layers), decoder.threads), np.int64)
        self._meeting = Meeting(*np.zeros((3, 2), np.int64), taken, decoder.spin_us * _LOOKS_PER_US)
        self._steps = 0
        job = self._rows, decoder.weights, self._scratch, self._caches, self._meeting
        _compile(decoder.threads, *job)
        weakref.finalize(self, end_threads, self._rows, self._meeting)
        try:
            for thread in range(decoder.threads):
                threading.Thread(target=_compute_steps, args=(thread, decoder.threads, *job), name="decoder",
                                 daemon=True).start()
        except RuntimeError as error:  # Python's word for a limit of threads or of memory.
            raise MemoryError(str(error)) from error

    def prefill(self, slot: int, token_ids: Sequence[int], start: int) -> np.ndarray:
        """Compute tokens `start` and following of a prompt into a slot; returns the logits after the last, [vocab]."""
        for first in range(0, len(token_ids), _PROMPT_ROWS):
            piece = token_ids[first:first + _PROMPT_ROWS]
            self._fill(slot, piece, start + first, first_logits=len(piece) - 1)
        return self._scratch.logits[0].copy()

    def read(self, slot: int, token_ids: Sequence[int], start: int) -> np.ndarray:
        """Compute tokens as `prefill` does; returns the logits after each, float32 [tokens, vocab]."""
        found = []
        for first in range(0, len(token_ids), _PROMPT_ROWS):
            piece = token_ids[first:first + _PROMPT_ROWS]
            self._fill(slot, piece, start + first, first_logits=0)
            found.append(self._scratch.logits[:len(piece)].copy())
        return np.concatenate(found)

    def decode(self, token_ids: Sequence[int], lengths: Sequence[int]) -> np.ndarray:
        """Compute one token for each of the first slots; returns logits, float32 [rows, vocab].

        `lengths` says how many tokens each slot holds already. The result is overwritten by the next call.
        """
        rows = len(token_ids)
        self._compute(token_ids, range(rows), lengths, first_logits=0)
        return self._scratch.logits[:rows]

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a slot over those of another."""
        for cache, held in self._held(tokens):
            cache[:, target, :, :held] = cache[:, source, :, :held]

    def exchange(self, one: int, other: int, tokens: int) -> None:
        """Exchange the first tokens of two slots."""
        for cache, held in self._held(tokens):
            kept = cache[:, one, :, :held].copy()
            cache[:, one, :, :held] = cache[:, other, :, :held]
            cache[:, other, :, :held] = kept

    def trim(self) -> None:
        """Give back nothing: work memory is of one size, and used again."""

    def _fill(self, slot: int, token_ids: Sequence[int], start: int, first_logits: int) -> None:
        positions = range(start, start + len(token_ids))
        self._compute(token_ids, [slot] * len(token_ids), positions, first_logits)

    def _compute(self, token_ids: Sequence[int], slots: Sequence[int], positions: Sequence[int],
                 first_logits: int) -> None:
        rows, count = self._rows, len(token_ids)
        rows.counts[:] = count, first_logits
        rows.tokens[:count], rows.slots[:count], rows.positions[:count] = token_ids, slots, positions
        ask_for_step(self._steps, self._meeting)
        self._steps += 1

    def _held(self, tokens: int) -> tuple[tuple[np.ndarray, int], ...]:
        """Return keys and values, each with how many of their fourth axis so many tokens take."""
        return (self._caches.keys, -(-tokens // COLUMNS)), (self._caches.values, tokens)


def _compile(threads: int, rows: Rows, weights: Weights, scratch: Scratch, caches: Caches, meeting: Meeting) -> None:
    """Compile everything for what it will be called with, before a thread could fail to and leave others waiting.

    Raises VersionLoadError where it cannot be compiled.
    """
    nobody = rows._replace(counts=np.full_like(rows.counts, NO_MORE))
    alone = meeting._replace(orders=np.array([1, 0]), finished=np.array([1, 0]))   # reached, and nobody sleeps
    try:
        call_first(take_part, 0, threads, nobody, weights, scratch, caches, alone)
        call_first(ask_for_step, 0, alone)
        call_first(end_threads, nobody, alone)
    except Exception as error:  # numba's and LLVM's have no common base.
        raise VersionLoadError(f"our machine code cannot be compiled: {error}; set native to 0 in "
                               "config.pbtxt") from error


def _compute_steps(thread: int, threads: int, *job: NamedTuple) -> None:
    """Compute as one of several threads, on a core of its own where there are as many of both.

    Linux would put two of them on one core now and then, for milliseconds, because somebody else has the other.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == threads:
        with contextlib.suppress(OSError):  # Some sandboxes forbid it, and cores may have gone since.
            os.sched_setaffinity(0, {cores[thread]})
    take_part(thread, threads, *job)


def _make_caches(decoder: NativeDecoder, slots: int, context_tokens: int) -> Caches:
    """Return zeros, written to at once, so that a model that was loaded has all the memory it will ever need."""
    tiles = -(-context_tokens // COLUMNS)
    of_heads = decoder.layers, slots, decoder.kv_heads
    return Caches(np.full((*of_heads, tiles, decoder.head_dim, COLUMNS), 0, np.uint16),
                  np.full((*of_heads, tiles * COLUMNS, decoder.head_dim), 0, np.uint16))


def _make_scratch(decoder: NativeDecoder, rows: int, context_tokens: int) -> Scratch:
    hidden, intermediate = decoder.weights.embedding.shape[1], _columns(decoder.weights.widening) // 2
    attended, threads = decoder.heads * decoder.head_dim, decoder.threads

    def floats(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    return Scratch(
        stream=floats(rows, hidden), normed=np.zeros((threads, rows, hidden), np.uint8),
        unit_scales=np.full((rows, 1), decoder.weights.reach),
        attention=floats(rows, _columns(decoder.weights.attention_inputs)),
        attended=floats(rows, attended), widened=floats(rows, 2 * intermediate),
        attended_codes=np.zeros((rows, attended), np.uint8), attended_scales=floats(rows, attended // BLOCK),
        wide_codes=np.zeros((rows, intermediate), np.uint8), wide_scales=floats(rows, intermediate // BLOCK),
        weights=floats(threads, MOST_QUERIES, -(-context_tokens // COLUMNS) * COLUMNS),
        logits=floats(rows, decoder.vocab_size))


def _columns(matrices: Matrix) -> int:
    _, groups, _, columns, _ = matrices.groups.shape
    return groups * columns
