"""Versions of a model over the real Triton: activation, rollback, configuration, and what refuses them."""

import json
import os
import shutil
import threading
import time

import numpy as np
import pytest

from control_plane.lifecycle.routes import MAX_AGE_S
from export.contract import MANIFEST_FILE
from tests.functional.platform import ServedPlatform, text_tensor, wait_until

VERSIONS = "/api/v1/models/fast/versions"
EMBED = "/api/v1/models/embedding", {"text": "今天天气怎么样"}
CLIENTS = 16
PAUSE_S = 0.05  # of each client after an answer: other tests run beside
SWITCHES = 20


@pytest.fixture(scope="module")
def repository(exported, tmp_path_factory):
    return shutil.copytree(exported, tmp_path_factory.mktemp("versions") / "model_repository")


@pytest.fixture(scope="module")
def served(repository, tmp_path_factory):
    """A platform that was started with version 1 of `fast`, then got one that answers alike and one that is damaged."""
    platform = ServedPlatform(tmp_path_factory.mktemp("lifecycle"), repository).start()
    for version in (2, 3):
        copy_version(repository / "fast", 1, version)
    (repository / "fast" / "3" / "model.onnx").write_bytes(b"damaged")
    yield platform
    platform.stop()


def copy_version(model_dir, source: int, target: int, **changes: object) -> None:
    shutil.copytree(model_dir / str(source), model_dir / str(target))
    path = model_dir / str(target) / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": target, **changes}))


def activate(served, version: int, etag: str | None = None, **body: object):
    headers = {"If-Match": etag} if etag else None
    return served.rest_patiently("POST", f"{VERSIONS}/{version}/activate", body, headers)


def embed(served):
    return served.rest_patiently("POST", *EMBED)


@pytest.fixture(autouse=True)
def version_one(served):
    """Each test begins and ends with version 1 alone.

    tritonserver 2.51 crashes now and then when it loads a model anew while another of its versions goes.
    """
    yield
    assert activate(served, 1).status == 200
    wait_until(lambda: loaded_versions(served) == [1])


def loaded_versions(served) -> list[int]:
    return served.rest("GET", "/api/v1/models/info?type=fast").body["loaded_versions"]


def test_new_versions_do_not_become_active_by_themselves(served):
    listed = served.rest("GET", VERSIONS).body
    assert (listed["active_version"], [item["version"] for item in listed["versions"]]) == (1, [1, 2, 3])


def test_activation_switches_every_client_and_retires_the_old_version(served):
    answer = activate(served, 2, reason="better")
    assert (answer.status, answer.body["active_version"], answer.body["previous_version"]) == (200, 2, 1)
    assert embed(served).body["model_version"] == "2"
    wait_until(lambda: loaded_versions(served) == [2])
    with served.grpc() as client:
        assert client.infer("fast", [text_tensor(["x"])]).get_response().model_version == "2"
    line = served.rest("GET", "/api/v1/models/fast/history?limit=1").body["history"][0]
    assert (line["action"], line["from_version"], line["to_version"], line["reason"], line["actor"]) == (
        "activate", 1, 2, "better", "admin")


def test_rollback_returns_to_the_version_before(served):
    activate(served, 2)
    answer = served.rest("POST", "/api/v1/models/fast/rollback", {})
    assert (answer.status, answer.body["active_version"], answer.body["previous_version"]) == (200, 1, 2)
    assert embed(served).body["model_version"] == "1"


def test_a_warm_previous_version_stays_loaded(served):
    assert activate(served, 2, keep_warm=True).status == 200
    time.sleep(7)  # longer than a version drains
    assert loaded_versions(served) == [1, 2]
    assert embed(served).body["model_version"] == "2"
    assert activate(served, 2, keep_warm=False).status == 200


def test_of_two_racing_administrators_one_gets_412(served):
    etag = served.rest("GET", VERSIONS).headers["ETag"]
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(activate(served, 2, etag))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, 412]


@pytest.mark.parametrize(("version", "status", "kind", "says"), [
    (9, 404, "version-not-found", "it has 1, 2, 3"),
    (3, 409, "model-load", "sha256"),
])
def test_a_version_that_cannot_be_served_is_refused_and_the_active_one_goes_on(served, version, status, kind, says):
    answer = activate(served, version)
    assert (answer.status, answer.body["type"].rpartition(":")[2]) == (status, kind)
    assert says in answer.body["detail"]
    assert embed(served).body["model_version"] == "1"
    assert served.rest("GET", VERSIONS).body["active_version"] == 1


def test_another_dimension_is_refused_unless_forced(served, repository):
    copy_version(repository / "fast", 1, 4, dimension=128)
    try:
        answer = activate(served, 4)
        assert (answer.status, answer.body["type"].rpartition(":")[2]) == (409, "version-refused")
        assert "384" in answer.body["detail"]
    finally:
        shutil.rmtree(repository / "fast" / "4")


def test_configuration_changes_at_run_time_and_a_refused_one_changes_nothing(served):
    def configure(**configuration: int):
        return served.rest_patiently("PUT", "/api/v1/models/fast/configuration", {"configuration": configuration})

    assert configure(max_queue_size=7, queue_delay_us=100).status == 200
    with served.grpc() as client:
        batching = client.get_model_config("fast").config.dynamic_batching
    assert (batching.default_queue_policy.max_queue_size, batching.max_queue_delay_microseconds) == (7, 100)
    # Validation lets it pass, the model refuses more instances than cores.
    refused = configure(instances=len(os.sched_getaffinity(0)) + 1)
    assert refused.status == 409
    assert "cores" in refused.body["detail"]
    assert embed(served).status == 200
    assert served.rest("GET", "/api/v1/models/info?type=fast").body["configuration"] == {
        "max_queue_size": 7, "queue_delay_us": 100}
    assert configure(instances=0).status == 422
    assert configure().status == 200


def test_a_smaller_batch_limit_still_takes_long_requests(served):
    body = {"configuration": {"max_batch_size": 4}}
    assert served.rest_patiently("PUT", "/api/v1/models/fast/configuration", body).status == 200
    answer = served.rest("POST", "/api/v1/models/embedding", {"texts": [str(number) for number in range(11)]})
    assert (answer.status, len(answer.body["embeddings"])) == (200, 11)
    served.rest("PUT", "/api/v1/models/fast/configuration", {"configuration": {}})


def test_unload_and_load_again(served):
    body = {"model_type": "fast"}
    assert served.rest("POST", "/api/v1/models/unload", body).body["state"] == "exported"
    assert embed(served).status == 409
    with served.grpc() as client:
        assert not client.is_model_ready("fast")
    assert served.rest("POST", "/api/v1/models/load", body).body["loaded_versions"] == [1]
    assert embed(served).status == 200


def test_twenty_switches_under_load_fail_no_request(served):
    """Every answer comes from a version that was live when it was asked, and is the same vector."""
    expected = np.array(embed(served).body["embedding"])
    failures: list = []
    answers: list[tuple[float, float, int]] = []  # asked, answered, version
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            asked = time.monotonic()
            answer = served.rest("POST", *EMBED)
            if answer.status != 200:
                failures.append(answer)
            elif not np.allclose(answer.body["embedding"], expected, atol=1e-2):
                failures.append("another vector")
            else:
                answers.append((asked, time.monotonic(), int(answer.body["model_version"])))
            time.sleep(PAUSE_S)

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    switched: list[tuple[float, float, int]] = []
    try:
        for number in range(SWITCHES):
            began, version = time.monotonic(), 2 - number % 2
            assert activate(served, version).status == 200
            switched.append((began, time.monotonic(), version))
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert not failures
    assert len(answers) > 100
    for asked, answered, version in answers:
        assert version in versions_live_between(asked, answered, switched)


def versions_live_between(asked: float, answered: float, switched) -> set[int]:
    """Return the versions that could answer: the last one switched to, and those being switched to meanwhile.

    A worker may go by what it knew half a second ago.
    """
    done = [version for _, ended, version in switched if ended < asked - MAX_AGE_S]
    during = {version for began, ended, version in switched if began < answered and ended >= asked - MAX_AGE_S}
    return {done[-1] if done else 1, *during}
