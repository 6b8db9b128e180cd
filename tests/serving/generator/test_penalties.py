"""Penalties, against vLLM's definitions."""

import numpy as np
import pytest

from serving.generator.penalties import Penalties
from serving.generator.sampling_parameters import SamplingParameters


def penalized(prompt, answer, **parameters) -> list[float]:
    penalties = Penalties(SamplingParameters(**parameters), np.array(prompt))
    for token in answer:
        penalties.count(token)
    logits = np.array([2.0, -2.0, 2.0, 2.0], dtype=np.float32)
    penalties.apply(logits)
    return logits.tolist()


def test_repetition_sees_prompt_and_answer_and_divides_or_multiplies():
    assert penalized([0, 1], [2, 2], repetition_penalty=2.0) == [1, -4, 1, 2]


def test_presence_and_frequency_see_the_answer_only():
    assert penalized([0], [1, 2, 2], presence_penalty=0.5) == [2, -2.5, 1.5, 2]
    assert penalized([0], [1, 2, 2], frequency_penalty=0.5) == [2, -2.5, 1, 2]


def test_all_of_them_add_up():
    result = penalized([0], [2], repetition_penalty=2.0, presence_penalty=0.25, frequency_penalty=0.5)
    assert result == pytest.approx([1, -2, 0.25, 2])


@pytest.mark.parametrize(("parameters", "off"), [({}, True), ({"presence_penalty": 0.1}, False),
                                                 ({"repetition_penalty": 1.1}, False)])
def test_they_know_when_there_is_nothing_to_do(parameters, off):
    assert Penalties(SamplingParameters(**parameters), np.array([1])).are_off is off
