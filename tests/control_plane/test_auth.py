"""No route but /health and /ready answers without the key, and nothing ever shows it."""

import base64
import logging

import pytest

from control_plane.auth import PUBLIC_PATHS
from tests.control_plane.problem_assertions import assert_problem


def _operations(app):
    """Every path and method of the OpenAPI document."""
    return [(path, method) for path, item in app.api_doc["paths"].items() for method in item]


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


def _headers(kind: str, key: str) -> dict[str, str]:
    return {"bearer": {"Authorization": f"Bearer {key}"}, "x-api-key": {"X-API-Key": key},
            "basic": {"Authorization": _basic(key)}}[kind]


KINDS = ["bearer", "x-api-key", "basic"]


def test_every_documented_route_refuses_requests_without_key(app, anonymous):
    closed = [operation for operation in _operations(app) if operation[0] not in PUBLIC_PATHS]
    assert len(closed) >= 7
    for path, method in closed:
        response = anonymous.open(path, method=method.upper())
        assert_problem(response, 401, "authentication", "Authorization: Bearer <key>")
        assert response.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_documented_route_refuses_a_wrong_key(app, anonymous, key, kind):
    for path, method in _operations(app):
        if path not in PUBLIC_PATHS:
            response = anonymous.open(path, method=method.upper(), headers=_headers(kind, key + "x"))
            assert_problem(response, 401, "authentication")


@pytest.mark.parametrize("path", [
    "/docs/", "/docs/openapi.json", "/docs/swagger", "/", "/unknown", "/ready/", "//ready"])
def test_undocumented_paths_refuse_requests_without_key(anonymous, path):
    assert_problem(anonymous.get(path), 401, "authentication")


def test_health_and_ready_answer_without_key(anonymous, loaded):
    assert {"/health", "/ready"} == PUBLIC_PATHS
    assert anonymous.get("/health").status_code == 200
    assert anonymous.get("/ready").status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_key_is_accepted(anonymous, key, kind):
    assert anonymous.get("/api/v1/models/list", headers=_headers(kind, key)).status_code == 200


def test_scheme_is_compared_without_case(anonymous, key):
    assert anonymous.get("/v1/models", headers={"Authorization": f"bEARER {key}"}).status_code == 200


@pytest.mark.parametrize("headers", [
    {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": "Basic"},
    {"Authorization": "Basic !!!"}, {"Authorization": _basic("")}, {"Authorization": ""}, {"X-API-Key": ""},
    {"Authorization": "Bearer schlüssel"}, {"X-API-Key": "schlüssel"}, {"Authorization": _basic("钥匙")},
    {"Authorization": "Digest a=b"}, {"Authorization": "Bearer " + "x" * 8000},
], ids=lambda headers: ascii(headers)[:40])
def test_strange_credentials_are_refused_and_do_not_crash(anonymous, headers):
    assert_problem(anonymous.get("/v1/models", headers={name: value.encode().decode("latin-1")
                                                        for name, value in headers.items()}), 401, "authentication")


def test_a_key_in_the_url_is_no_key(anonymous, key):
    assert_problem(anonymous.get(f"/v1/models?api_key={key}"), 401, "authentication")


@pytest.mark.parametrize("kind", KINDS)
def test_key_is_neither_logged_nor_answered(anonymous, gateway, key, kind, caplog):
    caplog.set_level(logging.DEBUG)
    right, wrong = _headers(kind, key), _headers(kind, "another-secret")
    answers = [anonymous.get(path, headers=headers) for headers in (right, wrong)
               for path in ("/api/v1/models/list", "/api/v1/models/info?type=nope", "/unknown", "/docs/openapi.json")]
    gateway.error = RuntimeError("a bug")  # its trace goes to the log
    answers.append(anonymous.get("/api/v1/models/list", headers=right))
    shown = caplog.text + "".join(answer.text + str(answer.headers) for answer in answers)
    assert "a bug" in caplog.text
    for secret in (key, "another-secret"):
        assert secret not in shown
        assert _basic(secret) not in shown
