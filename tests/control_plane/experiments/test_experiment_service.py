"""Starting loads both versions, finishing may switch, aborting goes back; a refusal changes nothing."""

import pytest

from control_plane.errors import BusyError, InvalidRequestError, ModelLoadError, VersionNotFoundError
from control_plane.experiments.experiment_service import lease_of
from control_plane.tuning_errors import ExperimentStateError, PromotionError
from tests.control_plane.experiments.platform import ANN, add_version


def test_a_start_loads_the_treatment_beside_the_active_version(platform):
    row = platform.start()
    assert (row.control_version, row.treatment_version, row.state, row.created_by) == (1, 2, "running", "ann")
    assert platform.loaded() == [1, 2]
    assert platform.active() == 1


def test_a_second_one_is_refused_and_leaves_the_first_as_it_is(platform):
    first = platform.start()
    with pytest.raises(ExperimentStateError, match=first.id):
        platform.start(treatment_version=3)
    assert platform.loaded() == [1, 2]


@pytest.mark.parametrize(("changes", "error", "text"), [
    ({"treatment_version": 1}, ExperimentStateError, "is the active one"),
    ({"treatment_version": 9}, VersionNotFoundError, "no version 9"),
    ({"share": 1.0}, InvalidRequestError, "below 1")])
def test_what_cannot_be_tried_is_refused(platform, changes, error, text):
    with pytest.raises(error, match=text):
        platform.start(**changes)
    assert platform.store.page(1) == []
    assert platform.loaded() == [1]


def test_a_treatment_that_does_not_load_starts_nothing(platform):
    platform.gateway.refused["intent", 2] = "damaged"
    with pytest.raises(ModelLoadError, match="damaged"):
        platform.start()
    assert (platform.store.running("intent"), platform.loaded()) == (None, [1])


def test_a_treatment_that_answers_wrong_starts_nothing(platform):
    platform.gateway.wrong.add(("intent", 2))
    with pytest.raises(ModelLoadError, match="golden text"):
        platform.start()
    assert (platform.store.running("intent"), platform.loaded()) == (None, [1])


def test_without_an_active_version_there_is_nothing_to_compare_with(platform):
    platform.lifecycle.unload("intent", ANN)
    with pytest.raises(ExperimentStateError, match="is not loaded"):
        platform.start()


def test_finishing_with_promotion_switches_to_the_treatment(platform):
    row = platform.start()
    ended = platform.service.finish(row.id, True, ANN)
    assert (ended.state, ended.ended_by, ended.reason) == ("finished", "ann", "because")
    assert platform.active() == 2


def test_finishing_without_it_leaves_the_control(platform):
    platform.service.finish(platform.start().id, False, ANN)
    assert platform.active() == 1
    with pytest.raises(ExperimentStateError, match="is finished already"):
        platform.service.abort(platform.store.page(1)[0].id, ANN)


@pytest.mark.parametrize("verdict", [None, "fail"])
def test_a_treatment_that_did_not_pass_or_that_no_batch_made_is_promoted_with_a_reason_only(platform, verdict):
    if verdict:
        add_version(platform.database, 3, verdict)
    row = platform.start(treatment_version=3)
    with pytest.raises(PromotionError, match="intent-3"):
        platform.service.finish(row.id, True, type(ANN)("ann"))
    assert (platform.store.running("intent").id, platform.active()) == (row.id, 1)
    assert platform.service.finish(row.id, True, ANN).state == "finished"
    assert platform.active() == 3


def test_after_a_promotion_the_control_stays_loaded_for_a_rollback(platform):
    platform.service.finish(platform.start().id, True, ANN)
    platform.world.drain("intent")
    platform.lifecycle.let_go("intent", ANN)
    assert platform.loaded() == [1, 2]


def test_an_abort_takes_back_a_treatment_that_has_become_active(platform):
    row = platform.start()
    platform.lifecycle.activate("intent", 2, ANN)
    assert platform.service.abort(row.id, ANN).state == "aborted"
    assert platform.active() == 1


def test_while_somebody_else_is_at_it_a_start_is_busy(platform, monkeypatch):
    monkeypatch.setattr("control_plane.experiments.experiment_service._WAIT_S", 0.0)
    with platform.world.leases.hold(lease_of("intent")), pytest.raises(BusyError):
        platform.start()
