"""Computes tokens through all layers of a decoder, on several threads at once, as machine code.

Every thread runs the same function and takes parts of each operator until none is left, so that one that lost its core
for a while holds up the others less; between two operators that read each other's results they meet. What takes less
time than meeting, all of them do: norms.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from serving.generator.native.compiled import compiled
from serving.generator.native.operators import (
    BLOCK,
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
from serving.generator.native.threads import count_up, take, wait_for
from serving.generator.native.vectors import COLUMNS

_PARTS = 8   # that a thread takes of a work, about


class Matrix(NamedTuple):
    """A matrix of 8 bits as `operators.multiply` reads it; those of all layers have the layers as first axis."""

    groups: np.ndarray    # int8 [columns / 16, inputs / 4, 16, 4]
    offsets: np.ndarray   # int32 [columns / 16, blocks, 16]: -128 times the sum of the codes
    scales: np.ndarray    # float32 [columns / 16, blocks, 16]


class Weights(NamedTuple):
    """What a decoder has learned. Norms before matrices have no gain: the matrices hold it."""

    embedding: np.ndarray         # uint8 [vocabulary, hidden], zero point 128
    embedding_scales: np.ndarray  # float32 [vocabulary, hidden / 32]
    attention_inputs: Matrix      # queries, keys and values
    attention_biases: np.ndarray  # float32 [layers, columns]
    head_gains: np.ndarray        # float32 [layers, 2, head_dim], of queries and keys; [layers, 0, head_dim]: no norms
    attention_outputs: Matrix
    gates: Matrix
    widening: Matrix
    narrowing: Matrix
    head: Matrix
    cosines: np.ndarray           # float32 [positions, head_dim / 2]
    sines: np.ndarray
    epsilon: np.float32           # of the norms
    reach: np.float32             # the scale of the codes of what norms before matrices give


class Rows(NamedTuple):
    """What to compute: a row is a token of a slot at a position. Those of one slot follow each other."""

    counts: np.ndarray            # int64 [2]: rows, and from which of them on logits are wanted; no rows: threads end
    tokens: np.ndarray            # int64 [rows]
    slots: np.ndarray
    positions: np.ndarray


class Scratch(NamedTuple):
    """Memory for what is on its way: rows of all threads, and what each thread has for itself."""

    stream: np.ndarray        # float32 [rows, hidden]
    normed: np.ndarray        # uint8 [threads, rows, hidden]
    unit_scales: np.ndarray   # float32 [rows, 1]: the scale of what is normed
    attention: np.ndarray     # float32 [rows, (heads of queries, keys and values) * head_dim]
    attended: np.ndarray      # float32 [rows, heads * head_dim]
    gated: np.ndarray         # float32 [rows, intermediate]
    widened: np.ndarray       # float32 [rows, intermediate]
    attended_codes: np.ndarray    # uint8 [rows, heads * head_dim]
    attended_scales: np.ndarray   # float32 [rows, blocks of them]
    wide_codes: np.ndarray        # uint8 [rows, intermediate]
    wide_scales: np.ndarray
    weights: np.ndarray       # float32 [threads, MOST_QUERIES, tokens of a context]
    logits: np.ndarray        # float32 [rows, vocabulary]


class Meeting(NamedTuple):
    """How threads share out work and wait for each other; counters are those of threads.py."""

    orders: np.ndarray        # counter: how many steps have been asked for
    arrivals: np.ndarray      # counter: how often a thread has finished what it took
    taken: np.ndarray         # int64 [operators of a step]: how much of each is taken already
    looks: int                # how often a thread looks whether the others have come before it sleeps


def operators(layers: int) -> int:
    """Return after how many operators threads meet in a step."""
    return 6 * layers + 2


class Caches(NamedTuple):
    """Keys and values of all slots, the bits of float16."""

    keys: np.ndarray          # uint16 [layers, slots, heads, context / 16, head_dim, 16]
    values: np.ndarray        # uint16 [layers, slots, heads, context, head_dim]


@compiled
def take_part(thread, threads, done, rows, weights, scratch, caches, meeting):
    """Compute the rows as one of several threads, which have `done` so many steps before; returns how many then.

    Thread 0 asks for a step and returns after it, with logits in the scratch, one row after another. The others sleep,
    compute whenever they are asked, and return when there are no rows.
    """
    orders = meeting.orders.ctypes.data
    if thread == 0:
        meeting.taken[:] = 0
        count_up(orders)
    wait_for(orders, done + 1, 0)
    while rows.counts[0] > 0:
        _compute(thread, threads, done, rows, weights, scratch, caches, meeting)
        done += 1
        if thread == 0:
            break
        wait_for(orders, done + 1, 0)
    return done


# What follows becomes one function with it: compiled by itself, it would be compiled once more wherever it is used.
@njit(inline="always")
def _compute(thread, threads, done, rows, weights, scratch, caches, meeting):
    count, first_logits = rows.counts
    slots, positions = rows.slots[:count], rows.positions[:count]
    stream, attention, unit_scales = scratch.stream[:count], scratch.attention[:count], scratch.unit_scales[:count]
    attended, attended_codes = scratch.attended[:count], scratch.attended_codes[:count]
    gated, widened, wide_codes = scratch.gated[:count], scratch.widened[:count], scratch.wide_codes[:count]
    normed = scratch.normed[thread, :count]
    met = done * len(meeting.taken)
    work = meeting.taken.ctypes.data
    row = take(work, 1)
    while row < count:
        look_up(weights.embedding[rows.tokens[row]], weights.embedding_scales[rows.tokens[row]], stream[row])
        row = take(work, 1)
    met, work = _meet(met, work, threads, meeting)
    for layer in range(len(weights.gates.groups)):
        keys, values = caches.keys[layer], caches.values[layer]
        _normalize(stream, weights, normed)
        _project(work, threads, normed, unit_scales, weights, layer, attention)
        met, work = _meet(met, work, threads, meeting)
        _remember(work, slots, positions, weights, layer, attention, keys, values)
        met, work = _meet(met, work, threads, meeting)
        _attend(work, threads, slots, positions, scratch.weights[thread], attention, keys, values, attended,
                attended_codes, scratch.attended_scales)
        met, work = _meet(met, work, threads, meeting)
        _add(work, threads, attended_codes, scratch.attended_scales, _layer(weights.attention_outputs, layer), stream)
        met, work = _meet(met, work, threads, meeting)
        _normalize(stream, weights, normed)
        _widen(work, normed, unit_scales, weights, layer, gated, widened, wide_codes, scratch.wide_scales)
        met, work = _meet(met, work, threads, meeting)
        _add(work, threads, wide_codes, scratch.wide_scales, _layer(weights.narrowing, layer), stream)
        met, work = _meet(met, work, threads, meeting)
    _normalize(stream[first_logits:], weights, normed)
    _predict(work, threads, normed[:count - first_logits], unit_scales, weights, scratch.logits)
    _meet(met, work, threads, meeting)


@njit(inline="always")
def _meet(met, work, threads, meeting):
    """Wait for all threads; returns how many meetings there were, and where the next operator's work is shared out."""
    arrivals = meeting.arrivals.ctypes.data
    met += 1
    count_up(arrivals)
    wait_for(arrivals, met * threads, meeting.looks)
    return met, work + meeting.taken.itemsize


@njit(inline="always")
def _layer(matrices, layer):
    return matrices.groups[layer], matrices.offsets[layer], matrices.scales[layer]


@njit(inline="always")
def _part(whole, threads):
    """Return how much of a work to take at once: little enough that no thread waits long for another's last part."""
    return max(1, whole // (threads * _PARTS))


@njit(inline="always")
def _normalize(stream, weights, normed):
    for row in range(len(stream)):
        normalize_to_codes(stream[row], weights.epsilon, weights.reach, normed[row])


@njit(inline="always")
def _project(work, threads, normed, unit_scales, weights, layer, attention):
    """Compute queries, keys and values."""
    groups = attention.shape[1] // COLUMNS
    part = _part(groups, threads)
    start = take(work, part)
    while start < groups:
        stop = min(start + part, groups)
        multiply(normed, unit_scales, _layer(weights.attention_inputs, layer), start, stop, attention, 0)
        for row in range(len(normed)):
            for column in range(start * COLUMNS, stop * COLUMNS):
                attention[row, column] += weights.attention_biases[layer, column]
        start = take(work, part)


@njit(inline="always")
def _remember(work, slots, positions, weights, layer, attention, keys, values):
    """Turn queries and keys by their positions, and write keys and values where their slots are."""
    _, key_heads, _, width = values.shape
    heads = attention.shape[1] // width - 2 * key_heads
    gains = weights.head_gains[layer]
    head = take(work, 1)
    while head < heads + 2 * key_heads:
        for row in range(len(slots)):
            slot, position = slots[row], positions[row]
            numbers = attention[row, head * width:(head + 1) * width]
            if head < heads + key_heads:
                if len(gains):
                    normalize(numbers, weights.epsilon, gains[int(head >= heads)])
                turn_by_position(numbers, weights.cosines[position], weights.sines[position])
                if head >= heads:
                    keep(numbers, keys[slot, head - heads, position // COLUMNS, :, position % COLUMNS])
            else:
                keep(numbers, values[slot, head - heads - key_heads, position])
        head = take(work, 1)


@njit(inline="always")
def _attend(work, threads, slots, positions, weights, attention, keys, values, attended, codes, scales):
    """Attend in all rows, at once with the heads that read the same keys."""
    _, key_heads, _, width = values.shape
    rows, shared = len(slots), attended.shape[1] // key_heads   # columns of the heads that share keys
    scale = np.float32(1 / np.sqrt(width))
    together = 1
    while together * shared % BLOCK:   # heads of keys whose columns fill whole blocks of codes
        together += 1
    parts = rows * (key_heads // together)
    part = _part(parts, threads)
    start = take(work, part)
    while start < parts:
        for place in range(start, min(start + part, parts)):
            row, first_head = place % rows, place // rows * together
            slot, tokens = slots[row], positions[row] + 1
            for head in range(first_head, first_head + together):
                first, last = head * shared, (head + 1) * shared
                attend(attention[row, first:last].reshape(-1, width), scale, keys[slot, head],
                       values[slot, head, :tokens], weights, attended[row, first:last].reshape(-1, width))
            first, last = first_head * shared, (first_head + together) * shared
            code_blocks(attended[row, first:last], codes[row, first:last], scales[row, first // BLOCK:])
        start = take(work, part)


@njit(inline="always")
def _add(work, threads, codes, scales, matrix, stream):
    """Add a product to the stream."""
    groups = stream.shape[1] // COLUMNS
    part = _part(groups, threads)
    start = take(work, part)
    while start < groups:
        multiply(codes, scales, matrix, start, min(start + part, groups), stream, 1)
        start = take(work, part)


@njit(inline="always")
def _widen(work, normed, unit_scales, weights, layer, gated, widened, codes, scales):
    """Compute the gated layer between, and its codes."""
    block = take(work, 1)
    while block < gated.shape[1] // BLOCK:
        first, last = block * BLOCK, (block + 1) * BLOCK
        start, stop = first // COLUMNS, last // COLUMNS
        multiply(normed, unit_scales, _layer(weights.gates, layer), start, stop, gated, 0)
        multiply(normed, unit_scales, _layer(weights.widening, layer), start, stop, widened, 0)
        for row in range(len(normed)):
            gate(gated[row, first:last], widened[row, first:last])
            code_blocks(widened[row, first:last], codes[row, first:last], scales[row, block:])
        block = take(work, 1)


@njit(inline="always")
def _predict(work, threads, normed, unit_scales, weights, logits):
    """Compute logits."""
    head, offsets, scales = weights.head
    groups = logits.shape[1] // COLUMNS
    part = _part(groups, threads)
    start = take(work, part)
    while start < groups:
        multiply(normed, unit_scales, (head, offsets, scales), start, min(start + part, groups), logits, 0)
        start = take(work, part)
