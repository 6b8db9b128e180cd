"""What a load request says: the file, the administrator's values over it, the versions, and which placement it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import ModelLoadError
from control_plane.lifecycle.configuration import ModelConfiguration
from control_plane.lifecycle.placement import Placement
from control_plane.triton_config import PLACEMENT_PARAMETER, load_config, placement_digest
from tests.control_plane.fakes import CONFIG

BATCHING = CONFIG + "max_batch_size: 64\ndynamic_batching { max_queue_delay_microseconds: 50 }\n"


def _config(text: str = CONFIG, versions: tuple[int, ...] = (1,), **configuration: int) -> dict:
    return json.loads(load_config(text, Placement("tiny", versions, configuration)))


def test_the_file_goes_out_with_the_versions_and_its_digest():
    config = _config(versions=(2, 10))
    assert config["backend"] == "text_encoder"
    assert config["instance_group"] == [{"count": 2, "kind": "KIND_CPU"}]
    assert config["version_policy"] == {"specific": {"versions": ["2", "10"]}}
    assert config["parameters"][PLACEMENT_PARAMETER] == {
        "string_value": placement_digest(CONFIG, Placement("tiny", (2, 10)))}


def test_nothing_that_was_not_asked_for_is_configured():
    assert set(_config()) == {"backend", "instance_group", "version_policy", "parameters"}
    assert _config(BATCHING)["dynamic_batching"] == {"max_queue_delay_microseconds": "50"}


def test_the_administrators_values_go_over_those_of_the_file():
    config = _config(BATCHING, instances=3, max_batch_size=8, queue_delay_us=100, max_queue_size=7,
                     queue_timeout_ms=250, priority_levels=4)
    assert config["instance_group"] == [{"count": 3, "kind": "KIND_CPU"}]
    assert config["max_batch_size"] == 8
    batching = config["dynamic_batching"]
    assert batching["max_queue_delay_microseconds"] == "100"
    assert batching["default_queue_policy"] == {"max_queue_size": 7, "default_timeout_microseconds": "250000"}
    assert (batching["priority_levels"], batching["default_priority_level"]) == ("4", "2")


@pytest.mark.parametrize("levels", range(1, 17))
def test_requests_without_a_priority_get_one_that_exists(levels):
    assert 1 <= int(_config(priority_levels=levels)["dynamic_batching"]["default_priority_level"]) <= levels


@pytest.mark.parametrize("text", ["backend: ", "colour: 'red'", "max_batch_size: 'many'", "{", "\x00"])
def test_a_file_that_is_no_configuration_names_the_model_and_the_place(text):
    with pytest.raises(ModelLoadError, match=r"model 'tiny': config\.pbtxt cannot be read: "):
        _config(text)


configurations = st.builds(
    lambda **values: ModelConfiguration(**values).stated(), instances=st.none() | st.integers(1, 64),
    max_queue_size=st.none() | st.integers(0, 9), priority_levels=st.none() | st.integers(0, 16))
placements = st.builds(Placement, st.just("tiny"), st.sets(st.integers(1, 4)).map(lambda versions: tuple(
    sorted(versions))), configurations)
texts = st.sampled_from([CONFIG, BATCHING])


@given(texts, placements, texts, placements)
def test_digests_tell_exactly_what_differs(text, placement, other_text, other):
    is_same = (text, placement) == (other_text, other)
    assert (placement_digest(text, placement) == placement_digest(other_text, other)) == is_same


def test_a_digest_does_not_go_by_the_order_in_which_values_were_given():
    one = Placement("tiny", (1,), {"instances": 1, "max_batch_size": 2})
    other = Placement("tiny", (1,), {"max_batch_size": 2, "instances": 1})
    assert placement_digest(CONFIG, one) == placement_digest(CONFIG, other)
