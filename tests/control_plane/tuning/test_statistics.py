"""The figures of the tuning loop: trainings of the period, and the rules as they are."""

from datetime import timedelta

import pytest

from control_plane.database.schema import utc_now
from control_plane.intents.rule_store import RuleStore
from control_plane.intents.tables import ACTIVE, RETIRED
from control_plane.tuning.statistics import RuleFigures, TrainingFigures, TuningStatistics
from control_plane.tuning.tables import FAILED, SUCCEEDED, TrainingBatchRow

NONE = {"created": 0, "running": 0, "succeeded": 0, "failed": 0}


@pytest.fixture
def read(database):
    return lambda days=30: TuningStatistics(database).read(utc_now().date(), days)


def test_nothing_happened(read):
    figures = read(days=1)
    assert figures.first == figures.last
    assert figures.training == TrainingFigures(NONE, None, None)
    assert figures.rules == RuleFigures({"proposed": 0, "shadow": 0, "active": 0, "retired": 0}, 0, 0)
    assert (figures.accuracy, figures.questions.total.questions) == ([], 0)


def test_trainings_are_counted_with_their_success_and_duration(read, store, database):
    begin = utc_now()
    for state, duration_s in ((SUCCEEDED, 60), (SUCCEEDED, 120), (FAILED, 7), (None, None)):
        batch = store.add("", "head", "ann")
        if state:
            store.change(batch.batch_id, training_status=state, started_at=begin,
                         finished_at=begin + timedelta(seconds=duration_s))
    store.begin(store.add("", "head", "ann").batch_id)
    with database.write() as session:  # 40 days ago
        session.add(TrainingBatchRow(batch_id=f"{int((begin.timestamp() - 40 * 86400) * 1000) << 80:032x}",
                                     description="", recipe="head", training_status=FAILED, created_by="ann",
                                     created_at=begin - timedelta(days=40)))
    expected = {"created": 1, "running": 1, "succeeded": 2, "failed": 1}
    assert read().training == TrainingFigures(expected, pytest.approx(2 / 3), 90.0)
    assert read(days=60).training == TrainingFigures({**expected, "failed": 2}, 0.5, 90.0)


def test_rules_are_counted_by_state_with_their_use(read, database):
    rules = RuleStore(database)
    kept = rules.add("财运", "wealth", 0.8, "ann", ACTIVE)
    gone = rules.add("升职", "career", 0.8, "ann", ACTIVE)
    rules.update(gone.id, "ann", RETIRED)
    rules.add_counts({kept.id: (10, 3), gone.id: (5, 1)})
    assert read().rules == RuleFigures({"proposed": 0, "shadow": 0, "active": 1, "retired": 1}, 15, 4)
