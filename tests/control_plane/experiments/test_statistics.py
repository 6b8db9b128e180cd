"""Against figures that others published: R's and those of the papers that the formulas are from."""

import pytest

from control_plane.experiments.statistics import (
    difference_interval,
    ratio_p_value,
    sample_sizes,
    share_interval,
)


def test_wilsons_interval_is_the_published_one():
    """Newcombe, Statistics in Medicine 17, 1998, pages 857 to 872: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for hits, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
                                    (1, 29, 0.0061, 0.1718)):
        found = share_interval(hits, trials)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
        assert found.value == hits / trials


def test_a_share_of_nothing_is_none_and_of_all_ends_at_one():
    assert share_interval(0, 0) is None
    assert share_interval(5, 5).high == 1.0


def test_newcombes_interval_is_the_published_one():
    """Newcombe, Statistics in Medicine 17, 1998, pages 873 to 890, table II."""
    for first, second, low, high in (((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090),
                                     ((10, 10), (0, 20), 0.6791, 1.0)):
        found = difference_interval(share_interval(*first), share_interval(*second))
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_a_split_is_judged_by_the_chi_squared_distribution():
    assert ratio_p_value(60, 100, 0.5) == pytest.approx(0.0455, abs=1e-4)   # chi squared 4
    assert ratio_p_value(10, 100, 0.1) == 1.0
    assert ratio_p_value(0, 0, 0.5) is None
    assert ratio_p_value(700, 1000, 0.5) < 1e-30


def test_sample_sizes_are_those_of_r():
    """power.prop.test(p1 = .5, p2 = .6, power = .8) says 387.3, and of .9 against .85 it says 685.6."""
    assert sample_sizes(0.5, 0.1, 0.5) == (388, 388)
    assert sample_sizes(0.9, 0.05, 0.5)[0] == 686


def test_a_small_share_needs_more_in_all_and_the_rarer_arm_less():
    control, treatment = sample_sizes(0.8, 0.05, 0.1)
    even = sample_sizes(0.8, 0.05, 0.5)[0]
    assert treatment < even < control
    assert treatment == pytest.approx(control / 9, abs=1)
