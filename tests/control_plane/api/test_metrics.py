from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client.parser import text_string_to_metric_families

from control_plane.errors import DatabaseUnavailableError, InferenceError
from control_plane.observability.usage_store import Usage, UsageStore
from tests.control_plane.problem_assertions import assert_problem

USAGE = "/api/v1/models/usage"
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


def embed(client, model: str = "tiny"):
    return client.post("/api/v1/models/embedding", json={"texts": ["你好", "a b"], "model_type": model})


def scrape(client) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return {(sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(answer.text) for sample in family.samples}


def test_metrics_need_a_key(anonymous):
    assert_problem(anonymous.get("/metrics"), 401, "authentication")


def test_metrics_tell_what_a_model_did(client, loaded):
    assert embed(client).status_code == 200
    found = scrape(client)
    assert found["conch_requests_total", "tiny"] == 1
    assert found["conch_texts_total", "tiny"] == 2
    assert found["conch_characters_total", "tiny"] == 5
    assert found["conch_tokens_total", "tiny"] == 7
    assert found["conch_model_desired", "tiny"] == 1
    assert found["conch_http_responses_total", "/api/v1/models/embedding", "200"] == 1


def test_errors_of_a_model_are_counted_by_type(client, gateway, loaded):
    gateway.embed_errors["tiny"] = InferenceError("no")
    assert_problem(embed(client), 502, "inference")
    assert scrape(client)["conch_request_errors_total", "tiny", "inference"] == 1


def test_names_that_callers_make_up_have_no_series(client, loaded):
    for name in ("nope", "org/nope", "unexported"):
        assert embed(client, name).status_code in (404, 409)
    found = scrape(client)
    assert not {label for key in found for label in key} & {"nope", "org/nope", "unexported"}
    assert found["conch_http_responses_total", "/api/v1/models/embedding", "404"] == 2


def test_probes_are_no_requests_of_a_model(client, loaded):
    assert client.get("/ready").status_code == 200
    assert ("conch_requests_total", "tiny") not in scrape(client)


def test_a_load_is_timed(client, loaded):
    assert scrape(client)["conch_model_load_seconds", "tiny", "127.0.0.1:8001"] > 0


def test_usage_of_the_last_day_is_the_default(client, loaded):
    embed(client)
    embed(client)
    answer = client.get(USAGE).json
    begin, end = datetime.fromisoformat(answer["from"]), datetime.fromisoformat(answer["to"])
    assert end - begin in (timedelta(hours=24), timedelta(hours=25))
    usage, = answer["models"]
    assert usage.pop("duration_ms") > 0
    assert usage == {"model": "tiny", "requests": 2, "errors": 0, "texts": 4, "characters": 10, "tokens": 14}


@pytest.mark.parametrize(("begin", "end", "hours"), [
    ("2024-05-01T12:00:00Z", "2024-05-01T13:00:00Z", 1),
    ("2024-05-01T12:59:59Z", "2024-05-01T13:00:01Z", 2),
    ("2024-05-01T14:00:00%2B02:00", "2024-05-01T18:30:00%2B05:30", 1),
    ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00.000001Z", 1),
])
def test_the_period_is_stretched_to_whole_hours(client, services, begin, end, hours):
    store = UsageStore(services.database)
    for hour in range(-1, 3):
        store.add({("tiny", NOON + timedelta(hours=hour)): Usage(requests=1)})
    answer = client.get(f"{USAGE}?from={begin}&to={end}").json
    assert datetime.fromisoformat(answer["from"]) == NOON
    assert datetime.fromisoformat(answer["to"]) == NOON + timedelta(hours=hours)
    assert answer["models"][0]["requests"] == hours


def test_one_model_goes_by_any_of_its_names(client, loaded, services):
    embed(client)
    services.usage.flush()
    UsageStore(services.database).add({("other", datetime.now(timezone.utc)): Usage(requests=1)})
    answer = client.get(f"{USAGE}?model=org/tiny").json
    assert [usage["model"] for usage in answer["models"]] == ["tiny"]
    assert_problem(client.get(f"{USAGE}?model=nope"), 404, "model-not-found")


@pytest.mark.parametrize(("query", "field"), [
    ("from=yesterday", "from"), ("from=2024", "from"), ("from=1714521600", "from"), ("to=2024-05-01", "to"),
    ("to=2024-05-01T00:00:00", "to"), ("from=2024-05-01T00:00:00+02:00", "from"), ("from=0001-01-01T00:00:00Z", "from"),
    ("to=9999-12-31T23:59:59Z", "to"), ("from=2024-13-01T00:00:00Z", "from"), ("model=..", "model"),
    ("from=2024-05-01T00:00:00Z&to=2024-05-01T00:00:00Z", "from"), ("from=2999-12-31T23:59:59Z", "from"),
    ("period=1h", "period"),
])
def test_a_period_that_makes_no_sense_is_refused(client, query, field):
    assert_problem(client.get(f"{USAGE}?{query}"), 422, "invalid-request", field=field)


def test_usage_without_a_database_is_503(client, services, monkeypatch):
    def fail(*_: object) -> None:
        raise DatabaseUnavailableError("the database does not answer")

    monkeypatch.setattr(services.usage, "sums", fail)
    assert_problem(client.get(USAGE), 503, "database-unavailable")
