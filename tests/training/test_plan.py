import pytest

from training.plan import TrainingPlan


@pytest.mark.parametrize("change", [
    {"recipe": "magic"}, {"precision": "int8"}, {"test_share": 0.0}, {"calibration_share": 0.5}, {"epochs": 0},
    {"min_examples": 2}, {"most_set_aside": 0},
])
def test_what_makes_no_sense_is_refused_by_name(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        TrainingPlan(**change)
