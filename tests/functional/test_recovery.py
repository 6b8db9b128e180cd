"""What dies comes back, by itself, and callers are told the truth meanwhile.

One platform has to survive nearly everything; the last tests start it again with other settings.
"""

import contextlib
import threading
import time

import psutil
import pytest

from tests.functional.platform import ServedPlatform, wait_until

TRITON_BACK_S = 15
STUB_BACK_S = 10


@pytest.fixture(scope="module")
def served(exported, tmp_path_factory):
    platform = ServedPlatform(tmp_path_factory.mktemp("recovery"), exported).start().wait_until_it_watches()
    yield platform
    platform.stop()


def find(served, name: str) -> psutil.Process | None:
    """Return the descendant whose name or command line holds `name`, keepers left out; None where there is none."""
    for process in served.descendants():
        with contextlib.suppress(psutil.NoSuchProcess):  # zombies included
            command = " ".join(process.cmdline())
            if "serving.keeper" not in command and (name in process.name() or name in command):
                return process
    return None


def wait_for_another(served, name: str, pid: int, limit_s: float) -> None:
    """Wait until a process of that name runs that is not `pid`."""
    deadline = time.monotonic() + limit_s
    while (process := find(served, name)) is None or process.pid == pid:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def embed(served):
    return served.rest("POST", "/api/v1/models/embedding", {"text": "hello"})


def wait_until_answered(served, limit_s: float) -> None:
    began = time.monotonic()
    while embed(served).status != 200:
        assert time.monotonic() - began < limit_s
        time.sleep(0.1)


def test_a_killed_triton_is_back_with_its_models_and_callers_hear_the_truth(served):
    statuses, stop = set(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = embed(served)
            statuses.add(answer.status)
            if answer.status == 503:
                assert int(answer.headers["Retry-After"]) > 0
                assert served.rest("GET", "/ready").status in (200, 503)
            time.sleep(0.02)

    client = threading.Thread(target=ask)
    client.start()
    find(served, "tritonserver").kill()
    wait_until(lambda: served.rest("GET", "/ready").status == 503)
    assert served.rest("GET", "/health").status == 200
    wait_until_answered(served, TRITON_BACK_S)
    stop.set()
    client.join()
    assert statuses <= {200, 503}
    assert served.rest("GET", "/ready").status == 200


def test_a_killed_stub_is_noticed_and_its_model_reloaded(served):
    find(served, "triton_python_backend_stub").kill()
    began = time.monotonic()
    answer = embed(served)
    while answer.status != 200:
        assert answer.status == 503
        assert time.monotonic() - began < STUB_BACK_S
        time.sleep(0.1)
        answer = embed(served)


def test_a_stub_that_dies_while_nobody_asks_is_reloaded_too(served):
    stub = find(served, "triton_python_backend_stub")
    stub.kill()
    wait_for_another(served, "triton_python_backend_stub", stub.pid, STUB_BACK_S)
    wait_until_answered(served, STUB_BACK_S)


@pytest.mark.parametrize("victim", ["conch.controller", "gunicorn"])
def test_a_killed_part_of_the_control_plane_is_started_again(served, victim):
    process = find(served, victim)
    process.kill()
    wait_until_answered_despite_refusals(served)
    wait_for_another(served, victim, process.pid, 10)


def wait_until_answered_despite_refusals(served) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            if embed(served).status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the control plane did not come back")


def test_everything_killed_at_once_in_the_middle_of_a_load_is_as_it_was_after_a_restart(served):
    body = {"configuration": {"queue_delay_us": 50}}
    client = threading.Thread(target=lambda: ignore_refusal(
        lambda: served.rest("PUT", "/api/v1/models/fast/configuration", body)))
    client.start()
    time.sleep(0.3)
    served.process.kill()
    served.process.communicate()
    client.join()
    served.start()
    wait_until_answered(served, 20)
    info = served.rest("GET", "/api/v1/models/info?type=fast").body
    assert info["configuration"] in ({}, {"queue_delay_us": 50})
    with served.grpc() as triton:
        delay = triton.get_model_config("fast").config.dynamic_batching.max_queue_delay_microseconds
    assert delay == info["configuration"].get("queue_delay_us", 0)


def ignore_refusal(action) -> None:
    with contextlib.suppress(OSError):
        action()


def test_what_was_loaded_over_the_api_and_unloaded_survives_a_restart(served):
    served.rest("POST", "/api/v1/models/load", {"model_type": "fast", "policy": "on_demand"})
    served.stop()
    served.environment["CONCH_PRELOAD_MODELS"] = ","
    served.start()
    wait_until_answered(served, 20)
    served.rest("POST", "/api/v1/models/unload", {"model_type": "fast"})
    served.stop()
    served.start()
    time.sleep(3)
    assert embed(served).status == 409


def test_inference_goes_on_while_the_database_is_away(served):
    """The last test: what this leaves of the database serves nobody."""
    assert served.rest("POST", "/api/v1/models/load", {"model_type": "fast"}).status == 200
    assert embed(served).status == 200
    database = served.home / "conch.db"
    with database.open("rb") as file:
        content = file.read()
    for path in served.home.glob("conch.db*"):
        path.unlink()
    database.mkdir()  # nothing can open it as a database now
    try:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            assert embed(served).status == 200
            time.sleep(0.1)
    finally:
        database.rmdir()
        database.write_bytes(content)
