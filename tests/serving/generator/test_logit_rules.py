"""Biases and minimum lengths change the logits that they name and no other."""

import numpy as np
import pytest

from serving.generator.logit_rules import LogitBias, MinimumLength
from serving.generator.sampling_parameters import SamplingParameters


def test_a_bias_is_added_to_the_logits_of_its_tokens():
    logits = np.array([1, 2, 3], dtype=np.float32)
    bias = LogitBias(SamplingParameters(logit_bias=((0, 1.5), (2, -100.0))))
    assert not bias.is_off
    bias.apply(logits)
    assert logits.tolist() == [2.5, 2, -97]


def test_without_biases_there_is_nothing_to_apply():
    assert LogitBias(SamplingParameters()).is_off


@pytest.mark.parametrize(("min_tokens", "stop_ids", "token_count", "holds"), [
    (3, {1}, 2, True), (3, {1}, 3, False), (0, {1}, 0, False), (3, (), 0, False)])
def test_an_answer_is_held_until_it_has_its_tokens(min_tokens, stop_ids, token_count, holds):
    assert MinimumLength(min_tokens, stop_ids).holds(token_count) is holds


def test_ends_are_forbidden_unless_a_grammar_leaves_nothing_else():
    logits = np.array([1, 2, 3], dtype=np.float32)
    MinimumLength(1, {1, 2}).apply(logits)
    assert logits.tolist() == [1, -np.inf, -np.inf]
    only_end = np.array([-np.inf, 2, -np.inf], dtype=np.float32)
    MinimumLength(1, {1, 2}).apply(only_end)
    assert only_end.tolist() == [-np.inf, 2, -np.inf]
