"""What an administrator does: every operation ends with what it promised on every target, or changes nothing."""

import shutil
import threading

import pytest
from sqlalchemy import text

from control_plane.errors import (
    BusyError,
    ModelLoadError,
    ModelNotExportedError,
    ModelNotFoundError,
    StaleRevisionError,
    TritonUnavailableError,
    VersionNotFoundError,
    VersionRefusedError,
)
from control_plane.lifecycle.configuration import ModelConfiguration
from control_plane.lifecycle.tables import ON_DEMAND
from tests.control_plane.fakes import publish
from tests.control_plane.lifecycle.world import TEST, World, wait_until

LIMIT_S = 30


def _actions(world) -> list[str]:
    return [line.action for line in world.store.history("tiny", 100)][::-1]


def test_a_first_load_makes_the_newest_version_active_everywhere(world):
    state = world.lifecycle.load("tiny", TEST)
    assert (state.active_version, state.is_wanted, state.policy, state.revision) == (3, True, "preload", 1)
    assert world.state().active_version == 3
    assert world.held() == [[3]] * 3
    line, = world.store.history("tiny", 10)
    assert (line.action, line.actor, line.reason, line.from_version, line.to_version) == (
        "load", "tester", "because", None, 3)


def test_a_load_goes_on_with_the_version_that_was_active_and_not_with_the_newest(live):
    live.lifecycle.unload("tiny", TEST)
    assert live.lifecycle.load("tiny", TEST).active_version == 1
    assert live.held() == [[1]] * 3


def test_loading_what_is_live_changes_nothing(live):
    before = live.state()
    assert live.lifecycle.load("tiny", TEST) == before
    assert live.state() == before
    assert _actions(live) == ["activate"]


def test_a_load_that_one_target_refuses_leaves_the_model_unwanted_and_nowhere(world):
    world.gateways[2].refused["tiny", 3] = "no room"
    with pytest.raises(ModelLoadError, match="no room"):
        world.lifecycle.load("tiny", TEST)
    assert world.held() == [[]] * 3
    assert world.store.all() == {}


@pytest.mark.parametrize(("name", "error"), [("nope", ModelNotFoundError), ("fast", ModelNotExportedError)])
def test_a_model_that_cannot_be_served_asks_nothing_of_any_triton(world, name, error):
    for gateway in world.gateways:
        gateway.error = AssertionError("Triton was asked")
    for operation in (world.lifecycle.load, world.lifecycle.roll_back):
        with pytest.raises(error):
            operation(name, TEST)
    with pytest.raises(error):
        world.lifecycle.activate(name, 1, TEST)


def test_an_unload_is_written_down_and_done_everywhere(live):
    state = live.lifecycle.unload("tiny", TEST)
    assert (state.is_wanted, state.is_resident, state.active_version) == (False, False, 1)
    assert live.held() == [[]] * 3
    assert _actions(live) == ["activate", "unload"]


def test_an_unload_is_over_only_when_no_index_has_the_model_any_more(live):
    for gateway in live.gateways:
        gateway.unload_takes = 3
    live.lifecycle.unload("tiny", TEST)
    assert not any(gateway.holds("tiny") for gateway in live.gateways)


def test_a_switch_loads_the_new_version_beside_the_old_one_and_lets_that_drain(live):
    state = live.activate(2)
    assert (state.active_version, state.previous_version, state.revision) == (2, 1, 2)
    assert live.held() == [[1, 2]] * 3
    live.drain()
    live.reconcile()
    assert live.held() == [[2]] * 3
    assert live.seen() == dict.fromkeys(live.fleet.names, (2,))


def test_a_warm_version_stays_after_the_drain_when_it_is_lower_and_goes_when_it_is_higher(live):
    live.activate(2, keep_warm=True)
    live.drain()
    live.reconcile()
    assert live.held() == [[1, 2]] * 3
    calls = [list(gateway.calls) for gateway in live.gateways]
    assert live.lifecycle.roll_back("tiny", TEST).active_version == 1
    assert [gateway.calls for gateway in live.gateways] == calls  # Nothing was loaded for it.
    live.drain()
    live.reconcile()
    assert live.held() == [[1]] * 3


def test_a_rollback_returns_to_the_version_before_and_again_to_this_one(live):
    live.activate(2)
    assert live.lifecycle.roll_back("tiny", TEST).active_version == 1
    assert live.lifecycle.roll_back("tiny", TEST).active_version == 2
    assert _actions(live) == ["activate", "activate", "rollback", "rollback"]


def test_there_is_nothing_to_roll_back_to_before_a_switch(live):
    with pytest.raises(VersionRefusedError, match="no version was active before the present one"):
        live.lifecycle.roll_back("tiny", TEST)


def test_a_version_that_does_not_exist_is_refused_with_those_that_do(live):
    with pytest.raises(VersionNotFoundError, match="model 'tiny' has no version 9; it has 1, 2, 3"):
        live.activate(9)


def test_a_rollback_to_a_version_that_was_deleted_is_refused(live, repository):
    live.activate(2)
    shutil.rmtree(repository / "tiny" / "1")
    with pytest.raises(VersionNotFoundError, match="it has 2, 3"):
        live.lifecycle.roll_back("tiny", TEST)
    assert live.state().active_version == 2


def test_a_version_without_a_readable_manifest_is_refused(live, repository):
    (repository / "tiny" / "2" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(VersionRefusedError, match=r"version 2 of model 'tiny': .*manifest\.json"):
        live.activate(2)
    assert live.held() == [[1]] * 3


def test_a_version_of_another_dimension_is_refused_unless_forced(live, repository):
    publish(repository, "tiny", version=4, dimension=16)
    with pytest.raises(VersionRefusedError, match=r"it has 16 dimensions and the active version 8: .*force it"):
        live.activate(4)
    assert live.state().active_version == 1
    assert live.activate(4, force=True).active_version == 4


def test_a_version_that_one_target_refuses_leaves_the_active_one_active(live):
    before = live.state()
    live.gateways[1].refused["tiny", 2] = "sha256 differs"
    with pytest.raises(ModelLoadError, match=r"on two:1: .*sha256 differs"):
        live.activate(2)
    assert live.state() == before
    assert live.held() == [[1]] * 3
    assert _actions(live) == ["activate"]


def test_activating_the_active_version_loads_no_other_and_changes_nothing(live):
    live.activate(2)
    live.drain()
    live.reconcile()
    before = live.state()
    assert live.activate(2) == before
    assert live.held() == [[2]] * 3


def test_activating_a_version_of_an_unloaded_model_makes_it_live(live):
    live.lifecycle.unload("tiny", TEST)
    state = live.activate(3)
    assert (state.is_wanted, state.active_version, state.previous_version) == (True, 3, 1)
    assert all(3 in versions for versions in live.held())


def test_of_two_who_looked_at_the_same_revision_one_is_told_to_look_again(live):
    revision = live.state().revision
    live.activate(2, expected_revision=revision)
    for operation in (lambda: live.activate(3, expected_revision=revision),
                      lambda: live.lifecycle.roll_back("tiny", TEST, revision),
                      lambda: live.lifecycle.configure("tiny", ModelConfiguration(instances=1), TEST, revision)):
        with pytest.raises(StaleRevisionError, match="is of revision 2 now"):
            operation()
    assert live.state().active_version == 2


def test_a_configuration_reaches_every_target_and_a_refused_one_changes_nothing(live):
    live.lifecycle.configure("tiny", ModelConfiguration(instances=4), TEST)
    counts = [gateway.models["tiny"].config["instance_group"][0]["count"] for gateway in live.gateways]
    assert counts == [4] * 3
    assert live.state().configuration == {"instances": 4}
    live.gateways[2].refused["tiny", 1] = "more instances than cores"
    with pytest.raises(ModelLoadError, match="more instances than cores"):
        live.lifecycle.configure("tiny", ModelConfiguration(instances=9), TEST)
    live.gateways[2].refused.clear()
    assert [gateway.models["tiny"].config["instance_group"][0]["count"] for gateway in live.gateways] == [4] * 3
    assert live.state().configuration == {"instances": 4}
    assert live.store.history("tiny", 1)[0].detail == {"instances": 4}


def test_a_configuration_for_what_is_not_loaded_waits_for_the_load(world):
    world.lifecycle.configure("tiny", ModelConfiguration(instances=4), TEST)
    assert world.held() == [[]] * 3
    world.lifecycle.load("tiny", TEST)
    assert world.gateways[0].models["tiny"].config["instance_group"][0]["count"] == 4


def test_a_target_that_is_away_hinders_nothing_and_catches_up_when_it_is_back(live):
    live.gateways[1].error = TritonUnavailableError("gone")
    live.activate(2)
    assert live.held() == [[1, 2], [1], [1, 2]]
    live.gateways[1].error = None
    live.reconcile()
    assert live.held() == [[1, 2]] * 3


def test_without_any_target_nothing_is_activated(live):
    for gateway in live.gateways:
        gateway.error = TritonUnavailableError("gone")
    before = live.state()
    with pytest.raises(TritonUnavailableError, match="no Triton can be reached"):
        live.activate(2)
    assert live.state() == before


def test_an_operation_on_what_another_process_works_on_is_busy(live, database, repository):
    other = World(database, repository, live.gateways)
    with other.leases.hold("model:tiny"):
        for operation in (lambda: live.activate(2), lambda: live.lifecycle.load("tiny", TEST),
                          lambda: live.lifecycle.unload("tiny", TEST)):
            with pytest.raises(BusyError, match="another operation on tiny is under way"):
                operation()
        live.lifecycle.load("other", TEST)
    assert live.state().active_version == 1


def test_an_on_demand_model_is_woken_once_by_any_number_of_requests(world, database, repository):
    world.lifecycle.load("tiny", TEST, ON_DEMAND)
    world.store.note(world.state(), is_resident=False)
    world.reconcile()
    assert world.held() == [[]] * 3
    for gateway in world.gateways:
        gateway.calls.clear()
    patient = World(database, repository, world.gateways)
    patient.lifecycle._wait_s = LIMIT_S
    states = []
    threads = [threading.Thread(target=lambda: states.append(patient.lifecycle.wake("tiny"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert [state.is_resident for state in states] == [True] * 4
    assert world.held() == [[3]] * 3
    assert [gateway.calls for gateway in world.gateways] == [[("load", "tiny")]] * 3
    assert _actions(world) == ["load"]


def test_what_nobody_wants_is_not_woken(world):
    world.lifecycle.load("tiny", TEST, ON_DEMAND)
    world.lifecycle.unload("tiny", TEST)
    assert not world.lifecycle.wake("tiny").is_resident
    assert world.held() == [[]] * 3


def test_a_switch_whose_lease_was_lost_meanwhile_is_not_written_down(live):
    """Another process may have taken the model over while the database could not be reached."""
    def lose_the_lease(call: str) -> None:
        if call == "load":
            with live.database.write() as session:
                session.execute(text("UPDATE leases SET owner = 'another-host/1/1/abc'"))
            wait_until(lambda: not leases_of_this_process[0].is_held)

    leases_of_this_process = []
    live.leases._lease_s = 0.2
    acquire = live.leases.try_acquire

    def remember(name: str):
        leases_of_this_process.append(acquire(name))
        return leases_of_this_process[-1]

    live.leases.try_acquire = remember
    live.gateways[0].on_call = lose_the_lease
    with pytest.raises(BusyError, match="nothing was changed"):
        live.activate(2)
    assert live.state().active_version == 1


def test_versions_are_kept_beside_the_active_one_proven_everywhere_until_they_are_let_go(live):
    assert live.lifecycle.keep_beside("tiny", {2}, TEST).active_version == 1
    live.lifecycle.let_go("tiny", TEST)
    assert (live.held(), live.state().extra_versions) == ([[1, 2]] * 3, ())
    live.reconcile()
    assert (live.held(), _actions(live)) == ([[1]] * 3, ["activate", "keep", "let_go"])


def test_a_version_that_one_target_refuses_is_kept_nowhere(live):
    live.gateways[2].refused["tiny", 2] = "no room"
    with pytest.raises(ModelLoadError, match="no room"):
        live.lifecycle.keep_beside("tiny", {2}, TEST)
    assert (live.held(), live.state().extra_versions) == ([[1]] * 3, ())
