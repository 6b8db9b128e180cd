"""Several Tritons by name; each answers or fails for itself."""

import threading

import pytest

from control_plane.errors import TritonUnavailableError
from control_plane.fleet import Fleet
from tests.control_plane.fakes import FakeGateway

LIMIT_S = 30


@pytest.fixture
def fleet(tmp_path):
    return Fleet(FakeGateway(tmp_path, f"{name}:1") for name in ("one", "two", "three"))


def test_names_are_the_addresses_in_their_order(fleet):
    assert fleet.names == ["one:1", "two:1", "three:1"]
    assert fleet.gateway("two:1").address == "two:1"


def test_each_target_has_its_result_or_its_own_exception(fleet):
    fleet.gateway("two:1").error = TritonUnavailableError("gone")
    outcomes = fleet.on_each(fleet.names, lambda gateway: gateway.ready_versions())
    assert list(outcomes) == ["one:1", "two:1", "three:1"]
    assert outcomes["one:1"] == outcomes["three:1"] == {}
    assert outcomes["two:1"] is fleet.gateway("two:1").error


def test_only_the_targets_that_are_named_are_asked(fleet):
    assert list(fleet.on_each(iter(["three:1"]), lambda gateway: gateway.address)) == ["three:1"]
    assert fleet.on_each([], lambda gateway: gateway.address) == {}


def test_targets_work_at_once(fleet):
    """Each waits for the others, so that one after the other would never end."""
    together = threading.Barrier(3, timeout=LIMIT_S)
    outcomes = fleet.on_each(fleet.names, lambda gateway: together.wait())
    assert sorted(outcomes.values()) == [0, 1, 2]


def test_models_for_vllm_have_targets_of_their_own(tmp_path, fleet):
    assert (fleet.holders(of_vllm=False), fleet.holders(of_vllm=True)) == (None, ())
    mixed = Fleet([FakeGateway(tmp_path, name) for name in ("one:1", "gpu:1", "two:1")], vllm=["gpu:1"])
    assert (mixed.holders(of_vllm=False), mixed.holders(of_vllm=True)) == (("one:1", "two:1"), ("gpu:1",))
