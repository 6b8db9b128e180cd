import pytest

from control_plane.questions.prediction import uncertainty


@pytest.mark.parametrize(("scores", "thresholds", "expected"), [
    ({"wealth": 0.9, "career": 0.45}, {"wealth": 0.5, "career": 0.5}, 0.05),
    ({"wealth": 0.9, "career": 0.45}, {"wealth": 0.8, "career": 0.1}, 0.1),
    ({"wealth": 0.5}, {"wealth": 0.5}, 0.0),
    ({"wealth": 0.5}, {"career": 0.5}, 1.0),  # labels that nobody scored say nothing
    ({"wealth": 0.5}, {}, 1.0),
    ({}, {}, 1.0)])
def test_uncertainty_is_the_distance_of_the_closest_score_to_its_threshold(scores, thresholds, expected):
    assert uncertainty(scores, thresholds) == pytest.approx(expected)
