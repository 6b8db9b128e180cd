"""Free slots of one target out of our own count and figures that are never quite of now."""

import pytest

from control_plane.generation.target_load import FRESH_S, LOOK_S, TargetLoad
from control_plane.triton_metrics import GeneratorLoad

TINY, OLD = ("tiny", 2), ("tiny", 1)


@pytest.fixture
def load():
    return TargetLoad()


def look(load: TargetLoad, now_s: float, running: int = 0, waiting: int = 0, slots: int = 4) -> None:
    """Read figures of version 2 at `now_s`."""
    load.tell({TINY: GeneratorLoad(running, waiting, slots)}, load.begin_look(now_s), now_s)


def test_what_has_told_nothing_has_the_usual_slots_less_our_own(load):
    assert load.free_slots(TINY, 0) == 8
    load.enter(TINY, 3)
    assert load.free_slots(TINY, 0) == 5
    load.leave(TINY, 3)
    assert load.free_slots(TINY, 0) == 8


def test_each_version_has_slots_of_its_own(load):
    look(load, 0, running=4)
    assert (load.free_slots(TINY, 0), load.free_slots(OLD, 0)) == (0, 8)


def test_who_waits_has_a_slot_before_us(load):
    look(load, 0, running=4, waiting=2)
    load.enter(TINY, 1)
    assert load.free_slots(TINY, 0) == -3


def test_our_own_sequences_count_once(load):
    load.enter(TINY, 2)
    look(load, 0, running=3)
    assert load.free_slots(TINY, 0) == 1
    load.enter(TINY, 1)
    assert load.free_slots(TINY, 0) == 0


def test_figures_that_do_not_know_our_newest_ones_yet_take_nothing_from_others(load):
    load.enter(TINY, 2)
    look(load, 0, running=0)
    assert load.free_slots(TINY, 0) == 2


def test_figures_that_still_have_what_has_left_are_not_taken_for_others(load):
    look(load, 0)
    load.enter(TINY, 3)
    load.leave(TINY, 3)
    look(load, LOOK_S, running=3)
    assert load.free_slots(TINY, LOOK_S) == 4
    # By the next look it would have been told.
    look(load, 2 * LOOK_S, running=3)
    assert load.free_slots(TINY, 2 * LOOK_S) == 1


def test_what_left_before_a_pause_is_no_longer_in_the_figures(load):
    look(load, 0)
    load.enter(TINY, 3)
    load.leave(TINY, 3)
    look(load, FRESH_S + 1, running=3)
    assert load.free_slots(TINY, FRESH_S + 1) == 1


def test_old_figures_say_nothing_about_others_but_how_many_slots_there_are(load):
    look(load, 0, running=4)
    assert (load.is_fresh(FRESH_S), load.free_slots(TINY, FRESH_S)) == (True, 0)
    assert (load.is_fresh(FRESH_S + 0.1), load.free_slots(TINY, FRESH_S + 0.1)) == (False, 4)


def test_nobody_looks_twice_within_a_second(load):
    assert load.begin_look(0) is not None
    assert load.begin_look(LOOK_S - 0.1) is None
    assert load.begin_look(LOOK_S) is not None
