"""A request's parameters become options, or an error that names the parameter."""

import pytest

from serving.encoder.options import DEFAULT_OPTIONS, EncodeOptions, options_from_parameters
from serving.errors import InvalidOptionError


@pytest.mark.parametrize(("parameters", "expected"), [
    ({}, DEFAULT_OPTIONS),
    ({"prompt_name": "query"}, EncodeOptions(prompt_name="query")),
    ({"truncate": False}, EncodeOptions(truncate=False)),
    ({"normalize": True}, EncodeOptions(normalize=True)),
    ({"normalize": False, "truncate": True, "prompt_name": "p"}, EncodeOptions("p", True, False)),
    ({"truncate": "false", "normalize": "true"}, EncodeOptions(truncate=False, normalize=True)),
    ({"truncate": "FALSE", "normalize": "True"}, EncodeOptions(truncate=False, normalize=True)),
    ({"prompt_name": "true"}, EncodeOptions(prompt_name="true")),
    ({"priority": 3, "trace_id": "x"}, DEFAULT_OPTIONS),
])
def test_parameters_become_options_and_those_of_others_are_left_alone(parameters, expected):
    assert options_from_parameters(parameters) == expected


@pytest.mark.parametrize(("name", "value"), [
    ("truncate", 1), ("truncate", "no"), ("truncate", None), ("normalize", 0), ("normalize", "1"), ("normalize", 1.0),
    ("prompt_name", 5), ("prompt_name", True), ("prompt_name", ["query"]),
])
def test_a_parameter_of_the_wrong_type_is_named_with_its_value(name, value):
    with pytest.raises(InvalidOptionError, match=f"'{name}' must be a") as caught:
        options_from_parameters({name: value})
    assert repr(value) in str(caught.value)


def test_by_default_texts_are_truncated_and_the_manifest_decides_the_rest():
    assert (DEFAULT_OPTIONS.prompt_name, DEFAULT_OPTIONS.truncate, DEFAULT_OPTIONS.normalize) == (None, True, None)
