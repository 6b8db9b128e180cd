"""An export over REST on a running platform: accepted, followed, published, taken up after everything was killed."""

import time

import psutil
import pytest

from export.contract import version_numbers
from tests.functional.platform import ServedPlatform, wait_until

JOBS = "/api/v1/jobs"
LIMIT_S = 240
CATALOG = '[[models]]\nalias = "small"\ntask = "embedding"\nsources = [{{ kind = "path", path = "{path}" }}]\n'


@pytest.fixture(scope="module")
def served(small_checkpoint, tmp_path_factory):
    """A platform with an empty repository and a small checkpoint in its catalog."""
    home = tmp_path_factory.mktemp("jobs")
    (home / "catalog.toml").write_text(CATALOG.format(path=small_checkpoint), encoding="utf-8")
    platform = ServedPlatform(home, home / "model_repository", CONCH_PRELOAD_MODELS=",").start()
    yield platform
    platform.stop()


def submit(served, key: str | None = None):
    headers = {"Idempotency-Key": key} if key else None
    answer = served.rest("POST", "/api/v1/models/export", {"model": "small", "precision": "fp32"}, headers)
    assert answer.status == 202, answer
    return answer


def follow(served, job_id: str, until) -> list[dict]:
    """Return what the job looked like on the way to the moment when `until` holds for it."""
    deadline, seen = time.monotonic() + LIMIT_S, []
    while not (seen and until(seen[-1])):
        assert time.monotonic() < deadline, seen[-1]
        seen.append(served.rest("GET", f"{JOBS}/{job_id}").body)
        assert seen[-1]["state"] in ("queued", "running", "succeeded"), seen[-1]
        time.sleep(0.1)
    return seen


def has_begun(job: dict) -> bool:
    """Return whether a job has its checkpoint and works on it."""
    return job["progress"] > 0


def job_processes(served) -> list[psutil.Process]:
    return [process for process in served.descendants() if "conch.job_process" in " ".join(process.cmdline())]


def published(served) -> list[int]:
    """Return the versions of the model; fails where a part of another one is left."""
    assert list((served.repository / "small").glob(".staging*")) == []
    return version_numbers(served.repository / "small")


def test_an_export_over_rest_publishes_a_version_that_can_be_activated(served):
    versions = published(served)
    answer = submit(served, key="once")
    job_id = answer.headers["Location"].rpartition("/")[2]
    assert submit(served, key="once").body["id"] == job_id
    seen = follow(served, job_id, lambda job: job["state"] == "succeeded")
    progress = [job["progress"] for job in seen]
    assert progress == sorted(progress)
    assert len(set(progress)) > 3
    last = seen[-1]
    version = last["result"]["version"]
    assert (last["result"]["model"], last["attempts"], published(served)) == ("small", 1, [*versions, version])
    assert last["result"]["parity"]["min_cosine"] >= 0.9999
    steps = [line["line"] for line in last["log"]]
    assert steps[2:-1] == ["fetch checkpoint", "load checkpoint", "trace graph", "fit engine", "write tokenizer",
                           "prove parity", "publish"]
    assert served.rest("POST", f"/api/v1/models/small/versions/{version}/activate", {}).status == 200
    assert served.rest("POST", "/api/v1/models/embedding",
                       {"text": "x", "model_type": "small"}).body["model_version"] == str(version)
    assert [job["id"] for job in served.rest("GET", f"{JOBS}?state=succeeded&kind=export").body["jobs"]] == [job_id]


def test_a_cancelled_export_leaves_neither_a_process_nor_a_version(served):
    versions = published(served)
    job_id = submit(served).body["id"]
    follow(served, job_id, has_begun)
    processes = job_processes(served)
    assert served.rest("POST", f"{JOBS}/{job_id}/cancel", {"reason": "a mistake"}).status == 202
    wait_until(lambda: served.rest("GET", f"{JOBS}/{job_id}").body["state"] == "cancelled")
    assert psutil.wait_procs(processes, timeout=20)[1] == []
    assert published(served) == versions


def test_an_export_survives_that_everything_is_killed(served):
    versions = published(served)
    job_id = submit(served).body["id"]
    follow(served, job_id, has_begun)
    family = served.descendants()
    assert job_processes(served)
    served.process.kill()
    served.process.communicate()
    assert psutil.wait_procs(family, timeout=20)[1] == []
    served.start()
    last = follow(served, job_id, lambda job: job["state"] == "succeeded")[-1]
    assert (last["attempts"], published(served)) == (2, [*versions, last["result"]["version"]])
