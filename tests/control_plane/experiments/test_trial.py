"""Subjects keep their arm, arms have their share, and experiments do not follow each other."""

import pytest

from control_plane.experiments.tables import AB, CONTROL, SHADOW, TREATMENT, ExperimentRow
from control_plane.experiments.trial import enter, position

SUBJECTS = [f"user-{number}" for number in range(2000)]


def experiment(kind: str = AB, share: float = 0.3, experiment_id: str = "e" * 32) -> ExperimentRow:
    return ExperimentRow(id=experiment_id, kind=kind, share=share, control_version=1, treatment_version=2)


def arms(share: float, experiment_id: str = "e" * 32) -> list[str]:
    return [enter(experiment(AB, share, experiment_id), subject, "问题").arm for subject in SUBJECTS]


def test_a_subject_has_one_arm_whatever_is_asked():
    for subject in SUBJECTS[:50]:
        assert len({enter(experiment(), subject, question).arm for question in ("财运", "姻缘", "")}) == 1


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_treatment_gets_its_share(share):
    assert arms(share).count(TREATMENT) / len(SUBJECTS) == pytest.approx(share, abs=0.04)


def test_a_larger_share_only_adds_to_those_who_have_the_treatment():
    assert all(wide == TREATMENT for narrow, wide in zip(arms(0.1), arms(0.5), strict=True) if narrow == TREATMENT)


def test_another_experiment_splits_anew():
    both = [one == other == TREATMENT for one, other in zip(arms(0.5, "a"), arms(0.5, "b"), strict=True)]
    assert sum(both) / len(SUBJECTS) == pytest.approx(0.25, abs=0.04)


def test_who_has_no_name_has_no_part_in_an_ab():
    assert enter(experiment(), None, "财运") is None


def test_the_treatment_is_asked_before_the_control_and_the_variant_names_experiment_and_arm():
    trials = {trial.arm: trial for trial in (enter(experiment(), subject, "财运") for subject in SUBJECTS[:50])}
    assert (trials[TREATMENT].treatment, trials[CONTROL].treatment) == (2, None)
    assert trials[TREATMENT].variant == "e" * 32 + ":treatment"


def test_a_shadow_answers_nobody_and_sees_its_share_of_questions_without_a_subject_too():
    seen = [enter(experiment(SHADOW), None, f"问题{number}") for number in range(2000)]
    assert {trial.arm for trial in seen if trial} == {CONTROL}
    assert sum(trial is not None for trial in seen) / 2000 == pytest.approx(0.3, abs=0.04)
    assert enter(experiment(SHADOW, 1.0), None, "财运") is not None


def test_a_position_is_below_one_and_takes_any_text():
    assert 0 <= position("e", "\ud800") < 1
