"""Sampling parameters of requests: what goes on, under vLLM's names, and that schema and validation agree."""

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from control_plane.generation.sampling import SamplingFields

SCHEMA = Draft202012Validator(SamplingFields.model_json_schema())


def test_only_what_was_given_goes_on():
    assert SamplingFields(min_tokens=2, logit_bias={"5": -100}, stop="。").sampling() == {
        "min_tokens": 2, "logit_bias": {"5": -100}, "stop": ["。"]}


@pytest.mark.parametrize("biases", [
    {"5": 100.5}, {"5": "1"}, {"5": None}, {"-5": 1}, {"five": 1}, {"5 ": 1}, {"1234567890": 1}, [5],
    {str(token): 1 for token in range(1025)}])
def test_biases_that_are_none_are_refused_by_validation_and_schema_alike(biases):
    assert not SCHEMA.is_valid({"logit_bias": biases})
    with pytest.raises(ValidationError, match="logit_bias"):
        SamplingFields(logit_bias=biases)


@pytest.mark.parametrize("biases", [{}, {"0": -100, "5": 1.5}, {str(token): 1 for token in range(1024)}])
def test_biases_that_are_some_are_taken_by_both(biases):
    assert SCHEMA.is_valid({"logit_bias": biases})
    assert SamplingFields(logit_bias=biases).logit_bias == biases
