"""Scores under other names decide as they did before, and labels that became one hold where one of them does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.recognition.recognition import Scores

LABELS = ("a", "b", "c")
shares = st.floats(0, 1).map(lambda share: round(share, 2))
scores = st.builds(lambda given, thresholds: Scores(dict(zip(LABELS, given, strict=True)),
                                                    dict(zip(LABELS, thresholds, strict=True)), "1"),
                   st.tuples(shares, shares, shares), st.tuples(shares, shares, shares))


@given(scores, st.fixed_dictionaries({label: st.sampled_from("xyz") for label in LABELS}))
def test_a_name_holds_where_one_of_its_labels_does_and_has_the_largest_score(before, names):
    after = before.under(names)
    assert set(after.held()) == {names[label] for label in before.held()}
    assert after.scores == {name: max(before.scores[label] for label in LABELS if names[label] == name)
                            for name in names.values()}
    assert after.thresholds.keys() == after.scores.keys()


@given(scores)
def test_under_the_same_names_nothing_changes(before):
    assert before.under({label: label for label in LABELS}) is before


@pytest.mark.parametrize(("a", "b", "threshold"), [(0.45, 0.6, 0.4), (0.3, 0.6, 0.8), (0.45, 0.9, 0.4)])
def test_the_threshold_is_the_lowest_of_those_that_hold_or_that_of_the_largest_score(a, b, threshold):
    found = Scores({"a": a, "b": b}, {"a": 0.4, "b": 0.8}, "1").under({"a": "x", "b": "x"})
    assert (found.scores, found.thresholds) == ({"x": b}, {"x": threshold})
