"""Cuts token rows into length-sorted micro-batches under a padded-token budget. Knows nothing of engines."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from serving.encoder.tokenization import TokenRow

# Rows x longest row of one micro-batch. Larger ones leave the core's cache, smaller ones pay the call more often;
# benchmarks/RESULTS.md has the measurement.
PADDED_TOKEN_BUDGET = 1024


@dataclass(frozen=True)
class MicroBatch:
    """Rows of similar length, padded to the longest."""

    positions: list[int]       # of the rows in the batch they were cut from
    input_ids: np.ndarray      # int64 [rows, tokens]
    attention_mask: np.ndarray  # int64 [rows, tokens]
    pooling_mask: np.ndarray   # int64 [rows, tokens]: the attention mask without the prompt

    @property
    def padded_tokens(self) -> int:
        """Tokens that the engine computes, padding included."""
        return self.input_ids.size


def plan_micro_batches(lengths: Sequence[int], streams: int, budget: int = PADDED_TOKEN_BUDGET) -> list[list[int]]:
    """Return groups of row positions, longest first, each under `budget` padded tokens (or a single row over it).

    With few rows the budget shrinks so that each of the `streams` that run at once gets a share of the work.
    """
    if not lengths:
        return []
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    limit = min(budget, max(ceil(sum(lengths) / streams), lengths[order[0]]))
    groups: list[list[int]] = []
    for position in order:
        group = groups[-1] if groups else []
        if group and lengths[group[0]] * (len(group) + 1) <= limit:
            group.append(position)
        else:
            groups.append([position])
    return groups


def assemble(rows: Sequence[TokenRow], positions: list[int], pad_token_id: int) -> MicroBatch:
    """Pad the rows at `positions` to the longest of them, on the right."""
    longest = max(len(rows[position].ids) for position in positions)
    input_ids = np.full((len(positions), longest), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros((len(positions), longest), dtype=np.int64)
    for row, position in enumerate(positions):
        ids = rows[position].ids
        input_ids[row, :len(ids)] = ids
        attention_mask[row, :len(ids)] = 1
    pooling_mask = attention_mask.copy()
    for row, position in enumerate(positions):
        pooling_mask[row, :rows[position].prompt_tokens] = 0
    return MicroBatch(positions, input_ids, attention_mask, pooling_mask)
