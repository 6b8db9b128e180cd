"""/health tells whether the process lives, /ready whether a request would be answered."""

import pytest

from control_plane.errors import InferenceError, TritonUnavailableError
from control_plane.lifecycle.store import Change
from tests.control_plane.problem_assertions import assert_problem


def _lose_database(settings) -> None:
    """Leave something that is no database where the database was."""
    for file in settings.home.glob("conch.db*"):
        file.unlink()
    (settings.home / "conch.db").mkdir()


def test_health_counts_the_loaded_models(anonymous, loaded):
    answer = anonymous.get("/health").json
    assert 0 < answer.pop("memory_usage") < 100
    assert answer == {"status": "healthy", "service": "conch", "loaded_models_count": 1}


def test_health_answers_200_with_nothing_loaded(anonymous):
    assert anonymous.get("/health").json["loaded_models_count"] == 0


def test_health_answers_200_without_triton(anonymous, gateway, loaded):
    gateway.error = TritonUnavailableError("gone")
    assert anonymous.get("/health").status_code == 200


def test_health_answers_200_without_a_database(anonymous, services, settings):
    services.database.dispose()
    _lose_database(settings)
    response = anonymous.get("/health")
    assert (response.status_code, response.json["loaded_models_count"]) == (200, None)


def test_ready_when_every_model_answers(anonymous, loaded):
    response = anonymous.get("/ready")
    assert response.status_code == 200
    assert response.json == {"ready": True, "models": {"tiny": "ready"}}
    assert "Retry-After" not in response.headers


def test_ready_when_nothing_should_be_loaded(anonymous):
    response = anonymous.get("/ready")
    assert (response.status_code, response.json) == (200, {"ready": True, "models": {}})


def test_not_ready_names_the_model_and_the_reason_and_says_when_to_retry(anonymous, gateway, loaded):
    gateway.embed_errors["tiny"] = InferenceError("model 'tiny': the graph is broken")
    response = anonymous.get("/ready")
    assert response.status_code == 503
    assert response.content_type == "application/json"
    assert response.json == {"ready": False, "models": {"tiny": "model 'tiny': the graph is broken"}}
    assert response.headers["Retry-After"] == "5"


def test_a_model_that_should_be_live_but_is_nowhere_is_not_ready(anonymous, services, loaded, gateway):
    services.store.observe("tiny", gateway.address, (), "it has gone")
    response = anonymous.get("/ready")
    assert response.status_code == 503
    assert "is not ready on any Triton" in response.json["models"]["tiny"]


def test_a_model_that_was_unloaded_is_not_asked(anonymous, services, loaded):
    services.lifecycle.unload("tiny", Change("test"))
    assert anonymous.get("/ready").json == {"ready": True, "models": {}}


def test_not_ready_without_triton(anonymous, gateway, loaded):
    gateway.error = TritonUnavailableError("Triton at 127.0.0.1:8001 is not available: refused")
    response = anonymous.get("/ready")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "127.0.0.1:8001" in response.json["models"]["tiny"]


def test_not_ready_while_nobody_knows_what_should_be_live(anonymous, services, settings):
    services.database.dispose()
    _lose_database(settings)
    assert_problem(anonymous.get("/ready"), 503, "database-unavailable", "is not known yet")


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_load_balancers_may_ask_with_head(anonymous, loaded, path):
    response = anonymous.head(path)
    assert response.status_code == 200
    assert response.data == b""
