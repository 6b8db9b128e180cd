"""The use cases: a submitted job wakes a controller, and is described as callers see it."""

import threading

import pytest
from pydantic import BaseModel

from control_plane.errors import ControlPlaneError, JobStateError
from control_plane.jobs.claims import JobClaims
from control_plane.jobs.job_service import JobService
from control_plane.jobs.kinds import JobKind
from control_plane.jobs.wake_queue import WakeQueue


class Arguments(BaseModel):
    model: str
    name: str | None = None


@pytest.fixture
def queue(tmp_path):
    return WakeQueue(None, tmp_path / "huey.db")


@pytest.fixture
def service(store, queue):
    return JobService(store, queue, {"tiny": JobKind(Arguments, "nowhere", max_attempts=5)})


def submit(service, **arguments):
    return service.submit("tiny", Arguments(model="fast", **arguments), "ada")


def test_a_submitted_job_is_described_and_wakes(service, queue):
    job = submit(service)
    assert (job["state"], job["arguments"], job["created_by"], job["max_attempts"]) == (
        "queued", {"model": "fast"}, "ada", 5)
    assert job["created_at"].endswith("+00:00")
    assert (job["started_at"], job["finished_at"]) == (None, None)
    woken = threading.Thread(target=queue.wait, args=(60, threading.Event()))
    woken.start()
    woken.join(30)
    assert not woken.is_alive()


def test_a_job_is_submitted_though_the_queue_is_away(store, tmp_path):
    away = WakeQueue(None, tmp_path)  # A directory, which is no database.
    job = submit(JobService(store, away, {"tiny": JobKind(Arguments, "nowhere")}))
    assert store.find(job["id"]).state == "queued"


def test_pages_lead_through_all_jobs_and_end(service):
    ids = sorted((submit(service)["id"] for _ in range(5)), reverse=True)
    found, cursor = [], None
    for expected in (2, 2, 1):
        page = service.page(2, cursor, None, None)
        assert len(page["jobs"]) == expected
        found += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert found == ids
    assert service.page(5, None, None, None)["next_cursor"] is None


def test_a_description_has_as_much_of_the_log_as_is_asked_for(service, database):
    job = submit(service)
    claims = JobClaims(database)
    claims.note(claims.claim_next(), "hello")
    assert [line["line"] for line in service.describe(job["id"], 1)["log"]] == ["hello"]
    assert service.describe(job["id"], 0)["log"] == []


def test_a_retry_gives_as_many_attempts_as_the_kind_has(service):
    job = submit(service)
    service.cancel(job["id"], "ada", "")
    assert service.retry(job["id"], "ada", "")["max_attempts"] == 5
    with pytest.raises(JobStateError):
        service.retry(job["id"], "ada", "")


def test_a_kind_that_only_another_conch_has_is_not_retried(service, store):
    job = store.submit("future", {}, 1, "ada")
    store.cancel(job.id, "ada")
    with pytest.raises(ControlPlaneError, match="no jobs of kind 'future'"):
        service.retry(job.id, "ada", "")
