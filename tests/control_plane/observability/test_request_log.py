import json
import logging
from dataclasses import replace

import pytest

from control_plane.app import create_app
from control_plane.observability.logs import JsonFormatter
from control_plane.observability.request_context import current_request
from control_plane.services import services as services_of


@pytest.fixture
def lines(caplog):
    """Return the access log so far."""
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.INFO, logger="conch.access")
    return lambda: [line for line in map(json.loads, caplog.text.splitlines()) if line["logger"] == "conch.access"]


def test_each_request_has_one_line(client, lines, loaded):
    client.post("/api/v1/models/embedding", json={"text": "a", "model_type": "org/tiny"},
                headers={"X-Request-Id": "abc.1"})
    line, = lines()
    assert line.pop("duration_ms") > 0
    del line["ts"]
    assert line == {"level": "info", "logger": "conch.access", "message": "POST /api/v1/models/embedding 200",
                    "request_id": "abc.1", "model": "tiny", "method": "POST", "path": "/api/v1/models/embedding",
                    "status": 200, "actor": "admin"}


def test_a_refused_request_has_a_line_without_an_actor(anonymous, lines):
    anonymous.get("/api/v1/models/list")
    line, = lines()
    assert (line["status"], line["actor"]) == (401, None)


def test_neither_query_nor_key_reach_the_log(client, key, lines):
    client.get(f"/api/v1/models/info?type=tiny&key={key}")
    client.get(f"/{key}")
    assert key not in json.dumps(lines())
    assert "type=tiny" not in json.dumps(lines())


def test_lines_can_be_turned_off(settings, gateway, lines):
    app = create_app(replace(settings, access_log=False), gateways=[gateway])
    assert app.test_client().get("/nope").headers["X-Request-Id"]
    assert lines() == []
    services_of(app).database.dispose()


@pytest.mark.parametrize("path", ["/health", "/nope", "/api/v1/models/list"])
def test_every_answer_has_the_id_of_its_request(anonymous, path):
    assert anonymous.get(path, headers={"X-Request-Id": "abc"}).headers["X-Request-Id"] == "abc"
    made = [anonymous.get(path, headers={"X-Request-Id": "not sane"}).headers["X-Request-Id"] for _ in range(2)]
    assert len({"not sane", *made}) == 3


def test_an_error_names_its_request(client):
    answer = client.get("/api/v1/models/info?type=nope", headers={"X-Request-Id": "abc"})
    assert answer.json["request_id"] == "abc"


def test_an_unexpected_error_is_logged_with_its_request(app, client, caplog, monkeypatch):
    caplog.handler.setFormatter(JsonFormatter())
    monkeypatch.setattr(services_of(app).models, "describe_all", lambda: 1 / 0)
    answer = client.get("/api/v1/models/list", headers={"X-Request-Id": "abc"})
    assert answer.status_code == 500
    line, = [line for line in map(json.loads, caplog.text.splitlines()) if "exception" in line]
    assert line["request_id"] == "abc"
    assert "ZeroDivisionError" in line["exception"]


def test_a_thread_forgets_its_request(client):
    client.get("/health")
    assert current_request() is None


def test_answers_are_counted_by_route_and_status(app, client):
    for path in ("/api/v1/models/info?type=tiny", "/api/v1/models/info?type=nope", "/nope/1", "/nope/2"):
        client.get(path)
    registry = services_of(app).metrics.registry
    counted = {(sample.labels["route"], sample.labels["status"]): sample.value for family in registry.collect()
               for sample in family.samples if sample.name == "conch_http_responses_total"}
    assert counted == {("/api/v1/models/info", "200"): 1, ("/api/v1/models/info", "404"): 1, ("", "404"): 2}
