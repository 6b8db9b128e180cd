"""Preloading loads what CONCH_PRELOAD_MODELS names, once, and says which model Triton refused."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from conch.preload import preload_models
from control_plane.errors import ModelLoadError
from control_plane.lifecycle.store import Change
from control_plane.services import build_services
from control_plane.settings import Settings
from tests.control_plane.conftest import migrate
from tests.control_plane.fakes import FakeGateway, publish


@pytest.fixture
def gateway(tmp_path):
    """A fake Triton over a repository with two models."""
    for name in ("one", "two"):
        publish(tmp_path / "repository", name)
    return FakeGateway(tmp_path / "repository")


@pytest.fixture
def services(tmp_path, gateway):
    """Services whose settings preload both."""
    settings = Settings(home=tmp_path, model_repository=tmp_path / "repository", preload_models=("one", "two"))
    migrate(settings)
    return build_services(settings, [gateway])


def test_every_model_is_loaded_to_stay_in_the_order_of_the_setting(services, gateway):
    told = []
    assert preload_models(services, "test", told.append) == told == ["one", "two"]
    assert gateway.loaded == {"one": [1], "two": [1]}
    states = [services.store.find(name) for name in told]
    assert [(state.is_wanted, state.policy) for state in states] == [(True, "preload")] * 2
    services.database.dispose()


def test_a_second_time_changes_nothing(services):
    preload_models(services, "test")
    before = services.store.find("one").revision
    preload_models(services, "test")
    assert services.store.find("one").revision == before
    services.database.dispose()


def test_nothing_to_preload_is_no_error(services, gateway):
    preload_models(replace(services, settings=replace(services.settings, preload_models=())), "test")
    assert gateway.loaded == {}


def test_a_model_that_triton_refuses_is_named(services, gateway):
    gateway.refused["two", 1] = "no such file"
    with pytest.raises(ModelLoadError, match="'two': no such file"):
        preload_models(services, "test")
    services.database.dispose()


def test_the_command_says_in_one_line_what_is_wrong(tmp_path):
    migrate(Settings(home=tmp_path))
    environment = {**os.environ, "CONCH_HOME": str(tmp_path), "CONCH_MODEL_REPOSITORY": str(tmp_path / "repository"),
                   "CONCH_PRELOAD_MODELS": "fast"}
    ended = subprocess.run([sys.executable, "-m", "conch.preload"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("conch: model 'fast' has not been exported yet")
    assert ended.stderr.count("\n") == 1


def test_a_model_that_should_be_live_already_does_not_keep_the_others_from_being_loaded(services, gateway, caplog):
    services.lifecycle.load("one", Change("test"))
    gateway.models.clear()
    gateway.refused["one", 1] = "no such file"
    assert preload_models(services, "test") == ["two"]
    assert gateway.loaded == {"two": [1]}
    assert "one cannot be loaded now" in caplog.text
    assert "no such file" in caplog.text
    services.database.dispose()
