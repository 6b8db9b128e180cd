"""The page of weak spots stays true: what is said to be missed is, and what is said to be masked by mistake is."""

import pytest

from benchmarks.masking_weak_spots import WEAK_SPOTS
from control_plane.privacy.masking import mask_personal_data


@pytest.mark.parametrize("spot", WEAK_SPOTS, ids=lambda spot: spot.example)
def test_known_weak_spots_are_as_described(spot):
    assert bool(mask_personal_data(spot.example).counts) != spot.is_missed
