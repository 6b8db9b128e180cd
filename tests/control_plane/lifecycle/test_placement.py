"""A placement is a value: equal by what it says, never changed. Models are placed where their backend is."""

from dataclasses import FrozenInstanceError

import pytest

from control_plane.errors import ModelLoadError
from control_plane.lifecycle.placement import Placement
from tests.control_plane.fakes import publish_generator
from tests.control_plane.lifecycle.world import TARGETS, TEST, World


def test_placements_are_equal_by_what_they_say():
    assert Placement("tiny", (1,), {"instances": 2}) == Placement("tiny", (1,), {"instances": 2})
    assert Placement("tiny", (1,)) != Placement("tiny", (1,), {"instances": 2})
    assert Placement("tiny") == Placement("tiny", (), {})


def test_a_placement_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Placement("tiny").versions = (1,)


def test_a_model_is_loaded_where_its_backend_is_and_follows_when_tritons_change(database, repository):
    publish_generator(repository, "writer", engine="vllm", golden_text="", golden_token_ids=())
    world = World(database, repository, vllm=TARGETS[2:])
    world.lifecycle.load("tiny", TEST)
    world.lifecycle.load("writer", TEST)
    assert world.held("tiny") == [[3], [3], []]
    assert world.held("writer") == [[], [], [1]]
    later = World(database, repository, world.gateways, vllm=TARGETS[1:])
    later.lifecycle.activate("writer", 1, TEST)
    later.lifecycle.load("tiny", TEST)
    later.reconcile()
    assert later.held("tiny") == [[3], [], []]
    assert later.held("writer") == [[], [1], [1]]


def test_a_model_that_no_triton_can_hold_is_not_loaded(database, repository):
    publish_generator(repository, "writer", engine="vllm")
    with pytest.raises(ModelLoadError, match="no Triton of CONCH_TRITON_URLS has the vLLM backend"):
        World(database, repository).lifecycle.load("writer", TEST)
    with pytest.raises(ModelLoadError, match="no Triton of CONCH_TRITON_URLS has Conch's own backends"):
        World(database, repository, vllm=TARGETS).lifecycle.load("tiny", TEST)
