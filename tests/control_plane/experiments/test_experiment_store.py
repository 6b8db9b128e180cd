"""Experiments in the database: one runs at a time, each ends once, and labels are compared as sets."""

from datetime import timedelta

import pytest

from control_plane.database.schema import utc_now
from control_plane.experiments.arm_counts import ArmCounts, count_request
from control_plane.experiments.tables import ABORTED, CONTROL, FINISHED, TREATMENT
from control_plane.jobs.store import new_job_id
from control_plane.observability.usage_store import hour_of
from control_plane.questions.tables import LOCAL_MODEL, QuestionRow
from control_plane.tuning_errors import ExperimentNotFoundError, ExperimentStateError

FACTS = {"name": "", "kind": "ab", "control_version": 1, "treatment_version": 2, "share": 0.5, "max_error_share": 0.1,
         "max_p95_ms": None, "min_samples": 10, "min_difference": 0.05}


def ask(database, variant: str | None, intents: list[str], correct: list[str] | None, subject: str = "a") -> None:
    with database.write() as session:
        session.add(QuestionRow(
            id=new_job_id(), question="财运", intents=intents, confidence=0.9, method=LOCAL_MODEL, model_version="1",
            scores={}, latency_ms=1.0, has_consent=True, subject_digest=subject, uncertainty=0.1, random_key=0.1,
            asked_at=utc_now(), is_labeled=correct is not None, correct_intent=correct, variant=variant))


def test_one_runs_at_a_time_and_another_model_has_its_own(store):
    first = store.add("intent", "ann", **FACTS)
    with pytest.raises(ExperimentStateError, match="is running; finish or abort it"):
        store.add("intent", "ann", **FACTS)
    store.add("other", "ann", **FACTS)
    assert store.running("intent").id == first.id
    store.end(first.id, FINISHED, "bob", "enough")
    assert store.running("intent") is None
    second = store.add("intent", "ann", **FACTS)
    assert [row.id for row in store.page(1)] == [second.id]
    assert first.id in [row.id for row in store.page(5, second.id)]


def test_an_end_is_written_down_once(store):
    row = store.add("intent", "ann", **FACTS)
    ended = store.end(row.id, ABORTED, "bob", "too slow")
    assert (ended.state, ended.ended_by, ended.reason, ended.running_model) == ("aborted", "bob", "too slow", None)
    with pytest.raises(ExperimentStateError, match="is aborted already"):
        store.end(row.id, FINISHED, "ann", "")
    assert store.find(row.id).state == "aborted"


def test_one_that_does_not_exist_is_named(store):
    with pytest.raises(ExperimentNotFoundError, match="'nope'"):
        store.find("nope")


def test_counts_are_kept_by_hour_and_added_up(store):
    row, hour = store.add("intent", "ann", **FACTS), hour_of(utc_now())
    old = hour - timedelta(hours=5)
    for moment in (hour, hour, old):
        store.add_counts({(row.id, TREATMENT, moment): count_request(10.0, is_error=moment == old)})
    store.add_counts({(row.id, TREATMENT, hour): ArmCounts(dropped=2)})
    counts = store.counts(row.id)
    assert (counts[TREATMENT].requests, counts[TREATMENT].errors, counts[TREATMENT].dropped) == (3, 1, 2)
    assert counts[CONTROL] == ArmCounts()
    recent = store.counts(row.id, hour)[TREATMENT]
    assert (recent.requests, recent.errors, sum(recent.latencies.values())) == (2, 0, 2)


def test_agreement_is_of_labelled_questions_of_the_variant_whatever_the_order(store, database):
    for variant, intents, correct, subject in (
            ("e:control", ["a", "b"], ["b", "a"], "x"), ("e:control", ["a"], ["a", "b"], "x"),
            ("e:control", [], [], "y"), ("e:control", ["a"], None, "z"), ("e:treatment", ["a"], ["b"], "x"),
            (None, ["a"], ["a"], "v")):
        ask(database, variant, intents, correct, subject)
    assert store.count_agreement("e:control") == (3, 2)
    assert store.count_agreement("e:treatment") == (1, 0)
    assert (store.count_subjects("e:control"), store.count_subjects("e:treatment")) == (3, 1)
    assert store.count_agreement("f:control") == (0, 0)
