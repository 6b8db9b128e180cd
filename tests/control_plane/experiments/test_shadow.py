"""The shadow sees what users were answered, later; it is never waited for."""

import threading
import time

import pytest

from control_plane.errors import InferenceTimeoutError
from control_plane.experiments.arm_counts import ArmCounts
from control_plane.experiments.shadow import Shadow
from control_plane.experiments.tables import TREATMENT, ExperimentRow
from control_plane.recognition.recognition import Scores

LIMIT_S = 10
EXPERIMENT = ExperimentRow(id="e", treatment_version=2)
THRESHOLDS = {"wealth": 0.5, "love": 0.5}


def scores(wealth: float, love: float = 0.0) -> Scores:
    return Scores({"wealth": wealth, "love": love}, THRESHOLDS, "2")


class Counted:
    """A counter that keeps one sum."""

    def __init__(self) -> None:
        self.total, self.changed = ArmCounts(), threading.Condition()

    def add(self, experiment_id: str, arm: str, counts: ArmCounts) -> None:
        assert (experiment_id, arm) == ("e", TREATMENT)
        with self.changed:
            self.total = self.total.plus(counts)
            self.changed.notify_all()

    def wait_for(self, requests: int) -> ArmCounts:
        with self.changed:
            assert self.changed.wait_for(lambda: self.total.requests == requests, LIMIT_S)
        return self.total


@pytest.mark.parametrize(("control", "treatment", "agrees", "falls_back"), [
    (scores(0.9), scores(0.6), 1, 0), (scores(0.9), scores(0.9, 0.9), 0, 0), (scores(0.1), scores(0.2), 1, 1)])
def test_its_labels_are_compared_with_the_controls(control, treatment, agrees, falls_back):
    counted = Counted()
    Shadow(lambda question, version: {("财运", 2): treatment}[question, version], counted).show(
        EXPERIMENT, "财运", control)
    total = counted.wait_for(1)
    assert (total.agreements, total.fallbacks, total.errors) == (agrees, falls_back, 0)


@pytest.mark.parametrize("error", [InferenceTimeoutError("slow"), ZeroDivisionError("a bug")])
def test_what_fails_is_an_error_and_the_next_question_is_shown_all_the_same(error):
    def score(question: str, version: int) -> Scores:
        if question == "bad":
            raise error
        return scores(0.9)

    counted = Counted()
    shadow = Shadow(score, counted)
    for question in ("bad", "good"):
        shadow.show(EXPERIMENT, question, scores(0.9))
    total = counted.wait_for(2)
    assert (total.errors, total.agreements) == (1, 1)


def test_a_shadow_that_is_behind_misses_questions_and_keeps_nobody_waiting():
    is_asked, may_answer, counted = threading.Event(), threading.Event(), Counted()

    def score(question: str, version: int) -> Scores:
        is_asked.set()
        assert may_answer.wait(LIMIT_S)
        return scores(0.9)

    shadow = Shadow(score, counted, capacity=2)
    shadow.show(EXPERIMENT, "1", scores(0.9))
    assert is_asked.wait(LIMIT_S)
    for number in range(5):
        shadow.show(EXPERIMENT, str(number), scores(0.9))
    assert counted.total.dropped == 3
    may_answer.set()
    assert counted.wait_for(3).dropped == 3


def test_its_thread_ends_with_its_work_and_comes_back():
    counted, deadline = Counted(), time.monotonic() + LIMIT_S
    shadow = Shadow(lambda question, version: scores(0.9), counted)
    for number in (1, 2):
        shadow.show(EXPERIMENT, "财运", scores(0.9))
        counted.wait_for(number)
        while any(thread.name == "shadow" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.001)
