"""Sampling: distributions, limits and seeds, against plain definitions of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.generator.sampling import TokenSampler, likeliest
from serving.generator.sampling_parameters import SamplingParameters

LOGITS = np.log(np.array([0.4, 0.3, 0.15, 0.1, 0.04, 0.01], dtype=np.float32))


def draw(count: int = 300, logits: np.ndarray = LOGITS, **parameters) -> list[int]:
    sampler = TokenSampler(SamplingParameters(**{"seed": 1, **parameters}), 0)
    return [sampler.choose(logits) for _ in range(count)]


def test_temperature_0_takes_the_likeliest():
    assert set(draw(temperature=0)) == {0}


def test_samples_follow_the_distribution():
    shares = np.bincount(draw(20_000), minlength=6) / 20_000
    assert np.abs(shares - np.exp(LOGITS)).max() < 0.015


def test_temperature_flattens_the_distribution():
    shares = np.bincount(draw(20_000, temperature=2), minlength=6) / 20_000
    flat = np.exp(LOGITS / 2)
    assert np.abs(shares - flat / flat.sum()).max() < 0.015


@pytest.mark.parametrize(("parameters", "left"), [
    ({"top_k": 2}, {0, 1}), ({"top_k": 1}, {0}), ({"top_k": -1}, {0, 1, 2, 3, 4, 5}),
    ({"top_k": 60}, {0, 1, 2, 3, 4, 5}),
    ({"top_p": 0.41}, {0, 1}), ({"top_p": 0.39}, {0}), ({"top_p": 1e-9}, {0}), ({"top_p": 0.84}, {0, 1, 2}),
    ({"min_p": 0.3}, {0, 1, 2}), ({"min_p": 1.0}, {0}), ({"top_k": 3, "top_p": 0.5}, {0, 1}),
])
def test_limits_leave_the_likeliest_tokens_only(parameters, left):
    assert set(draw(2000, **parameters)) == left


@given(st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=50), st.floats(0.01, 0.99))
def test_the_nucleus_is_the_fewest_tokens_that_hold_the_weight(values, top_p):
    logits = np.array(values, dtype=np.float32)
    probabilities = np.exp(logits.astype(float) - logits.max())
    probabilities /= probabilities.sum()
    smallest = min(probabilities[token] for token in draw(40, logits, top_p=top_p))
    # Every token that is likelier than one that came must not hold the whole weight by itself already.
    assert probabilities[probabilities > smallest * (1 + 1e-5)].sum() < top_p + 1e-5


def test_tokens_at_minus_infinity_never_come():
    masked = LOGITS.copy()
    masked[[0, 1, 3]] = -np.inf
    assert set(draw(500, masked)) <= {2, 4, 5}


def test_the_same_seed_gives_the_same_tokens_and_sequences_of_a_request_differ():
    def tokens(seed, index):
        sampler = TokenSampler(SamplingParameters(seed=seed), index)
        return [sampler.choose(LOGITS) for _ in range(50)]

    assert tokens(5, 0) == tokens(5, 0)
    assert tokens(-5, 0) == tokens(-5, 0)
    assert len({tuple(tokens(seed, index)) for seed in (5, 6, None) for index in (0, 1)}) == 6


def test_logprobs_are_of_the_chosen_token_and_the_likeliest_others():
    told = likeliest(LOGITS, 2, 3)
    assert [(item.token, item.rank) for item in told] == [(2, 3), (0, 1), (1, 2)]
    assert [item.logprob for item in told] == pytest.approx(np.log([0.15, 0.4, 0.3]), abs=1e-5)
    assert [item.token for item in likeliest(LOGITS, 5, 0)] == [5]
