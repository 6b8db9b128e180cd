"""Packs texts into rows and cuts the rows into micro-batches, so that little is computed on padding.

Knows nothing of engines. A short text costs an engine its tokens, not a row: texts are laid one after another into rows
of about ROW_TOKENS, and the graph keeps them from seeing each other (docs/decisions/0004).
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from serving.encoder.tokenization import TokenRow

# Lengths of packed rows to try; a longer text has a row of its own.
ROW_TOKENS = (64, 96, 128, 160)
# Padded tokens of one micro-batch. Larger ones leave the core's cache.
TOKEN_BUDGET = 1024
# What a call of the engine costs before it computes anything, most of it because its shape is a new one, and what
# attention adds for each token of a row, both relative to the rest of a token's cost. Fitted to all-MiniLM-L6-v2 in
# bf16 on two processors (docs/decisions/0004); all they do is rank plans.
CALL_TOKENS = 30
ATTENTION_COST = 0.00065
# The engine's kernels work on blocks: rows of a multiple of 16 tokens cost up to 10 % less for each token.
_ROW_MULTIPLE = 16
_PADDING_SEGMENT = -1

PackedRow = list[int]  # positions of the texts in it, in order


@dataclass(frozen=True)
class MicroBatch:
    """Packed rows of similar length; export.contract describes the tensors."""

    positions: list[int]       # of the texts in the batch they were cut from
    input_ids: np.ndarray      # int64 [rows, row_tokens]
    position_ids: np.ndarray   # int64 [rows, row_tokens]
    segment_ids: np.ndarray    # int64 [rows, row_tokens]
    token_index: np.ndarray    # int64 [texts, text_tokens]
    pooling_mask: np.ndarray   # int64 [texts, text_tokens]

    @property
    def padded_tokens(self) -> int:
        """Tokens that the engine computes, padding included."""
        return self.input_ids.size


def plan_micro_batches(lengths: Sequence[int], streams: int) -> list[list[PackedRow]]:
    """Return groups of packed rows, the costliest first, for `streams` that each run one group after another.

    The texts are first shared among the streams so that all finish together, then each share is packed.
    """
    groups = [group for share in _share(lengths, streams) for group in _pack(share, lengths)]
    return sorted(groups, key=lambda group: -_cost(group, lengths))


def _share(lengths: Sequence[int], streams: int) -> list[list[int]]:
    """Return the positions of each stream's texts, longest first: a text goes to the stream with the fewest tokens.

    Source: longest processing time first, R. L. Graham, 1969.
    """
    shares: list[list[int]] = [[] for _ in range(min(streams, len(lengths)))]
    loads = [(0, stream) for stream in range(len(shares))]
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        tokens, stream = loads[0]
        shares[stream].append(position)
        heapq.heapreplace(loads, (tokens + lengths[position], stream))
    return shares


def _pack(share: Sequence[int], lengths: Sequence[int]) -> list[list[PackedRow]]:
    """Return the cheapest groups of rows over the row lengths worth trying."""
    plans = (_group(_first_fit(share, lengths, row_tokens), lengths) for row_tokens in ROW_TOKENS)
    return min(plans, key=lambda groups: sum(_cost(group, lengths) for group in groups))


def _first_fit(order: Sequence[int], lengths: Sequence[int], capacity: int) -> list[PackedRow]:
    """Put each text, longest first, into the first row that has room; one longer than `capacity` has its own row.

    Source: first-fit decreasing, D. S. Johnson, 1973.
    """
    rows: list[PackedRow] = []
    room: list[int] = []
    for position in order:
        length = lengths[position]
        row = next((row for row, free in enumerate(room) if free >= length), None)
        if row is None:
            rows.append([position])
            room.append(capacity - length)
        else:
            rows[row].append(position)
            room[row] -= length
    return rows


def _group(rows: list[PackedRow], lengths: Sequence[int]) -> list[list[PackedRow]]:
    """Cut rows, longest first, under TOKEN_BUDGET, and where padding would cost more than another call."""
    groups: list[list[PackedRow]] = []
    longest = padding = 0  # of the last group
    for filled, row in sorted(((_filled(row, lengths), row) for row in rows), reverse=True):
        padding += longest - filled
        if not groups or longest * (len(groups[-1]) + 1) > TOKEN_BUDGET or padding > CALL_TOKENS:
            groups.append([])
            longest, padding = _rounded(filled), 0
        groups[-1].append(row)
    return groups


def _cost(group: Sequence[PackedRow], lengths: Sequence[int]) -> float:
    """Return about how long the engine takes for a group, in tokens of a very short row."""
    row_tokens = _rounded(max(_filled(row, lengths) for row in group))
    return CALL_TOKENS + len(group) * row_tokens * (1 + ATTENTION_COST * row_tokens)


def _rounded(row_tokens: int) -> int:
    return ceil(row_tokens / _ROW_MULTIPLE) * _ROW_MULTIPLE


def assemble(tokenized: Sequence[TokenRow], group: Sequence[PackedRow], pad_token_id: int) -> MicroBatch:
    """Lay the texts of `group` out as the graph's inputs."""
    positions = [position for row in group for position in row]
    row_tokens = _rounded(max(sum(len(tokenized[position].ids) for position in row) for row in group))
    text_tokens = max(len(tokenized[position].ids) for position in positions)
    input_ids = np.full((len(group), row_tokens), pad_token_id, dtype=np.int64)
    position_ids = np.zeros_like(input_ids)
    segment_ids = np.full_like(input_ids, _PADDING_SEGMENT)
    token_index = np.zeros((len(positions), text_tokens), dtype=np.int64)
    pooling_mask = np.zeros_like(token_index)
    counting = np.arange(max(row_tokens, text_tokens))
    text = 0
    for row, members in enumerate(group):
        start = 0
        for segment, position in enumerate(members):
            ids, stop = tokenized[position].ids, start + len(tokenized[position].ids)
            input_ids[row, start:stop] = ids
            position_ids[row, start:stop] = counting[:len(ids)]
            segment_ids[row, start:stop] = segment
            token_index[text, :len(ids)] = counting[:len(ids)] + (row * row_tokens + start)
            pooling_mask[text, tokenized[position].prompt_tokens:len(ids)] = 1
            start, text = stop, text + 1
    return MicroBatch(positions, input_ids, position_ids, segment_ids, token_index, pooling_mask)


def _filled(row: PackedRow, lengths: Sequence[int]) -> int:
    return sum(lengths[position] for position in row)
