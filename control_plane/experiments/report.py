"""What an experiment has shown so far: its arms, how they differ, whether the split is sound, how much is missing."""

from collections.abc import Mapping
from dataclasses import dataclass

from control_plane.experiments.arm_counts import ArmCounts
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.experiments.statistics import (
    MISMATCH_P_VALUE,
    Interval,
    difference_interval,
    ratio_p_value,
    sample_sizes,
    share_interval,
)
from control_plane.experiments.tables import AB, ARMS, CONTROL, SHADOW, TREATMENT, ExperimentRow

# The share that needs the largest sample; taken until the control has labels of its own.
_UNKNOWN_SHARE = 0.5


@dataclass(frozen=True)
class ArmReport:
    """What one arm did. A share is None where there is nothing to take it of."""

    version: int
    requests: int
    errors: int
    dropped: int
    subjects: int                          # who asked something that was kept
    labeled: int                           # of their questions
    agreement: Interval | None             # of answers with labels: exactly the labels, among labelled questions
    control_agreement: Interval | None     # shadow: of the treatment with the control, among those it answered
    error_share: Interval | None
    fallback_share: Interval | None
    llm_call_share: Interval | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None


@dataclass(frozen=True)
class SplitCheck:
    """Whether as many subjects got the treatment as should have; otherwise something is broken and nothing counts."""

    expected_share: float
    share: float | None
    p_value: float | None
    is_mismatch: bool


@dataclass(frozen=True)
class SampleSize:
    """How many labelled questions an arm needs to find the difference that is asked for, and how many it lacks."""

    needed: int
    missing: int


@dataclass(frozen=True)
class ExperimentReport:
    """Everything together. What compares the arms of an A/B is None in a shadow experiment."""

    arms: Mapping[str, ArmReport]
    differences: Mapping[str, Interval | None]  # of shares, treatment − control
    split: SplitCheck | None
    sample_size: Mapping[str, SampleSize] | None

    @property
    def is_conclusive(self) -> bool:
        """Whether the difference of agreement is one: its interval does not hold 0, and the split is sound."""
        difference = self.differences.get("agreement")
        return difference is not None and not difference.low <= 0 <= difference.high and not self.split.is_mismatch


def read_report(store: ExperimentStore, experiment: ExperimentRow) -> ExperimentReport:
    """Return what is known of an experiment now; the last seconds of other processes may be missing."""
    counts = store.counts(experiment.id)
    arms = {arm: _arm(store, experiment, arm, counts[arm]) for arm in ARMS}
    if experiment.kind != AB:
        return ExperimentReport(arms, {}, None, None)
    control, treatment = arms[CONTROL], arms[TREATMENT]
    differences = {name: _difference(getattr(treatment, f"{name}{suffix}"), getattr(control, f"{name}{suffix}"))
                   for name, suffix in (("agreement", ""), ("error", "_share"), ("fallback", "_share"),
                                        ("llm_call", "_share"))}
    return ExperimentReport(arms, differences, _check_split(control, treatment, experiment.share),
                            _sample_size(control, treatment, experiment))


def _arm(store: ExperimentStore, experiment: ExperimentRow, arm: str, counts: ArmCounts) -> ArmReport:
    variant = experiment.variant(arm)
    labeled, right = store.count_agreement(variant)
    is_shadow = experiment.kind == SHADOW and arm == TREATMENT
    return ArmReport(
        experiment.versions[arm], counts.requests, counts.errors, counts.dropped, store.count_subjects(variant),
        labeled, share_interval(right, labeled),
        share_interval(counts.agreements, counts.requests - counts.errors) if is_shadow else None,
        share_interval(counts.errors, counts.requests), share_interval(counts.fallbacks, counts.requests),
        share_interval(counts.llm_calls, counts.requests), counts.latency_ms(0.5), counts.latency_ms(0.95))


def _difference(treatment: Interval | None, control: Interval | None) -> Interval | None:
    return difference_interval(treatment, control) if treatment and control else None


def _check_split(control: ArmReport, treatment: ArmReport, share: float) -> SplitCheck:
    """Subjects are what was split: questions come in heaps, one heap for each subject, and would differ by chance."""
    total = control.subjects + treatment.subjects
    p_value = ratio_p_value(treatment.subjects, total, share)
    return SplitCheck(share, treatment.subjects / total if total else None, p_value,
                      p_value is not None and p_value < MISMATCH_P_VALUE)


def _sample_size(control: ArmReport, treatment: ArmReport, experiment: ExperimentRow) -> dict[str, SampleSize]:
    known = control.agreement.value if control.agreement else _UNKNOWN_SHARE
    needed = sample_sizes(known, experiment.min_difference, experiment.share)
    return {arm: SampleSize(size, max(0, size - report.labeled))
            for arm, report, size in zip(ARMS, (control, treatment), needed, strict=True)}
