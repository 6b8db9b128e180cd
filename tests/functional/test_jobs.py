"""An export over REST on a running platform: accepted, followed, published, taken up after everything was killed."""

import time

import psutil
import pytest

from tests.functional.platform import ServedPlatform

JOBS = "/api/v1/jobs"
LIMIT_S = 240


@pytest.fixture
def served(exported, own_repository, tmp_path):
    """A platform with a repository of its own and the checkpoints that `fast` was exported from."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "checkpoints").symlink_to(exported.parent / "checkpoints")
    platform = ServedPlatform(home, own_repository).start()
    yield platform
    platform.stop()


def submit(served, key: str | None = None):
    headers = {"Idempotency-Key": key} if key else None
    answer = served.rest("POST", "/api/v1/models/export", {"model": "fast"}, headers)
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


def test_an_export_over_rest_publishes_a_version_that_can_be_activated(served):
    answer = submit(served, key="once")
    job_id = answer.headers["Location"].rpartition("/")[2]
    assert submit(served, key="once").body["id"] == job_id
    seen = follow(served, job_id, lambda job: job["state"] == "succeeded")
    progress = [job["progress"] for job in seen]
    assert progress == sorted(progress)
    assert len(set(progress)) > 3
    last = seen[-1]
    assert (last["result"]["model"], last["result"]["version"], last["attempts"]) == ("fast", 2, 1)
    assert last["result"]["parity"]["min_cosine"] >= 0.9999
    steps = [line["line"] for line in last["log"]]
    assert steps[2:-1] == ["fetch checkpoint", "load checkpoint", "trace graph", "fit engine", "write tokenizer",
                           "prove parity", "publish"]
    assert served.rest("POST", "/api/v1/models/fast/versions/2/activate", {}).status == 200
    assert served.rest("POST", "/api/v1/models/embedding", {"text": "x"}).body["model_version"] == "2"
    assert [job["id"] for job in served.rest("GET", f"{JOBS}?state=succeeded&kind=export").body["jobs"]] == [job_id]


def test_an_export_survives_that_everything_is_killed(served):
    job_id = submit(served).body["id"]
    follow(served, job_id, has_begun)
    family = served.descendants()
    assert job_processes(served)
    served.process.kill()
    served.process.communicate()
    assert psutil.wait_procs(family, timeout=20)[1] == []
    served.start()
    last = follow(served, job_id, lambda job: job["state"] == "succeeded")[-1]
    assert (last["attempts"], last["result"]["version"]) == (2, 2)
    assert sorted(path.name for path in (served.repository / "fast").glob("[0-9]*")) == ["1", "2"]
    assert list((served.repository / "fast").glob(".staging*")) == []


def test_a_cancelled_export_leaves_neither_a_process_nor_a_version(served):
    job_id = submit(served).body["id"]
    follow(served, job_id, has_begun)
    processes = job_processes(served)
    assert served.rest("POST", f"{JOBS}/{job_id}/cancel", {"reason": "a mistake"}).status == 202
    deadline = time.monotonic() + LIMIT_S
    while served.rest("GET", f"{JOBS}/{job_id}").body["state"] != "cancelled":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert psutil.wait_procs(processes, timeout=20)[1] == []
    assert sorted(path.name for path in (served.repository / "fast").glob("[0-9]*")) == ["1"]
    assert list((served.repository / "fast").glob(".staging*")) == []
