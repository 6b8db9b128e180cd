"""/api/v1/jobs and exports over REST: what is queued, what is refused, how a caller follows a job."""

import pytest

from control_plane.jobs.claims import JobClaims
from tests.control_plane.problem_assertions import assert_problem

EXPORT = "/api/v1/models/export"
JOBS = "/api/v1/jobs"


@pytest.fixture
def claims(services) -> JobClaims:
    return services.job_claims


def submit(client, key=None, **body):
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(EXPORT, json={"model": "tiny", **body}, headers=headers)


def test_an_export_is_accepted_as_a_job_and_location_leads_to_it(client):
    answer = submit(client, name="mine", precision="int8", engine="onnxruntime", min_cosine=0.97)
    assert answer.status_code == 202
    job = client.get(answer.headers["Location"]).json
    assert job == {**answer.json, "log": job["log"]}
    assert answer.headers["Location"] == f"{JOBS}/{job['id']}"
    assert (job["kind"], job["state"], job["progress"], job["created_by"]) == ("export", "queued", 0.0, "admin")
    assert job["arguments"] == {
        "model": "tiny", "name": "mine", "precision": "int8", "engine": "onnxruntime", "min_cosine": 0.97,
        "force": False, "gpus": 1}
    assert [line["line"] for line in job["log"]] == ["submitted by admin"]


def test_a_hub_id_that_the_catalog_does_not_list_is_accepted(client):
    assert submit(client, model="somebody/something").status_code == 202


@pytest.mark.parametrize("path", ["/etc/passwd", "./model", "../model", "~/model", "s3://bucket/model", "a/b/c", "a\\b",
                                  "", "a\x00", "hub/..", "model\n"], ids=repr)
def test_an_export_takes_no_path(client, path):
    assert_problem(submit(client, model=path), 422, "invalid-request", field="model")
    assert client.get(JOBS).json["jobs"] == []


@pytest.mark.parametrize(("body", "field"), [
    ({"name": "../../tmp/x"}, "name"), ({"name": ""}, "name"), ({"name": 1}, "name"),
    ({"precision": "fp8"}, "precision"), ({"engine": "tensorrt"}, "engine"),
    ({"min_cosine": 2}, "min_cosine"), ({"min_cosine": "x"}, "min_cosine"),
    ({"model": None}, "model"), ({"model": ["tiny"]}, "model"), ({"source": "path"}, "source")])
def test_what_an_export_cannot_take_names_the_field_and_queues_nothing(client, body, field):
    assert_problem(submit(client, **body), 422, "invalid-request", field=field)
    assert client.get(JOBS).json["jobs"] == []


def test_an_export_of_an_unknown_model_is_404_and_of_a_refused_one_409(client):
    assert_problem(submit(client, model="nope"), 404, "model-not-found", "'nope'", "tiny")
    assert_problem(submit(client, model="foreign"), 409, "model-not-servable", "it runs code from its repository")
    assert client.get(JOBS).json["jobs"] == []


def test_the_same_idempotency_key_gives_the_same_job(client):
    first, second = submit(client, key="a"), submit(client, key="a")
    assert (second.status_code, second.json["id"]) == (202, first.json["id"])
    assert submit(client, key="b").json["id"] != first.json["id"]


def test_the_same_idempotency_key_for_another_request_is_422(client):
    first = submit(client, key="a")
    assert_problem(submit(client, key="a", engine="openvino"), 422, "idempotency-conflict", "'a'", first.json["id"])
    assert len(client.get(JOBS).json["jobs"]) == 1


@pytest.mark.parametrize("given", ["", "a" * 192, "schlüssel"], ids=["empty", "long", "not ASCII"])
def test_an_idempotency_key_that_is_none_is_422(client, given):
    assert_problem(submit(client, key=given), 422, "invalid-request", field="Idempotency-Key")


def test_a_job_shows_its_progress_and_in_the_end_its_result(client, claims):
    location = submit(client).headers["Location"]
    claim = claims.claim_next()
    claims.report(claim, 0.5, "prove parity")
    running = client.get(location).json
    assert (running["state"], running["progress"], running["step"]) == ("running", 0.5, "prove parity")
    claims.succeed(claim, {"version": 2})
    ended = client.get(f"{location}?log_lines=1").json
    assert (ended["state"], ended["progress"], ended["result"]) == ("succeeded", 1.0, {"version": 2})
    assert [line["line"] for line in ended["log"]] == ["succeeded"]


def test_jobs_are_listed_newest_first_page_by_page(client):
    ids = sorted((submit(client).json["id"] for _ in range(3)), reverse=True)
    first = client.get(f"{JOBS}?limit=2").json
    assert [job["id"] for job in first["jobs"]] == ids[:2]
    second = client.get(f"{JOBS}?limit=2&cursor={first['next_cursor']}").json
    assert [job["id"] for job in second["jobs"]] == ids[2:]
    assert second["next_cursor"] is None


def test_jobs_are_listed_by_state_and_kind(client, claims):
    submit(client)
    submit(client)
    claims.claim_next()
    for query, count in (("state=queued", 1), ("state=running", 1), ("state=failed", 0), ("kind=export", 2)):
        assert len(client.get(f"{JOBS}?{query}").json["jobs"]) == count, query


@pytest.mark.parametrize(("query", "field"), [
    ("state=done", "state"), ("kind=nope", "kind"), ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"),
    ("cursor=" + "a" * 65, "cursor"), ("page=1", "page")])
def test_a_wrong_question_names_its_field(client, query, field):
    assert_problem(client.get(f"{JOBS}?{query}"), 422, "invalid-request", field=field)


def test_a_waiting_job_is_cancelled_and_can_be_run_once_more(client):
    location = submit(client).headers["Location"]
    cancelled = client.post(f"{location}/cancel", json={"reason": "a mistake"})
    assert (cancelled.status_code, cancelled.json["state"]) == (202, "cancelled")
    assert cancelled.headers["Location"] == location
    assert client.get(location).json["log"][-1]["line"] == "cancellation asked for by admin: a mistake"
    again = client.post(f"{location}/retry", json={})
    assert (again.status_code, again.json["state"], again.json["id"]) == (202, "queued", cancelled.json["id"])


def test_what_the_state_does_not_allow_is_409(client):
    location = submit(client).headers["Location"]
    assert_problem(client.post(f"{location}/retry", json={}), 409, "job-state", "is queued")
    client.post(f"{location}/cancel", json={})
    assert_problem(client.post(f"{location}/cancel", json={}), 409, "job-state", "is cancelled")


@pytest.mark.parametrize("name", ["nope", "0" * 32, "..%2f..", "%00"])
def test_a_job_that_does_not_exist_is_404(client, name):
    for answer in (client.get(f"{JOBS}/{name}"), client.post(f"{JOBS}/{name}/cancel", json={}),
                   client.post(f"{JOBS}/{name}/retry", json={})):
        assert answer.status_code == 404


def test_the_body_of_a_cancellation_may_hold_nothing_but_a_reason(client):
    location = submit(client).headers["Location"]
    assert_problem(client.post(f"{location}/cancel", json={"force": True}), 422, "invalid-request", field="force")
    assert client.get(location).json["state"] == "queued"


def test_nobody_without_a_key_learns_of_jobs(anonymous):
    for answer in (anonymous.get(JOBS), anonymous.get(f"{JOBS}/nope"), submit(anonymous)):
        assert_problem(answer, 401, "authentication")
