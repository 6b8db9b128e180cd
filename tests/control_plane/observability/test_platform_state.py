import pytest

from control_plane.database.database import Database
from control_plane.errors import TritonUnavailableError
from control_plane.fleet import Fleet
from control_plane.jobs.store import JobStore
from control_plane.lifecycle.store import Change, ModelStore
from control_plane.observability.metrics import STATE_METRICS
from control_plane.observability.platform_state import PlatformState
from tests.control_plane.fakes import FakeGateway

A, B = "a:8001", "b:8001"
CHANGE = Change("test")


@pytest.fixture
def gateways(tmp_path):
    return [FakeGateway(tmp_path, A), FakeGateway(tmp_path, B)]


@pytest.fixture
def store(database):
    return ModelStore(database)


@pytest.fixture
def read(database, store, gateways, tmp_path):
    """Return what a scrape would see: (metric, label values) -> value."""
    state = PlatformState(store, JobStore(database), Fleet(gateways), tmp_path / "home", tmp_path / "repository")

    def collect() -> dict[tuple[str, ...], float]:
        return {(family.name, *sample.labels.values()): sample.value
                for family in state.collect() for sample in family.samples}

    return collect


def test_what_should_be_and_what_is_are_side_by_side(store, read):
    store.change(store.find("tiny"), "load", CHANGE, is_wanted=True, active_version=2)
    store.observe("tiny", A, (2,), load_s=1.5)
    store.observe("tiny", B, (1,), "stuck")
    found = read()
    assert found["conch_model_desired", "tiny"] == 1
    assert found["conch_model_active_version", "tiny"] == 2
    assert found["conch_model_ready", "tiny", A] == 1
    assert found["conch_model_ready", "tiny", B] == 0
    assert found["conch_model_load_seconds", "tiny", A] == 1.5
    assert ("conch_model_load_seconds", "tiny", B) not in found
    assert found["conch_database_up",] == 1


def test_a_target_that_was_never_looked_at_is_not_ready(store, read):
    store.change(store.find("tiny"), "load", CHANGE, is_wanted=True, active_version=1)
    assert read()["conch_model_ready", "tiny", A] == 0


def test_only_the_targets_of_a_model_count(store, read):
    store.change(store.find("tiny"), "load", CHANGE, is_wanted=True, active_version=1, targets=(A,))
    assert {key for key in read() if key[0] == "conch_model_ready"} == {("conch_model_ready", "tiny", A)}


def test_an_unloaded_model_is_not_desired(store, read):
    store.change(store.find("tiny"), "unload", CHANGE, is_wanted=False)
    found = read()
    assert found["conch_model_desired", "tiny"] == 0
    assert ("conch_model_active_version", "tiny") not in found


def test_looking_again_keeps_how_long_the_last_load_took(store, read):
    store.change(store.find("tiny"), "load", CHANGE, is_wanted=True, active_version=1)
    store.observe("tiny", A, (1,), load_s=1.5)
    store.observe("tiny", A, (), "gone")
    store.observe("tiny", A, (1,))
    assert read()["conch_model_load_seconds", "tiny", A] == 1.5
    store.observe("tiny", A, (1,), load_s=2.5)
    assert read()["conch_model_load_seconds", "tiny", A] == 2.5


def test_targets_are_asked_whether_they_answer(read, gateways):
    gateways[1].error = TritonUnavailableError("away")
    found = read()
    assert (found["conch_target_up", A], found["conch_target_up", B]) == (1, 0)


def test_jobs_have_a_series_for_every_state(database, read):
    assert not any(key[0] == "conch_jobs" for key in read())
    JobStore(database).submit("export", {}, 1, "test")
    found = read()
    assert found["conch_jobs", "export", "queued"] == 1
    assert found["conch_jobs", "export", "failed"] == 0


def test_without_a_database_the_rest_is_still_told(tmp_path, gateways, caplog):
    away = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    state = PlatformState(ModelStore(away), JobStore(away), Fleet(gateways), tmp_path / "home", tmp_path / "repository")
    families = {family.name: family.samples for family in state.collect()}
    assert set(families) == set(STATE_METRICS)
    assert [sample.value for sample in families["conch_database_up"]] == [0]
    assert [sample.value for sample in families["conch_target_up"]] == [1, 1]
    assert families["conch_model_desired"] == []
    assert "left out of the metrics" in caplog.text
    away.dispose()
