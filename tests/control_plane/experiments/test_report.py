"""The report says what the counts and labels say, and when they say nothing."""

import pytest

from control_plane.experiments.arm_counts import ArmCounts
from control_plane.experiments.report import read_report
from control_plane.experiments.tables import CONTROL, TREATMENT, ExperimentRow

ROW = ExperimentRow(id="e", kind="ab", share=0.5, control_version=1, treatment_version=2, min_difference=0.05)
SHADOW_ROW = ExperimentRow(id="e", kind="shadow", share=1.0, control_version=1, treatment_version=2,
                           min_difference=0.05)


class Known:
    """Stands for the store: what is known of each arm."""

    def __init__(self, counts=None, labels=None, subjects=None) -> None:
        self._counts = {CONTROL: ArmCounts(), TREATMENT: ArmCounts(), **(counts or {})}
        self._labels, self._subjects = labels or {}, subjects or {}

    def counts(self, experiment_id: str):
        return self._counts

    def count_agreement(self, variant: str):
        return self._labels.get(variant.partition(":")[2], (0, 0))

    def count_subjects(self, variant: str):
        return self._subjects.get(variant.partition(":")[2], 0)


def test_without_anything_it_claims_nothing_and_says_what_is_needed():
    report = read_report(Known(), ROW)
    assert report.arms[CONTROL].agreement is None
    assert set(report.differences.values()) == {None}
    assert (report.split.p_value, report.split.is_mismatch, report.is_conclusive) == (None, False, False)
    assert report.sample_size[CONTROL].needed == report.sample_size[CONTROL].missing > 1000


def test_a_clear_difference_is_conclusive():
    report = read_report(Known(labels={CONTROL: (1000, 700), TREATMENT: (1000, 800)},
                               subjects={CONTROL: 501, TREATMENT: 499}), ROW)
    assert report.differences["agreement"].value == pytest.approx(0.1)
    assert report.is_conclusive
    assert report.sample_size[TREATMENT].missing == report.sample_size[TREATMENT].needed - 1000


def test_a_small_difference_is_not():
    report = read_report(Known(labels={CONTROL: (100, 70), TREATMENT: (100, 72)}), ROW)
    assert report.differences["agreement"].low < 0 < report.differences["agreement"].high
    assert not report.is_conclusive


def test_a_broken_split_makes_any_difference_worthless():
    report = read_report(Known(labels={CONTROL: (1000, 700), TREATMENT: (1000, 800)},
                               subjects={CONTROL: 600, TREATMENT: 400}), ROW)
    assert report.split.is_mismatch
    assert not report.is_conclusive


def test_rates_and_latencies_are_those_of_the_counts():
    counts = {CONTROL: ArmCounts(100, 0, 10, 5), TREATMENT: ArmCounts(100, 4, 30, 15)}
    report = read_report(Known(counts), ROW)
    assert report.arms[TREATMENT].error_share.value == 0.04
    assert report.differences["fallback"].value == pytest.approx(0.2)
    assert report.differences["llm_call"].value == pytest.approx(0.1)
    assert report.differences["fallback"].low > 0


def test_a_shadow_agrees_with_the_control_among_what_it_answered():
    counts = {CONTROL: ArmCounts(100), TREATMENT: ArmCounts(90, 10, 10, 0, 60, 10)}
    report = read_report(Known(counts), SHADOW_ROW)
    assert report.arms[TREATMENT].control_agreement.value == 0.75
    assert report.arms[CONTROL].control_agreement is None
    assert (report.differences, report.split, report.sample_size, report.is_conclusive) == ({}, None, None, False)
    assert report.arms[TREATMENT].dropped == 10
