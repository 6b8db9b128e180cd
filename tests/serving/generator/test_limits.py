"""What memory leaves of the settings."""

import pytest

from serving.errors import VersionLoadError
from serving.generator.limits import MIB, EngineSettings, plan_limits, read_settings

TOKEN_BYTES = 46_080  # SmolLM2-135M: 30 layers, 3 heads of 64 float32 numbers, keys and values.


def planned(token_bytes: int = TOKEN_BYTES, model_tokens: int = 8192, **settings) -> tuple[int, int]:
    limits = plan_limits(EngineSettings(**settings), model_tokens, token_bytes)
    assert limits.cache_bytes <= EngineSettings(**settings).memory_mb * MIB
    return limits.slots, limits.context_tokens


@pytest.mark.parametrize(("settings", "expected"), [
    ({}, (8, 2048)), ({"memory_mb": 400}, (4, 2048)), ({"memory_mb": 50}, (1, 1137)), ({"slots": 2}, (2, 2048)),
    ({"context_tokens": 100_000, "memory_mb": 4096}, (8, 8192)), ({"model_tokens": 256}, (8, 256)),
])
def test_fewer_slots_come_first_and_then_a_shorter_context(settings, expected):
    assert planned(**settings) == expected


def test_too_little_memory_is_refused_with_the_figures():
    with pytest.raises(VersionLoadError, match=r"memory_mb 1 holds 0 tokens of 2097152 bytes"):
        planned(token_bytes=2 * MIB, memory_mb=1)


def test_parameters_of_the_configuration_are_read_and_others_left_alone():
    assert read_settings({"slots": "3", "cpu_threads": "x"}) == EngineSettings(slots=3)


def test_threads_may_be_told_not_to_spin():
    assert read_settings({"spin_us": "0"}).spin_us == 0
    with pytest.raises(VersionLoadError, match=r"spin_us of config\.pbtxt is '-1'; .* at least 0"):
        read_settings({"spin_us": "-1"})


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "1.5"])
def test_a_parameter_that_is_no_number_is_refused_by_name(value):
    with pytest.raises(VersionLoadError, match=r"parameter queue_length of config\.pbtxt"):
        read_settings({"queue_length": value})
