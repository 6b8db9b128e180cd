"""Packing: every text once, rows and groups within their bounds, the streams' shares alike, the tensors laid out."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.encoder.packing import (
    ATTENTION_COST,
    CALL_TOKENS,
    ROW_TOKENS,
    TOKEN_BUDGET,
    assemble,
    plan_micro_batches,
)
from serving.encoder.tokenization import TokenRow

ROW_MULTIPLE = 16
# Short texts share rows, long ones have their own; both kinds, and many of one length, come together.
LENGTHS = st.lists(st.integers(1, 600) | st.integers(1, 40) | st.just(12), max_size=150)
STREAMS = st.integers(min_value=1, max_value=64)
TOKENIZED = st.lists(st.builds(lambda ids, prompt_tokens: TokenRow(ids, min(prompt_tokens, len(ids))),
                               st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 5)),
                     min_size=1, max_size=40)


@given(LENGTHS, STREAMS)
def test_every_text_is_in_exactly_one_row_of_one_group(lengths, streams):
    groups = plan_micro_batches(lengths, streams)
    assert sorted(position for group in groups for row in group for position in row) == list(range(len(lengths)))
    assert all(groups)
    assert all(row for group in groups for row in group)


@given(LENGTHS, STREAMS)
def test_a_row_holds_no_more_than_the_longest_length_tried_or_is_one_longer_text(lengths, streams):
    for group in plan_micro_batches(lengths, streams):
        for row in group:
            assert len(row) == 1 or _filled(row, lengths) <= max(ROW_TOKENS)


@given(LENGTHS)
def test_no_two_rows_of_a_stream_would_fit_into_one(lengths):
    rows = [row for group in plan_micro_batches(lengths, streams=1) for row in group]
    filled = sorted(_filled(row, lengths) for row in rows)
    packed = [_filled(row, lengths) for row in rows if len(row) > 1]
    assert any(max(packed, default=0) <= row_tokens < sum(filled[:2]) for row_tokens in ROW_TOKENS) or len(rows) < 2


@given(LENGTHS, STREAMS)
def test_a_group_stays_under_the_budget_or_is_a_single_row(lengths, streams):
    for group in plan_micro_batches(lengths, streams):
        assert len(group) == 1 or len(group) * _row_tokens(group, lengths) <= TOKEN_BUDGET


@given(LENGTHS, STREAMS)
def test_rows_of_a_group_are_padded_by_no_more_than_another_call_would_cost(lengths, streams):
    for group in plan_micro_batches(lengths, streams):
        filled = sorted((_filled(row, lengths) for row in group), reverse=True)
        assert sum(_row_tokens(group, lengths) - tokens for tokens in filled[1:]) <= CALL_TOKENS


@given(LENGTHS)
def test_a_group_is_full_before_the_next_one_begins(lengths):
    groups = [sorted((_filled(row, lengths) for row in group), reverse=True)
              for group in plan_micro_batches(lengths, streams=1)]
    groups.sort(key=lambda filled: (filled[0], filled[-1], len(filled)), reverse=True)
    for group, following in pairwise(groups):
        row_tokens = _rounded(group[0])
        padding = sum(row_tokens - tokens for tokens in [*group[1:], following[0]])
        assert row_tokens * (len(group) + 1) > TOKEN_BUDGET or padding > CALL_TOKENS


@given(LENGTHS, STREAMS)
def test_every_stream_has_something_to_do(lengths, streams):
    assert len(plan_micro_batches(lengths, streams)) >= min(streams, len(lengths))


@given(LENGTHS, STREAMS)
def test_no_group_holds_more_than_its_streams_share_and_one_text(lengths, streams):
    for group in plan_micro_batches(lengths, streams):
        assert sum(_filled(row, lengths) for row in group) <= sum(lengths) / streams + max(lengths)


@given(LENGTHS.filter(lambda lengths: sum(lengths) <= 500 and len(lengths) > 1))
def test_the_shares_of_two_streams_differ_by_no_more_than_the_longest_text(lengths):
    groups = plan_micro_batches(lengths, streams=2)
    loads = [sum(_filled(row, lengths) for row in group) for group in groups]
    # Which stream a group was packed for is not told; some way of dealing the groups out has to be that fair.
    sums = {0}
    for load in loads:
        sums |= {tokens + load for tokens in sums}
    assert min(abs(sum(loads) - 2 * tokens) for tokens in sums) <= max(lengths)


@given(LENGTHS, STREAMS)
def test_the_costliest_group_comes_first(lengths, streams):
    costs = [_cost(group, lengths) for group in plan_micro_batches(lengths, streams)]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize(("lengths", "streams", "expected"), [
    ([], 2, []),
    ([5], 2, [[[0]]]),
    ([3, 9, 3], 1, [[[1, 0, 2]]]),                  # one row of 15 tokens
    ([4, 4, 4, 4], 2, [[[0, 2]], [[1, 3]]]),        # one group for each stream
    ([4, 4, 4, 4], 1, [[[0, 1, 2, 3]]]),
    ([10, 2000, 2000], 1, [[[2]], [[1]], [[0]]]),   # longer than a row, longer than the budget
    ([64] * 3 + [32] * 2, 1, [[[3, 4], [2], [1], [0]]]),
    ([200, 175], 1, [[[0]], [[1]]]),                # 33 tokens of padding would cost more than another call
    ([200, 180], 1, [[[0], [1]]]),
    ([50, 14] * 3, 1, [[[4, 5], [2, 3], [0, 1]]]),  # rows that are exactly full
    ([64] * 17, 1, [[[text] for text in range(16, 0, -1)], [[0]]]),  # a group that is exactly full
])
def test_a_few_plans(lengths, streams, expected):
    assert plan_micro_batches(lengths, streams) == expected


@pytest.mark.parametrize(("lengths", "most"), [
    ([12] * 128, 1.10), ([9, 17, 25, 33] * 32, 1.05), ([*range(3, 131)], 1.05), ([16] * 128, 1.0)])
def test_many_texts_are_computed_with_little_padding(lengths, most):
    padded = sum(len(group) * _row_tokens(group, lengths) for group in plan_micro_batches(lengths, streams=2))
    assert sum(lengths) <= padded <= most * sum(lengths)


def test_texts_lie_one_after_another_and_rows_are_padded_on_the_right():
    tokenized = [TokenRow([7]), TokenRow([1, 2, 3]), TokenRow([4, 5])]
    batch = assemble(tokenized, [[1, 0], [2]], pad_token_id=9)
    assert batch.positions == [1, 0, 2]
    assert batch.input_ids.tolist() == [[1, 2, 3, 7, *[9] * 12], [4, 5, *[9] * 14]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, *[0] * 12], [0, 1, *[0] * 14]]
    assert batch.segment_ids.tolist() == [[0, 0, 0, 1, *[-1] * 12], [0, 0, *[-1] * 14]]
    assert batch.token_index.tolist() == [[0, 1, 2], [3, 0, 0], [16, 17, 0]]
    assert batch.pooling_mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert batch.padded_tokens == 32


def test_the_prompt_is_left_out_of_the_pooling_mask_text_by_text():
    tokenized = [TokenRow([1, 2, 3, 4], prompt_tokens=2), TokenRow([1, 2, 3])]
    batch = assemble(tokenized, [[0, 1]], pad_token_id=0)
    assert batch.segment_ids.tolist() == [[0, 0, 0, 0, 1, 1, 1, *[-1] * 9]]
    assert batch.pooling_mask.tolist() == [[0, 0, 1, 1], [1, 1, 1, 0]]


@given(TOKENIZED, st.integers(1, 3))
def test_the_tensors_hold_every_text_where_the_token_index_says(tokenized, streams):
    for group in plan_micro_batches([len(text.ids) for text in tokenized], streams):
        batch = assemble(tokenized, group, pad_token_id=11)
        rows, row_tokens = batch.input_ids.shape
        assert rows == len(group)
        assert row_tokens == _row_tokens(group, [len(text.ids) for text in tokenized])
        assert batch.padded_tokens == rows * row_tokens
        assert batch.positions == [position for row in group for position in row]
        segments = [(row, segment) for row, members in enumerate(group) for segment in range(len(members))]
        for text, (position, segment) in enumerate(zip(batch.positions, segments, strict=True)):
            _assert_laid_out(batch, text, tokenized[position], segment)
        padding = batch.segment_ids == -1
        assert padding.sum() == batch.padded_tokens - sum(len(tokenized[position].ids) for position in batch.positions)
        assert (batch.input_ids[padding] == 11).all()
        assert (batch.position_ids[padding] == 0).all()


def test_every_tensor_is_int64():
    batch = assemble([TokenRow([1, 2])], [[0]], pad_token_id=0)
    tensors = (batch.input_ids, batch.position_ids, batch.segment_ids, batch.token_index, batch.pooling_mask)
    assert {tensor.dtype for tensor in tensors} == {np.dtype("int64")}


def _assert_laid_out(batch, text: int, tokens: TokenRow, segment: tuple[int, int]) -> None:
    """Assert that the text's places hold its tokens, counted from 0, in its own row and segment, without its prompt."""
    count = len(tokens.ids)
    index = batch.token_index[text, :count]
    assert batch.input_ids.ravel()[index].tolist() == tokens.ids
    assert batch.position_ids.ravel()[index].tolist() == list(range(count))
    places = np.argwhere(batch.segment_ids.ravel() == segment[1]).ravel()
    assert index.tolist() == [place for place in places if place // batch.input_ids.shape[1] == segment[0]]
    expected = [0] * tokens.prompt_tokens + [1] * (count - tokens.prompt_tokens)
    assert batch.pooling_mask[text].tolist() == expected + [0] * (batch.pooling_mask.shape[1] - count)
    assert (batch.token_index[text] < batch.padded_tokens).all()


def _filled(row: list[int], lengths: list[int]) -> int:
    return sum(lengths[position] for position in row)


def _row_tokens(group: list[list[int]], lengths: list[int]) -> int:
    return _rounded(max(_filled(row, lengths) for row in group))


def _rounded(tokens: int) -> int:
    return -(-tokens // ROW_MULTIPLE) * ROW_MULTIPLE


def _cost(group: list[list[int]], lengths: list[int]) -> float:
    row_tokens = _row_tokens(group, lengths)
    return CALL_TOKENS + len(group) * row_tokens * (1 + ATTENTION_COST * row_tokens)
