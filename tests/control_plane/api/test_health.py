"""/health tells whether the process lives, /ready whether a request would be answered."""

import pytest

from control_plane.errors import InferenceError, TritonUnavailableError
from tests.control_plane.fakes import CONFIG
from tests.control_plane.problem_assertions import assert_problem


def test_health_counts_the_loaded_models(anonymous, gateway):
    assert anonymous.get("/health").json == {"status": "healthy", "service": "conch", "loaded_models_count": 0}
    gateway.load("tiny", CONFIG)
    assert anonymous.get("/health").json["loaded_models_count"] == 1


def test_health_answers_200_without_triton(anonymous, gateway):
    gateway.error = TritonUnavailableError("gone")
    response = anonymous.get("/health")
    assert response.status_code == 200
    assert response.json["loaded_models_count"] is None


def test_ready_when_every_model_answers(anonymous, loaded):
    response = anonymous.get("/ready")
    assert response.status_code == 200
    assert response.json == {"ready": True, "models": {"tiny": "ready"}}
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize("broken", [False, True])
def test_not_ready_names_the_model_and_the_reason_and_says_when_to_retry(anonymous, gateway, broken):
    if broken:
        gateway.load("tiny", CONFIG)
        gateway.embed_errors["tiny"] = InferenceError("model 'tiny': the graph is broken")
    response = anonymous.get("/ready")
    assert response.status_code == 503
    assert response.content_type == "application/json"
    reason = "model 'tiny': the graph is broken" if broken else "not loaded"
    assert response.json == {"ready": False, "models": {"tiny": reason}}
    assert response.headers["Retry-After"] == "5"


def test_ready_without_triton_is_503_with_retry_after(anonymous, gateway):
    gateway.error = TritonUnavailableError("Triton at 127.0.0.1:8001 is not available: refused")
    response = anonymous.get("/ready")
    assert_problem(response, 503, "triton-unavailable", "127.0.0.1:8001")
    assert response.headers["Retry-After"] == "5"


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_load_balancers_may_ask_with_head(anonymous, loaded, path):
    response = anonymous.head(path)
    assert response.status_code == 200
    assert response.data == b""
