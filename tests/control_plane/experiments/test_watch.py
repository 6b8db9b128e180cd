"""An experiment that costs too much ends by itself, and what it kept loaded goes afterwards."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from control_plane.database.schema import utc_now
from control_plane.experiments import watch as watch_module
from control_plane.experiments.arm_counts import ArmCounts, count_request
from control_plane.experiments.tables import CONTROL, ExperimentRow
from control_plane.lifecycle.reconciler import UNREACHABLE
from control_plane.lifecycle.store import DRAIN_S
from control_plane.lifecycle.tables import ModelTargetRow
from tests.control_plane.experiments.platform import ANN

LIMIT_S = 20


def repeat(counts: ArmCounts, times: int) -> ArmCounts:
    total = ArmCounts()
    for _ in range(times):
        total = total.plus(counts)
    return total


def state_of(platform, experiment) -> tuple[str, str | None]:
    row = platform.store.find(experiment.id)
    return row.state, row.reason


def end_long_ago(platform) -> None:
    with platform.database.write() as session:
        session.execute(update(ExperimentRow).values(ended_at=utc_now() - timedelta(seconds=DRAIN_S + 1)))


def test_errors_over_the_budget_end_it_with_the_figures(platform):
    experiment = platform.start()
    platform.count(experiment, repeat(count_request(1.0), 8).plus(repeat(count_request(1.0, is_error=True), 2)))
    platform.watch.run_once()
    state, reason = state_of(platform, experiment)
    assert state == "aborted"
    assert "did not answer 2 of 10 questions" in reason
    assert platform.store.running("intent") is None


def test_a_slow_treatment_ends_it(platform):
    experiment = platform.start(max_p95_ms=50.0)
    platform.count(experiment, repeat(count_request(100.0), 10))
    platform.watch.run_once()
    assert "95th percentile of version 2" in state_of(platform, experiment)[1]


@pytest.mark.parametrize(("arm", "requests", "hours"), [("treatment", 9, 0), (CONTROL, 50, 0), ("treatment", 50, 3)])
def test_too_few_errors_those_of_the_control_and_old_ones_end_nothing(platform, arm, requests, hours):
    experiment = platform.start()
    moment = utc_now() - timedelta(hours=hours)
    platform.count(experiment, repeat(count_request(1.0, is_error=True), requests), arm, moment)
    platform.watch.run_once()
    assert state_of(platform, experiment) == ("running", None)


def test_what_keeps_to_its_budgets_goes_on(platform):
    experiment = platform.start(max_p95_ms=50.0)
    platform.count(experiment, repeat(count_request(10.0), 99).plus(count_request(10.0, is_error=True)))
    platform.watch.run_once()
    assert state_of(platform, experiment)[0] == "running"


def test_a_treatment_that_has_become_active_is_rolled_back(platform):
    experiment = platform.start()
    platform.lifecycle.activate("intent", 2, ANN)
    platform.count(experiment, repeat(count_request(1.0, is_error=True), 10))
    platform.watch.run_once()
    assert (state_of(platform, experiment)[0], platform.active()) == ("aborted", 1)


def test_a_third_version_that_becomes_active_ends_it(platform):
    experiment = platform.start()
    platform.lifecycle.activate("intent", 3, ANN)
    platform.watch.run_once()
    assert "version 3 became active" in state_of(platform, experiment)[1]
    assert platform.active() == 3


@pytest.mark.parametrize(("error", "is_over"), [("no room", True), (UNREACHABLE, False)])
def test_a_target_that_lacks_its_versions_for_long_ends_it_unless_it_is_away(platform, error, is_over):
    experiment = platform.start()
    platform.models.observe("intent", "one:1", (), error)
    platform.watch.run_once()
    assert state_of(platform, experiment)[0] == "running"
    with platform.database.write() as session:
        session.execute(update(ModelTargetRow).values(checked_at=utc_now() - timedelta(hours=1)))
    platform.watch.run_once()
    assert (state_of(platform, experiment)[0] == "aborted") == is_over


def test_the_treatment_stays_loaded_until_every_worker_knows_of_the_end(platform):
    experiment = platform.start()
    platform.service.abort(experiment.id, ANN)
    platform.watch.run_once()
    assert platform.loaded() == [1, 2]
    end_long_ago(platform)
    platform.watch.run_once()
    assert platform.loaded() == [1]
    revision = platform.models.find("intent").revision
    platform.watch.run_once()
    assert platform.models.find("intent").revision == revision


def test_what_a_start_that_was_killed_left_loaded_goes_too(platform):
    platform.lifecycle.keep_beside("intent", {1, 2}, ANN)
    platform.watch.run_once()
    assert platform.loaded() == [1]


def test_a_running_experiment_survives_any_number_of_looks(platform):
    experiment = platform.start()
    for _ in range(3):
        platform.watch.run_once()
    assert (state_of(platform, experiment), platform.loaded()) == (("running", None), [1, 2])


def test_the_loop_goes_on_after_an_error(platform, monkeypatch, caplog):
    monkeypatch.setattr(watch_module, "POLL_S", 0.001)
    looks, stop = [], threading.Event()

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            stop.set()
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(platform.watch, "run_once", look)
    platform.watch.run(stop)
    assert len(looks) == 3
    assert "looking after the experiment failed" in caplog.text
