"""Every Triton comes to hold exactly what should be live, whatever happened to it; nobody's operation is disturbed."""

import itertools
import json
import logging
import threading

import pytest

from control_plane.errors import DatabaseUnavailableError, InferenceError, ModelLoadError, TritonUnavailableError
from control_plane.lifecycle import reconciler as reconciler_module
from control_plane.lifecycle.placement import Placement
from control_plane.triton_config import load_config
from tests.control_plane.fakes import CONFIG
from tests.control_plane.lifecycle.world import TARGETS, TEST, World, close, run_pass, wait_until

LIMIT_S = 30


@pytest.fixture
def reconciler(live):
    reconciler = live.reconciler()
    yield reconciler
    close(reconciler)


def _forget_calls(world) -> None:
    for gateway in world.gateways:
        gateway.calls.clear()


def _calls(world) -> list[list[tuple[str, str]]]:
    return [gateway.calls for gateway in world.gateways]


def test_what_is_as_it_should_be_is_left_alone(live, reconciler):
    _forget_calls(live)
    run_pass(reconciler)
    run_pass(reconciler)
    assert _calls(live) == [[]] * 3


def test_only_the_target_that_differs_is_repaired(live, reconciler):
    live.gateways[1].models.clear()  # as after a restart of Triton
    _forget_calls(live)
    run_pass(reconciler)
    assert live.held() == [[1]] * 3
    assert _calls(live) == [[], [("load", "tiny")], []]


@pytest.mark.parametrize("versions", [(2,), (1, 2), (1, 2, 3)])
def test_other_versions_are_replaced(live, reconciler, versions):
    live.gateways[0].load("tiny", load_config(CONFIG, Placement("tiny", versions)))
    run_pass(reconciler)
    assert live.held() == [[1]] * 3


def test_another_configuration_is_replaced(live, reconciler):
    live.gateways[0].load("tiny", load_config(CONFIG, Placement("tiny", (1,), {"instances": 9})))
    run_pass(reconciler)
    assert live.gateways[0].models["tiny"] == live.gateways[1].models["tiny"]


def test_what_nobody_wants_is_unloaded(live, reconciler):
    live.lifecycle.load("other", TEST)
    live.lifecycle.unload("other", TEST)
    stray = json.dumps({"version_policy": {"specific": {"versions": ["1"]}}})
    live.gateways[2].load("other", stray)
    run_pass(reconciler)
    assert live.held("other") == [[]] * 3
    assert live.held() == [[1]] * 3


def test_what_nobody_ever_touched_is_unloaded(live, reconciler):
    live.gateways[2].load("other", load_config(CONFIG, Placement("other", (1,))))
    run_pass(reconciler)
    assert live.held("other") == [[]] * 3


def test_a_target_that_is_not_one_of_the_models_holds_nothing_of_it(live, reconciler):
    live.store.note(live.state(), targets=TARGETS[:1])
    run_pass(reconciler)
    assert live.held() == [[1], [], []]


def test_a_model_that_somebody_works_on_is_left_to_him(live, reconciler):
    live.gateways[0].models.clear()
    with live.leases.hold("model:tiny"):
        _forget_calls(live)
        run_pass(reconciler)
        assert _calls(live) == [[]] * 3
    run_pass(reconciler)
    assert live.held() == [[1]] * 3


def test_a_repair_goes_by_what_is_wanted_when_it_begins(live, reconciler, monkeypatch):
    """Between the look at the indexes and the repair an administrator may have changed his mind."""
    differ = reconciler._targets_that_differ

    def look_and_then_unload(*arguments):
        found = differ(*arguments)
        if found:
            live.lifecycle.unload("tiny", TEST)
        return found

    monkeypatch.setattr(reconciler, "_targets_that_differ", look_and_then_unload)
    live.gateways[0].models.clear()
    run_pass(reconciler)
    assert live.held() == [[]] * 3


def test_a_target_that_is_away_is_named_by_no_route_and_brought_up_to_date_before_it_is_again(live, reconciler):
    away = live.gateways[1]
    away.error = TritonUnavailableError("gone")
    run_pass(reconciler)
    assert live.seen() == {"one:1": (1,), "two:1": (), "three:1": (1,)}
    live.activate(2)
    live.drain()
    run_pass(reconciler)
    assert live.seen() == {"one:1": (2,), "two:1": (), "three:1": (2,)}
    away.error = None
    seen_before_each_call = []
    away.on_call = lambda call: seen_before_each_call.append(live.seen()["two:1"])
    run_pass(reconciler)
    assert live.held() == [[2]] * 3
    assert set(seen_before_each_call) == {()}
    assert live.seen()["two:1"] == (2,)


def test_a_target_that_comes_back_with_the_right_version_is_proven_before_it_is_named(live):
    live.gateways[1].error = TritonUnavailableError("gone")
    live.reconcile()
    live.gateways[1].error = None
    live.gateways[1].wrong.add(("tiny", 1))
    live.reconcile()
    assert live.seen()["two:1"] == ()
    live.gateways[1].wrong.clear()
    live.reconcile()
    assert live.seen()["two:1"] == (1,)


def test_a_target_that_was_away_for_a_moment_is_named_again_by_the_next_pass(live, reconciler):
    live.gateways[1].error = TritonUnavailableError("gone")
    run_pass(reconciler)
    live.gateways[1].error = None
    run_pass(reconciler)
    assert live.seen() == dict.fromkeys(TARGETS, (1,))


def test_what_is_written_down_of_a_model_that_nobody_wants_and_nobody_holds_is_corrected(live, reconciler):
    """As after an unload that died half way, and a restart of Triton."""
    live.store.note(live.state(), is_wanted=False)
    for gateway in live.gateways:
        gateway.models.clear()
    live.store.observe("never touched", TARGETS[0], (1,))
    run_pass(reconciler)
    assert live.seen() == dict.fromkeys(TARGETS, ())
    assert live.seen("never touched") == {TARGETS[0]: ()}


def test_without_any_target_nothing_is_ready_and_nothing_is_tried(live, reconciler):
    for gateway in live.gateways:
        gateway.error = TritonUnavailableError("gone")
    run_pass(reconciler)
    assert live.seen() == dict.fromkeys(TARGETS, ())
    assert not reconciler._failures


def test_a_model_whose_process_has_died_is_unloaded_and_loaded(live, reconciler):
    live.gateways[2].broken.add("tiny")
    _forget_calls(live)
    run_pass(reconciler)
    assert _calls(live) == [[], [], [("unload", "tiny"), ("load", "tiny")]]
    assert live.gateways[2].broken == set()
    assert live.seen() == dict.fromkeys(TARGETS, (1,))


def test_what_cannot_be_repaired_is_left_alone_longer_each_time_and_logged(live, reconciler, monkeypatch, caplog):
    now = [1000.0]
    monkeypatch.setattr(reconciler_module.time, "monotonic", lambda: now[0])
    live.gateways[0].models.clear()
    live.gateways[0].failures["load"] = ModelLoadError("tiny", "no room")
    attempts = []
    live.gateways[0].on_call = lambda call: attempts.append(now[0]) if call == "load" else None
    with caplog.at_level(logging.WARNING):
        for _ in range(200):
            reconciler.run_pass()
            _wait_for_repairs(reconciler)
            now[0] += 0.5
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert pauses[:4] == sorted(pauses[:4])
    assert pauses[0] < pauses[-1] <= 60.5
    assert len(attempts) < 10
    assert "model tiny on one:1 is not as it should be" in caplog.text
    assert "no room" in caplog.text


def _wait_for_repairs(reconciler) -> None:
    """As wait_until, on a clock that stands still."""
    idle = threading.Event()
    for _ in range(LIMIT_S * 1000):
        if not reconciler._under_way:
            return
        idle.wait(0.001)
    raise AssertionError("repairs are still under way")


def test_one_model_that_cannot_be_repaired_keeps_no_other_from_it(live, reconciler):
    live.lifecycle.load("other", TEST)
    live.gateways[0].refused["tiny", 1] = "no room"
    live.gateways[0].models.clear()
    run_pass(reconciler)
    assert live.held("other") == [[1]] * 3
    assert live.held() == [[], [1], [1]]
    live.gateways[0].refused.clear()
    live.reconcile()
    assert live.held() == [[1]] * 3


def test_a_repair_that_works_ends_the_pauses(live, reconciler):
    live.gateways[0].embed_errors["tiny"] = InferenceError("no")
    run_pass(reconciler)
    assert "tiny" in reconciler._failures
    reconciler._failures["tiny"] = (1, 0.0)  # The pause is over.
    live.gateways[0].embed_errors.clear()
    reconciler._proven_at = 0.0
    run_pass(reconciler)
    assert reconciler._failures == {}


def test_the_loop_repairs_by_itself_and_lets_its_lease_go_when_it_is_stopped(live, monkeypatch):
    monkeypatch.setattr(reconciler_module, "PASS_S", 0.01)
    reconciler, stop = live.reconciler(), threading.Event()
    loop = threading.Thread(target=reconciler.run, args=(stop,))
    loop.start()
    live.gateways[1].models.clear()
    wait_until(lambda: live.held() == [[1]] * 3)
    assert live.leases.try_acquire("controller") is None
    stop.set()
    loop.join(LIMIT_S)
    live.leases.try_acquire("controller").release()


def test_of_two_controllers_one_works_and_the_other_takes_over(live, database, repository, monkeypatch):
    monkeypatch.setattr(reconciler_module, "PASS_S", 0.01)
    standby_world = World(database, repository, live.gateways)
    loops = []
    for world in (live, standby_world):
        reconciler, stop = world.reconciler(), threading.Event()
        thread = threading.Thread(target=reconciler.run, args=(stop,))
        thread.start()
        loops.append((reconciler, stop, thread))
        wait_until(lambda: any(item[0]._lease is not None for item in loops))
    assert [item[0]._lease is not None for item in loops] == [True, False]
    loops[0][1].set()
    loops[0][2].join(LIMIT_S)
    live.gateways[0].models.clear()
    wait_until(lambda: live.held() == [[1]] * 3)
    loops[1][1].set()
    loops[1][2].join(LIMIT_S)


def test_an_error_of_one_pass_ends_no_loop(live, monkeypatch, caplog):
    monkeypatch.setattr(reconciler_module, "PASS_S", 0.01)
    reconciler, stop = live.reconciler(), threading.Event()
    errors = [DatabaseUnavailableError("gone"), ZeroDivisionError("a bug")]
    all_states = live.store.all

    def fail_at_first():
        if errors:
            raise errors.pop()
        return all_states()

    monkeypatch.setattr(live.store, "all", fail_at_first)
    live.gateways[1].models.clear()
    loop = threading.Thread(target=reconciler.run, args=(stop,))
    loop.start()
    wait_until(lambda: live.held() == [[1]] * 3)
    stop.set()
    loop.join(LIMIT_S)
    assert "a bug" in caplog.text


def test_a_lease_that_was_lost_is_given_up_before_another_is_asked_for(live):
    """A renewal that came late would otherwise hold it for ever, and nobody would reconcile."""
    reconciler = live.reconciler()
    live.leases._lease_s = 0.1
    assert reconciler._leads()
    lost = reconciler._lease
    lost._held_until = 0.0
    assert reconciler._leads()
    assert reconciler._lease is not lost
    assert not lost._renewer.is_alive()
    close(reconciler)
