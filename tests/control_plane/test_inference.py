"""Which version and which target a request goes to, and what it hears when there is none."""

from collections import Counter

import numpy as np
import pytest

from control_plane.errors import (
    BrokenModelError,
    InferenceError,
    InferenceRejectedError,
    InferenceTimeoutError,
    InsufficientMemoryError,
    ModelLoadError,
    ModelNotLoadedError,
    TritonUnavailableError,
)
from control_plane.lifecycle.tables import ON_DEMAND
from tests.control_plane.fakes import publish, publish_intent, scores_of, vector_of
from tests.control_plane.lifecycle.world import TARGETS, TEST, World


@pytest.fixture
def world(database, tmp_path):
    """Three targets with version 1 of `tiny` live."""
    for version in (1, 2):
        publish(tmp_path / "repository", "tiny", version)
    world = World(database, tmp_path / "repository")
    world.activate(1)
    return world


@pytest.fixture
def inference(world):
    return world.inference()


def _answered(world) -> Counter:
    return Counter({gateway.address: len(gateway.texts) for gateway in world.gateways})


def test_the_active_version_answers_also_while_a_higher_one_is_loaded_beside_it(world, inference):
    world.activate(2)
    world.activate(1)
    assert world.held() == [[1, 2]] * 3
    answer = inference.embed("tiny", ["a"], {"truncate": False})
    assert answer.model_version == "1"
    assert np.array_equal(answer.vectors, [vector_of("a")])
    assert [gateway.parameters for gateway in world.gateways if gateway.texts] == [[{"truncate": False}]]


def test_a_classification_goes_the_same_way(database, tmp_path):
    publish_intent(tmp_path / "repository", "tiny")
    world = World(database, tmp_path / "repository")
    world.activate(1)
    answer = world.inference().classify("tiny", ["a"], {"truncate": False})
    assert (answer.labels, answer.model_version) == (("wealth", "爱情"), "1")
    assert np.array_equal(answer.scores, [scores_of("a", 2)])
    assert [gateway.parameters for gateway in world.gateways if gateway.texts] == [[{"truncate": False}]]


def test_targets_take_turns(world, inference):
    for _ in range(9):
        inference.embed("tiny", ["a"])
    assert _answered(world) == dict.fromkeys(TARGETS, 3)


def test_the_models_own_batch_limit_reaches_the_gateway(world):
    world.store.note(world.state(), configuration={"max_batch_size": 4})
    world.inference().embed("tiny", ["a"])
    assert [size for gateway in world.gateways for size in gateway.request_sizes] == [4]


@pytest.mark.parametrize("error", [
    TritonUnavailableError("gone"), BrokenModelError("dead"), ModelNotLoadedError("tiny")])
def test_a_target_that_does_not_answer_costs_no_request(world, inference, error):
    world.gateways[1].failures["embed"] = error
    for _ in range(9):
        assert inference.embed("tiny", ["a"]).model_version == "1"
    answered = _answered(world)
    assert answered["two:1"] == 0
    assert sum(answered.values()) == 9


@pytest.mark.parametrize("error", [InferenceError("no"), InferenceTimeoutError("slow"), InferenceRejectedError("bad")])
def test_what_another_target_would_refuse_too_is_not_asked_twice(world, inference, error):
    calls = []
    for gateway in world.gateways:
        gateway.failures["embed"] = error
        gateway.on_call = calls.append
    with pytest.raises(type(error), match=str(error)):
        inference.embed("tiny", ["a"])
    assert calls == ["embed"]


@pytest.mark.parametrize(("error", "raised"), [
    (TritonUnavailableError("gone"), TritonUnavailableError), (BrokenModelError("dead"), BrokenModelError),
    (ModelNotLoadedError("tiny"), TritonUnavailableError)])
def test_nobody_is_asked_more_than_twice_and_a_model_that_should_be_live_is_no_mistake_of_the_callers(
        world, inference, error, raised):
    calls = []
    for gateway in world.gateways:
        gateway.failures["embed"] = error
        gateway.on_call = calls.append
    with pytest.raises(raised):
        inference.embed("tiny", ["a"])
    assert calls == ["embed", "embed"]


def test_a_version_that_was_retired_meanwhile_is_looked_up_again(world, inference):
    inference.embed("tiny", ["a"])
    world.activate(2)
    world.drain()
    world.reconcile()
    assert world.held() == [[2]] * 3
    assert inference.embed("tiny", ["a"]).model_version == "2"


def test_what_is_wanted_but_nowhere_ready_is_unavailable(world):
    for target in TARGETS:
        world.store.observe("tiny", target, (), "gone")
    with pytest.raises(TritonUnavailableError, match="'tiny' is not ready on any Triton; it is being loaded"):
        world.inference().embed("tiny", ["a"])


def test_what_nobody_wants_is_not_loaded_also_while_it_still_is(world, inference):
    inference.embed("tiny", ["a"])
    world.lifecycle.unload("tiny", TEST)
    with pytest.raises(ModelNotLoadedError):
        inference.embed("tiny", ["a"])
    with pytest.raises(ModelNotLoadedError):
        inference.embed("nobody ever loaded this", ["a"])


def test_a_load_is_known_to_a_worker_that_has_just_refused(world, inference):
    world.lifecycle.unload("tiny", TEST)
    with pytest.raises(ModelNotLoadedError):
        inference.embed("tiny", ["a"])
    world.lifecycle.load("tiny", TEST)
    assert inference.embed("tiny", ["a"]).model_version == "1"


def test_a_request_wakes_an_on_demand_model(world, inference):
    world.lifecycle.load("tiny", TEST, ON_DEMAND)
    world.store.note(world.state(), is_resident=False)
    world.reconcile()
    assert world.held() == [[]] * 3
    assert inference.embed("tiny", ["a"]).model_version == "1"
    assert world.held() == [[1]] * 3


def test_an_on_demand_model_that_cannot_be_loaded_says_why(world):
    world.lifecycle.load("tiny", TEST, ON_DEMAND)
    world.store.note(world.state(), is_resident=False)
    world.reconcile()
    world.gateways[0].refused["tiny", 1] = "no room"
    with pytest.raises(ModelLoadError, match="no room"):
        world.inference().embed("tiny", ["a"])
    assert not world.state().is_resident


def test_a_target_that_runs_out_of_memory_costs_no_request_where_another_has_some(world, inference):
    world.gateways[1].failures["embed"] = InsufficientMemoryError("tiny", "out of memory")
    for _ in range(6):
        assert inference.embed("tiny", ["a"]).model_version == "1"
    assert _answered(world)["two:1"] == 0
