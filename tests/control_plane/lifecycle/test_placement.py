"""A placement is a value: equal by what it says, never changed."""

from dataclasses import FrozenInstanceError

import pytest

from control_plane.lifecycle.placement import Placement


def test_placements_are_equal_by_what_they_say():
    assert Placement("tiny", (1,), {"instances": 2}) == Placement("tiny", (1,), {"instances": 2})
    assert Placement("tiny", (1,)) != Placement("tiny", (1,), {"instances": 2})
    assert Placement("tiny") == Placement("tiny", (), {})


def test_a_placement_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Placement("tiny").versions = (1,)
