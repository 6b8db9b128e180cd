"""What is counted of a question in its arm, and when the shadow is shown it."""

import pytest

from control_plane.experiments.arm_counts import ArmCounts
from control_plane.experiments.tables import AB, CONTROL, SHADOW, TREATMENT, ExperimentRow
from control_plane.experiments.traffic import ExperimentTraffic
from control_plane.experiments.trial import Trial
from control_plane.recognition.recognition import Recognition, Scores

SEEN = Scores({"wealth": 0.9}, {"wealth": 0.5}, "2", latency_ms=3.0)
UNSEEN = Scores({"wealth": 0.1}, {"wealth": 0.5}, "2", latency_ms=3.0)


class Kept:
    """Stands for the counter and the shadow."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str, ArmCounts]] = []
        self.shown: list[str] = []

    def add(self, *counts) -> None:
        self.counted.append(counts)

    def show(self, experiment, question, control) -> None:
        self.shown.append(question)


class Live:
    """Stands for what runs."""

    def __init__(self, experiment) -> None:
        self.current = lambda: experiment


def leave(kind: str, arm: str, recognition: Recognition) -> Kept:
    kept, experiment = Kept(), ExperimentRow(id="e", kind=kind, share=0.5, control_version=1, treatment_version=2)
    ExperimentTraffic(Live(experiment), kept, kept).leave(Trial(experiment, arm), "财运", recognition, 50.0)
    return kept


def recognition(model, failed=(), called_llm=False) -> Recognition:
    held = model.held() if model else {}
    return Recognition(held, 0.9, "local_model" if held else "keyword_fallback", model, (), called_llm,
                       dict.fromkeys(failed, "internal"))


@pytest.mark.parametrize(("arm", "found", "errors", "fallbacks", "llm_calls"), [
    (CONTROL, recognition(SEEN), 0, 0, 0),
    (TREATMENT, recognition(UNSEEN, called_llm=True), 0, 1, 1),
    (TREATMENT, recognition(SEEN, ["treatment_model"]), 1, 0, 0),
    (TREATMENT, recognition(None, ["treatment_model", "local_model"]), 1, 1, 0),
    (CONTROL, recognition(None, ["local_model"]), 1, 1, 0),
    (CONTROL, recognition(SEEN, ["llm_fallback"]), 0, 0, 0)])
def test_a_question_counts_in_its_arm_even_where_the_other_version_answered(arm, found, errors, fallbacks, llm_calls):
    kept = leave(AB, arm, found)
    [(experiment_id, counted_arm, counts)] = kept.counted
    assert (experiment_id, counted_arm) == ("e", arm)
    assert (counts.requests, counts.errors, counts.fallbacks, counts.llm_calls) == (1, errors, fallbacks, llm_calls)
    assert counts.latency_ms(0.5) == pytest.approx(50.0, rel=0.1)
    assert kept.shown == []


def test_a_shadow_is_shown_what_the_control_answered_and_arms_time_the_scoring():
    kept = leave(SHADOW, CONTROL, recognition(SEEN))
    assert kept.shown == ["财运"]
    assert kept.counted[0][2].latency_ms(0.5) == pytest.approx(3.0, rel=0.1)


def test_where_the_control_failed_there_is_nothing_to_compare_with():
    assert leave(SHADOW, CONTROL, recognition(None, ["local_model"])).shown == []


def test_without_an_experiment_no_question_has_a_part():
    assert ExperimentTraffic(Live(None), Kept(), Kept()).enter("user", "财运") is None
