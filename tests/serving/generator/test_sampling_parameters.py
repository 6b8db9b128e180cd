"""Sampling parameters: vLLM's names and defaults, and a clear error for everything else."""

import pytest

from serving.errors import InvalidGenerationError
from serving.generator.sampling_parameters import SamplingParameters, parse_sampling_parameters


def test_nothing_given_means_vllms_defaults():
    assert parse_sampling_parameters({}) == SamplingParameters(temperature=1.0, max_tokens=16, n=1, top_p=1.0)


def test_the_checkpoints_defaults_come_first_and_the_requests_values_win():
    defaults = {"temperature": 0.7, "top_k": 20, "transformers_version": "4"}
    assert parse_sampling_parameters({"top_k": 5}, defaults) == SamplingParameters(temperature=0.7, top_k=5)


def test_numbers_and_switches_may_be_strings_as_vllms_example_client_sends_them():
    given = {"temperature": "0.1", "max_tokens": "100", "ignore_eos": "true", "seed": "-3"}
    expected = SamplingParameters(temperature=0.1, max_tokens=100, ignore_eos=True, seed=-3)
    assert parse_sampling_parameters(given) == expected


def test_null_is_as_if_not_given():
    assert parse_sampling_parameters({"seed": None, "stop": None}) == SamplingParameters()


@pytest.mark.parametrize(("given", "expected"), [
    ({"stop": "a"}, {"stop": ("a",)}), ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
    ({"stop_token_ids": [1, "2"]}, {"stop_token_ids": (1, 2)}), ({"top_k": -1}, {"top_k": -1}),
    ({"guided_decoding": {"json": {"type": "object"}}}, {"json_schema": '{"type": "object"}'}),
    ({"guided_decoding": {"regex": "a+"}}, {"regex": "a+"}),
    ({"logit_bias": {"5": -100, 6: "1.5"}}, {"logit_bias": ((5, -100.0), (6, 1.5))}),
    ({"min_tokens": 16}, {"min_tokens": 16}),
])
def test_lists_and_grammars_are_converted(given, expected):
    assert parse_sampling_parameters(given) == SamplingParameters(**expected)


@pytest.mark.parametrize(("given", "words"), [
    ({"temperature": -0.1}, "temperature is -0.1; give a number from 0"),
    ({"temperature": float("nan")}, "temperature is nan"),
    ({"temperature": True}, "temperature is True"),
    ({"temperature": 10**400}, "temperature is 1000"),
    ({"top_p": 0}, "top_p is 0"),
    ({"top_p": 1.5}, "from 1e-09 to 1"),
    ({"top_k": 1.5}, "whole number"),
    ({"n": 0}, "n is 0; give a whole number from 1 to 16"),
    ({"n": 17}, "from 1 to 16"),
    ({"max_tokens": 0}, "max_tokens is 0"),
    ({"max_tokens": "many"}, "max_tokens is 'many'"),
    ({"seed": 1 << 64}, "seed is"),
    ({"ignore_eos": 1}, "give true or false"),
    ({"stop": ["x"] * 1000}, "stop has 1000 strings; give at most 64"),
    ({"stop": ["x" * 1000]}, "at most 256 characters"),
    ({"stop": [""]}, "none empty"),
    ({"stop": {"a": 1}}, "stop is"),
    ({"stop_token_ids": ["a"]}, "stop_token_ids is"),
    ({"logprobs": 21}, "from 0 to 20"),
    ({"logit_bias": [5]}, "logit_bias is [5]; give an object of at most 1024 token ids, each with a number"),
    ({"logit_bias": {str(token): 1 for token in range(1025)}}, "at most 1024 token ids"),
    ({"logit_bias": {"5": 100.1}}, "a number from -100 to 100"),
    ({"logit_bias": {"5": None}}, "a number from -100 to 100"),
    ({"logit_bias": {"five": 1}}, "give token ids"),
    ({"min_tokens": -1}, "min_tokens is -1; give a whole number from 0"),
    ({"min_tokens": 5, "max_tokens": 4}, "min_tokens is 5 but max_tokens is 4; give at most as many"),
    ({"min_tokens": 17}, "min_tokens is 17 but max_tokens is 16"),
    ({"guided_decoding": {"json": "{}", "regex": "a"}}, 'give {"json": SCHEMA}'),
    ({"guided_decoding": {"regex": 3}}, "guided_decoding.regex must be a string"),
    ({"temprature": 1}, "unknown sampling parameter 'temprature'; known: "),
])
def test_a_wrong_value_is_refused_with_its_name_and_what_it_may_be(given, words):
    with pytest.raises(InvalidGenerationError) as refusal:
        parse_sampling_parameters(given)
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 500
