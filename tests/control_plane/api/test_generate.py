"""POST /generate over a server elsewhere: one query, its context, at once or as a job."""

import pytest

from conch.jobs.generate import run
from control_plane.generation.query_arguments import QueryArguments
from tests.control_plane.problem_assertions import assert_problem

pytestmark = pytest.mark.usefixtures("far")


def _generate(client, **body):
    return client.post("/generate", json={"query": "你好", "model_id": "far", **body})


def test_a_query_is_answered_after_its_context(client, elsewhere):
    answer = _generate(client, context=["下雨了", "很冷"], max_length=9, temperature=0).json
    assert answer == {"model_id": "far", "result": "好的", "finish_reason": "stop", "dropped_context": 0,
                      "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}}
    [asked] = elsewhere.asked
    assert [message["content"] for message in asked["messages"]] == ["下雨了", "很冷", "你好"]
    assert all(set(message) == {"role", "content"} for message in asked["messages"])
    assert (asked["max_tokens"], asked["temperature"]) == (9, 0)


def test_what_is_left_out_is_as_the_platform_has_it(client, elsewhere, services):
    _generate(client)
    assert elsewhere.asked[0]["max_tokens"] == services.settings.max_new_tokens
    assert "temperature" not in elsewhere.asked[0]


def test_nobody_waits_for_a_job(client, elsewhere, services):
    response = _generate(client, use_async=True, max_length=5)
    assert response.status_code == 202
    assert response.headers["Location"].endswith(response.json["id"])
    assert response.json["arguments"] == {"query": "你好", "context": [], "max_length": 5, "model_id": "far"}
    assert elsewhere.asked == []


def test_the_job_gives_the_same_answer(client, elsewhere, settings, monkeypatch):
    monkeypatch.setenv("CONCH_HOME", str(settings.home))
    monkeypatch.setenv("CONCH_MODEL_REPOSITORY", str(settings.model_repository))
    steps = []
    answer = run(QueryArguments(query="你好", model_id="far"), lambda done, step: steps.append(step))
    assert answer["result"] == "好的"
    assert steps == ["asking far"]


@pytest.mark.parametrize("use_async", [False, True])
@pytest.mark.parametrize(("model", "status", "name"), [
    ("nope", 404, "model-not-found"), ("tiny", 409, "model-not-servable"), ("writer", 409, "model-not-exported")])
def test_a_model_that_cannot_write_says_why_at_once(client, model, status, name, use_async):
    assert_problem(_generate(client, model_id=model, use_async=use_async), status, name)


@pytest.mark.parametrize(("body", "field"), [
    ({"query": ""}, "query"), ({"query": "字" * 51}, "query"), ({"context": "text"}, "context"),
    ({"context": ["字" * 51]}, "context"), ({"max_length": 0}, "max_length"), ({"max_length": 2049}, "max_length"),
    ({"temperature": 2.1}, "temperature"), ({"temperature": "1"}, "temperature"), ({"use_async": "yes"}, "use_async"),
    ({"top_p": 1}, "top_p"),
])
def test_wrong_fields_are_named(client, elsewhere, body, field):
    assert_problem(_generate(client, **body), 422, "invalid-request", field=field)
    assert elsewhere.asked == []
