"""Computes tokens through all layers of a decoder, on several threads at once, as machine code.

Every thread runs the same function and takes parts of each operator until none is left, so that one that lost its core
for a while holds up the others less; between two operators that read each other's results they meet. What takes less
time than meeting, all of them do: norms.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from serving.generator.native.compiled import OPTIONS, compiled
from serving.generator.native.layout import BLOCK, COLUMNS
from serving.generator.native.operators import (
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

_OPERATORS = 6   # of a layer, after which threads meet
NO_MORE = -1     # rows: the threads are not needed any longer
_TURNS = 8       # in which a thread takes its share of an operator, about


class Rows(NamedTuple):
    """What to compute: a row is a token of a slot at a position. Those of one slot follow each other."""

    counts: np.ndarray            # int64 [2]: rows, and from which of them on logits are wanted; NO_MORE: threads end
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
    widened: np.ndarray       # float32 [rows, 2 * intermediate]: gates and what they are for, as in `widening`
    attended_codes: np.ndarray    # uint8 [rows, heads * head_dim]
    attended_scales: np.ndarray   # float32 [rows, blocks of them]
    wide_codes: np.ndarray        # uint8 [rows, intermediate]
    wide_scales: np.ndarray
    weights: np.ndarray       # float32 [threads, MOST_QUERIES, tokens of a context]
    logits: np.ndarray        # float32 [rows, vocabulary]


class Meeting(NamedTuple):
    """How threads share out work and wait for each other; counters are those of threads.py."""

    orders: np.ndarray        # counter: how many steps have been asked for
    finished: np.ndarray      # counter: how many have been computed
    arrivals: np.ndarray      # counter: how often a thread has finished what it took
    taken: np.ndarray         # int64 [operators of a step, threads]: how much of each thread's share is taken already
    looks: int                # how often a thread looks whether the others have come before it sleeps


def operators(layers: int) -> int:
    """Return after how many operators threads meet in a step."""
    return _OPERATORS * layers + 2


class Caches(NamedTuple):
    """Keys and values of all slots, the bits of float16."""

    keys: np.ndarray          # uint16 [layers, slots, heads, context / 16, head_dim, 16]
    values: np.ndarray        # uint16 [layers, slots, heads, context, head_dim]


@compiled
def take_part(thread, threads, rows, weights, scratch, caches, meeting):
    """Compute as one of several threads whenever a step is asked for, and sleep meanwhile; return at NO_MORE rows."""
    orders, finished = meeting.orders.ctypes.data, meeting.finished.ctypes.data
    done = 0
    wait_for(orders, 1, 0)
    while rows.counts[0] != NO_MORE:
        _compute(thread, threads, done, rows, weights, scratch, caches, meeting)
        done += 1
        if thread == 0:
            count_up(finished)
        wait_for(orders, done + 1, 0)


@compiled
def ask_for_step(done, meeting):
    """Have all threads compute the rows, after `done` steps before; returns when the logits are in the scratch.

    There they lie one row after another.
    """
    meeting.taken[:] = 0
    count_up(meeting.orders.ctypes.data)
    wait_for(meeting.finished.ctypes.data, done + 1, 0)


@compiled
def end_threads(rows, meeting):
    """Let all threads return."""
    rows.counts[0] = NO_MORE
    count_up(meeting.orders.ctypes.data)


# What follows becomes one function with it: compiled by itself, it would be compiled once more wherever it is used.
@njit(inline="always", **OPTIONS)
def _compute(thread, threads, done, rows, weights, scratch, caches, meeting):
    count, first_logits = rows.counts
    slots, positions, tokens = rows.slots[:count], rows.positions[:count], rows.tokens[:count]
    stream, attention, unit_scales = scratch.stream[:count], scratch.attention[:count], scratch.unit_scales[:count]
    attended, attended_codes = scratch.attended[:count], scratch.attended_codes[:count]
    widened, wide_codes = scratch.widened[:count], scratch.wide_codes[:count]
    normed = scratch.normed[thread, :count]
    layers, hidden_groups = len(weights.widening.groups), stream.shape[1] // COLUMNS
    key_heads, width = caches.values.shape[2], caches.values.shape[4]
    heads = attended.shape[1] // width
    together = _heads_together(attended.shape[1] // key_heads)
    team = (thread, threads, done * len(meeting.taken), meeting)
    _share_out(team, 0, count, _look_up, (tokens, weights, stream))
    for layer in range(layers):
        keys, values = caches.keys[layer], caches.values[layer]
        operator = 1 + layer * _OPERATORS
        _normalize(stream, weights, normed)
        _share_out(team, operator, attention.shape[1] // COLUMNS, _project,
                   (normed, unit_scales, weights, layer, attention))
        _share_out(team, operator + 1, heads + 2 * key_heads, _remember,
                   (heads, slots, positions, weights, layer, attention, keys, values))
        _share_out(team, operator + 2, count * (key_heads // together), _attend,
                   (together, slots, positions, scratch.weights[thread], attention, keys, values, attended,
                    attended_codes, scratch.attended_scales))
        _share_out(team, operator + 3, hidden_groups, _add,
                   (attended_codes, scratch.attended_scales, _layer(weights.attention_outputs, layer), stream))
        _normalize(stream, weights, normed)
        _share_out(team, operator + 4, wide_codes.shape[1] // BLOCK, _widen,
                   (normed, unit_scales, weights, layer, widened, wide_codes, scratch.wide_scales))
        _share_out(team, operator + 5, hidden_groups, _add,
                   (wide_codes, scratch.wide_scales, _layer(weights.narrowing, layer), stream))
    _normalize(stream[first_logits:], weights, normed)
    _share_out(team, 1 + layers * _OPERATORS, scratch.logits.shape[1] // COLUMNS, _predict,
               (normed[:count - first_logits], unit_scales, weights.head, scratch.logits))


@njit(inline="always", **OPTIONS)
def _share_out(team, operator, parts, compute, arguments):
    """Compute the parts of an operator together with the other threads, and wait until all are done.

    A thread takes a few neighbours at a time, first of its own share and then of what others have not come to.
    """
    thread, threads, met, meeting = team
    some = max(1, parts // (threads * _TURNS))
    for other in range(threads):
        owner = (thread + other) % threads
        first, last = parts * owner // threads, parts * (owner + 1) // threads
        taken = meeting.taken[operator, owner:].ctypes.data
        start = first + take(taken, some)
        while start < last:
            compute(start, min(start + some, last), *arguments)
            start = first + take(taken, some)
    arrivals = meeting.arrivals.ctypes.data
    count_up(arrivals)
    wait_for(arrivals, (met + operator + 1) * threads, meeting.looks)


@njit(inline="always", **OPTIONS)
def _layer(matrices, layer):
    return matrices.groups[layer], matrices.offsets[layer], matrices.scales[layer]


@njit(inline="always", **OPTIONS)
def _heads_together(columns):
    """Return of how many heads the columns fill whole blocks of codes."""
    together = 1
    while together * columns % BLOCK:
        together += 1
    return together


@njit(inline="always", **OPTIONS)
def _normalize(stream, weights, normed):
    for row in range(len(stream)):
        normalize_to_codes(stream[row], weights.epsilon, weights.reach, normed[row])


@njit(**OPTIONS)
def _look_up(start, stop, tokens, weights, stream):
    """Write the embeddings of some rows."""
    for row in range(start, stop):
        look_up(weights.embedding[tokens[row]], weights.embedding_scales[tokens[row]], stream[row])


@njit(**OPTIONS)
def _project(start, stop, normed, unit_scales, weights, layer, attention):
    """Compute some groups of 16 columns of queries, keys and values."""
    multiply(normed, unit_scales, _layer(weights.attention_inputs, layer), start, stop, attention, 0)
    for row in range(len(normed)):
        for column in range(start * COLUMNS, stop * COLUMNS):
            attention[row, column] += weights.attention_biases[layer, column]


@njit(**OPTIONS)
def _remember(start, stop, heads, slots, positions, weights, layer, attention, keys, values):
    """Turn some heads of queries and keys by their positions, and write keys and values where their slots are."""
    _, key_heads, _, width = values.shape
    gains = weights.head_gains[layer]
    for head in range(start, stop):
        for row in range(len(slots)):
            slot, position = slots[row], positions[row]
            numbers = attention[row, head * width:(head + 1) * width]
            if head >= heads + key_heads:
                keep(numbers, values[slot, head - heads - key_heads, position])
                continue
            if len(gains):
                normalize(numbers, weights.epsilon, gains[int(head >= heads)])
            turn_by_position(numbers, weights.cosines[position], weights.sines[position])
            if head >= heads:
                keep(numbers, keys[slot, head - heads, position // COLUMNS, :, position % COLUMNS])


@njit(**OPTIONS)
def _attend(start, stop, together, slots, positions, weights, attention, keys, values, attended, codes, scales):
    """Attend in some rows with the heads that read some keys: a part is a row of so many heads of keys `together`."""
    _, key_heads, _, width = values.shape
    rows, shared = len(slots), attended.shape[1] // key_heads   # columns of the heads that share keys
    scale = np.float32(1 / np.sqrt(width))
    for part in range(start, stop):
        row, first_head = part % rows, part // rows * together
        slot, tokens, next_slot = slots[row], positions[row] + 1, slots[(row + 1) % rows]
        for head in range(first_head, first_head + together):
            first, last = head * shared, (head + 1) * shared
            attend(attention[row, first:last].reshape(-1, width), scale, keys[slot, head], values[slot, head, :tokens],
                   keys[next_slot, head], weights, attended[row, first:last].reshape(-1, width))
        first, last = first_head * shared, (first_head + together) * shared
        code_blocks(attended[row, first:last], codes[row, first:last], scales[row, first // BLOCK:])


@njit(**OPTIONS)
def _add(start, stop, codes, scales, matrix, stream):
    """Add some groups of 16 columns of a product to the stream."""
    multiply(codes, scales, matrix, start, stop, stream, 1)


@njit(**OPTIONS)
def _widen(start, stop, normed, unit_scales, weights, layer, widened, codes, scales):
    """Compute some blocks of the gated layer between, and their codes."""
    groups = 2 * BLOCK // COLUMNS
    multiply(normed, unit_scales, _layer(weights.widening, layer), start * groups, stop * groups, widened, 0)
    for row in range(len(normed)):
        for block in range(start, stop):
            gates, first = block * 2 * BLOCK, (block * 2 + 1) * BLOCK
            gate(widened[row, gates:first], widened[row, first:first + BLOCK])
            code_blocks(widened[row, first:first + BLOCK], codes[row, block * BLOCK:(block + 1) * BLOCK],
                        scales[row, block:])


@njit(**OPTIONS)
def _predict(start, stop, normed, unit_scales, head, logits):
    """Compute some groups of 16 logits."""
    groups, offsets, scales = head
    multiply(normed, unit_scales, (groups, offsets, scales), start, stop, logits, 0)
