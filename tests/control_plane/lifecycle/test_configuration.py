"""What an administrator may set: bounds are checked before anything is touched, and nothing is guessed."""

import pytest
from pydantic import ValidationError

from control_plane.lifecycle.configuration import ModelConfiguration
from export.contract import MAX_BATCH_SIZE

BOUNDS = {"instances": (1, 64), "max_batch_size": (1, MAX_BATCH_SIZE), "queue_delay_us": (0, 1_000_000),
          "max_queue_size": (0, 1_000_000), "queue_timeout_ms": (0, 3_600_000), "priority_levels": (0, 16)}


def test_the_table_of_this_test_has_every_field():
    assert set(ModelConfiguration.model_fields) == set(BOUNDS)


@pytest.mark.parametrize("field", BOUNDS)
def test_values_within_the_bounds_are_stated_and_others_refused(field):
    low, high = BOUNDS[field]
    for value in (low, high, float(high)):  # JSON does not tell 1 from 1.0.
        assert ModelConfiguration(**{field: value}).stated() == {field: value}
    for value in (low - 1, high + 1, "1", 1.5, True, [1]):
        with pytest.raises(ValidationError, match=field):
            ModelConfiguration(**{field: value})


def test_what_is_left_out_or_null_is_not_stated():
    assert ModelConfiguration().stated() == {}
    assert ModelConfiguration(instances=None, max_queue_size=0).stated() == {"max_queue_size": 0}


def test_a_field_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError, match="colour"):
        ModelConfiguration(colour=1)
