"""Micro-batches: every row once, sorted, under the budget, padded on the right."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.encoder.batching import PADDED_TOKEN_BUDGET, assemble, plan_micro_batches
from serving.encoder.tokenization import TokenRow

LENGTHS = st.lists(st.integers(min_value=1, max_value=600), max_size=150)
STREAMS = st.integers(min_value=1, max_value=64)
BUDGETS = st.integers(min_value=1, max_value=4096)


@given(LENGTHS, STREAMS, BUDGETS)
def test_every_row_is_in_exactly_one_group(lengths, streams, budget):
    groups = plan_micro_batches(lengths, streams, budget)
    assert sorted(position for group in groups for position in group) == list(range(len(lengths)))
    assert all(groups)


@given(LENGTHS, STREAMS, BUDGETS)
def test_a_group_stays_under_the_budget_or_is_a_single_row(lengths, streams, budget):
    for group in plan_micro_batches(lengths, streams, budget):
        assert len(group) == 1 or len(group) * max(lengths[position] for position in group) <= budget


@given(LENGTHS, STREAMS, BUDGETS)
def test_rows_are_sorted_by_length_the_longest_first(lengths, streams, budget):
    order = [lengths[position] for group in plan_micro_batches(lengths, streams, budget) for position in group]
    assert order == sorted(order, reverse=True)


@given(LENGTHS, STREAMS, BUDGETS)
def test_no_group_holds_more_than_its_streams_share_unless_one_row_does(lengths, streams, budget):
    share = max(ceil(sum(lengths) / streams), max(lengths, default=0))
    for group in plan_micro_batches(lengths, streams, budget):
        assert len(group) * lengths[group[0]] <= share


@given(LENGTHS, STREAMS)
def test_a_group_is_full_before_the_next_one_begins(lengths, streams):
    groups = plan_micro_batches(lengths, streams)
    limit = min(PADDED_TOKEN_BUDGET, max(ceil(sum(lengths) / streams), max(lengths, default=0)))
    for group in groups[:-1]:
        assert (len(group) + 1) * lengths[group[0]] > limit


@pytest.mark.parametrize(("lengths", "streams", "expected"), [
    ([], 2, []),
    ([5], 2, [[0]]),
    ([3, 9, 3], 1, [[1], [0, 2]]),       # 15 tokens in all: 9 and another 9 would be 18
    ([4, 4, 4, 4], 2, [[0, 1], [2, 3]]),  # one group for each stream
    ([4, 4, 4, 4], 1, [[0, 1, 2, 3]]),
    ([2000, 2000, 10], 1, [[0], [1], [2]]),
])
def test_a_few_plans(lengths, streams, expected):
    assert plan_micro_batches(lengths, streams) == expected


def test_rows_are_padded_on_the_right_to_the_longest_of_their_group():
    rows = [TokenRow([7]), TokenRow([1, 2, 3]), TokenRow([4, 5])]
    batch = assemble(rows, [1, 2], pad_token_id=9)
    assert batch.positions == [1, 2]
    assert batch.input_ids.tolist() == [[1, 2, 3], [4, 5, 9]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.pooling_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert {array.dtype for array in (batch.input_ids, batch.attention_mask, batch.pooling_mask)} == {np.dtype("int64")}
    assert batch.padded_tokens == 6


def test_the_prompt_is_left_out_of_the_pooling_mask_row_by_row():
    rows = [TokenRow([1, 2, 3, 4], prompt_tokens=2), TokenRow([1, 2, 3])]
    batch = assemble(rows, [0, 1], pad_token_id=0)
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.pooling_mask.tolist() == [[0, 0, 1, 1], [1, 1, 1, 0]]
