"""Krippendorff's alpha against published figures, and the distance between sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.labelling.agreement import krippendorff_alpha, masi_distance, measure_agreement, nominal_distance

SETS = st.frozensets(st.sampled_from("abcd"), max_size=3)
# K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C: four observers, None is missing.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def test_alpha_is_the_published_one():
    units = [[value for value in unit if value is not None] for unit in zip(*OBSERVERS, strict=True)]
    assert krippendorff_alpha(units, nominal_distance) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(units, lambda a, b: (a - b) ** 2) == pytest.approx(0.849, abs=5e-4)


def test_two_observers_as_in_the_paper():
    # Section B of the same paper: nominal data, two observers.
    one, other = "aabbdcccedda", "babbbccceddd"
    assert krippendorff_alpha(list(zip(one, other, strict=True)), nominal_distance) == pytest.approx(0.692, abs=5e-4)


@pytest.mark.parametrize("units", [[], [["a"]], [["a", "a"], ["a", "a"]]])
def test_without_variation_alpha_is_not_defined(units):
    assert krippendorff_alpha(units, nominal_distance) is None


def test_systematic_disagreement_is_below_chance():
    assert krippendorff_alpha([["a", "b"], ["b", "a"]], nominal_distance) < 0


@pytest.mark.parametrize(("one", "other", "distance"), [
    ("", "", 0), ("a", "a", 0), ("a", "", 1), ("a", "b", 1), ("ab", "a", 1 - 1 / 2 * 2 / 3),
    ("ab", "bc", 1 - 1 / 3 * 1 / 3)])
def test_masi_is_passonneaus(one, other, distance):
    assert masi_distance(frozenset(one), frozenset(other)) == pytest.approx(distance)


@given(SETS, SETS)
def test_masi_is_symmetric_and_between_0_and_1(one, other):
    assert masi_distance(one, other) == masi_distance(other, one)
    assert 0 <= masi_distance(one, other) <= 1
    assert (masi_distance(one, other) == 0) == (one == other)


@given(st.lists(st.lists(SETS, max_size=4), max_size=8))
def test_alpha_is_never_above_1_and_is_1_only_without_disagreement(units):
    alpha = krippendorff_alpha(units, masi_distance)
    agrees = all(len(set(unit)) < 2 for unit in units)
    assert alpha is None or alpha <= 1
    if alpha is not None:
        assert (alpha == 1) == agrees


def test_agreement_is_measured_over_all_labels_and_for_each():
    wealth, both, none = frozenset({"wealth"}), frozenset({"wealth", "love"}), frozenset()
    found = measure_agreement([[wealth, wealth], [both, wealth], [none, none], [wealth]], ["love", "wealth", "health"])
    assert (found.questions, found.annotations) == (3, 6)
    assert found.by_label["wealth"] == 1
    assert found.by_label["love"] == pytest.approx(0)
    assert found.by_label["health"] is None
    assert 0 < found.alpha < 1
