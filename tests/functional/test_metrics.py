"""Metrics, usage and logs of a real platform with two workers."""

import json
import re
import signal
import urllib.request

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from export.contract import SECRET_HEADER
from tests.functional.platform import ServedPlatform, wait_until
from tests.meta.test_deploy import backend_metrics, control_plane_metrics
from tests.triton_metrics import TRITON_METRICS

REQUESTS = 12


@pytest.fixture(scope="module")
def served(exported, tmp_path_factory):
    platform = ServedPlatform(tmp_path_factory.mktemp("metrics"), exported, MAX_PROCESSES="2").start()
    yield platform
    platform.stop()


def embed(served, request_id: str | None = None, **body: object):
    headers = {"X-Request-Id": request_id} if request_id else None
    return served.rest("POST", "/api/v1/models/embedding", {"text": "你好", **body}, headers)


def scrape(served) -> dict[tuple[str, ...], float]:
    """Return the control plane's metrics: (name, label values in the order of the labels' names) -> value."""
    page = read(f"http://127.0.0.1:{served.http_port}/metrics", {"Authorization": f"Bearer {served.key}"})
    return {(sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(page) for sample in family.samples}


def read(url: str, headers: dict[str, str]) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.read().decode()


def gunicorn(served) -> psutil.Process:
    """Return gunicorn's master, which is listed before its workers."""
    return next(process for process in served.descendants() if process.cmdline()[1:3] == ["-m", "gunicorn"])


def log_lines(served, name: str) -> list[dict]:
    return [json.loads(line) for line in (served.home / "logs" / f"{name}.log").read_text().splitlines()]


def counted(served) -> int:
    """Return the requests that the usage has."""
    return sum(usage["requests"] for usage in served.rest("GET", "/api/v1/models/usage").body["models"])


def test_usage_is_written_when_the_platform_stops(served):
    """The first test, so that nobody has asked anything yet."""
    assert counted(served) == 0
    embed(served)
    served.stop()
    served.start()
    assert counted(served) == 1


def test_two_workers_count_together_and_a_killed_one_loses_no_count(served):
    before = scrape(served).get(("conch_requests_total", "fast"), 0)
    for _ in range(REQUESTS):
        assert embed(served).status == 200
    assert scrape(served)["conch_requests_total", "fast"] == before + REQUESTS
    master = gunicorn(served)
    victim = master.children()[0]
    victim.send_signal(signal.SIGKILL)
    wait_until(lambda: len(master.children()) == 2 and victim not in master.children())
    found = scrape(served)
    assert found["conch_requests_total", "fast"] == before + REQUESTS
    assert found.get(("conch_active_requests", "fast"), 0) == 0


def test_desired_and_actual_state_load_time_and_memory_of_the_real_model(served):
    found, target = scrape(served), f"127.0.0.1:{served.triton_grpc_port}"
    assert found["conch_model_desired", "fast"] == 1
    assert found["conch_model_ready", "fast", target] == 1
    assert found["conch_model_active_version", "fast"] == 1
    assert found["conch_model_load_seconds", "fast", target] > 0
    assert found["conch_target_up", target] == found["conch_database_up",] == 1
    stubs = [process for process in served.descendants() if process.name().startswith("triton_python")]
    assert found["conch_model_memory_bytes", "fast"] == pytest.approx(
        sum(process.memory_info().rss for process in stubs), rel=0.2)


def test_errors_are_counted_by_type(served):
    key = ("conch_request_errors_total", "fast", "inference-rejected")
    before = scrape(served).get(key, 0)
    assert embed(served, prompt_name="nothing").status == 422
    assert scrape(served)[key] == before + 1


def test_every_metric_that_the_dashboard_may_ask_triton_for_is_there(served):
    assert embed(served).status == 200
    page = read(f"http://127.0.0.1:{served.triton_metrics_port}/metrics", {})
    names = set(re.findall(r"^(\w+)", page, flags=re.MULTILINE))
    # No generator is loaded here.
    encoders = {name for name in backend_metrics() if not name.startswith("conch_generator_")}
    assert names >= TRITON_METRICS | encoders


def test_every_recorded_metric_that_the_dashboard_may_ask_for_is_there(served):
    assert embed(served, prompt_name="nothing").status == 422
    names = {name for name, *_ in scrape(served)}
    assert names >= set(control_plane_metrics()) - {"conch_jobs"}


def test_usage_of_both_workers_reaches_the_database(served):
    before = counted(served)
    for _ in range(REQUESTS):
        embed(served)
    wait_until(lambda: counted(served) >= before + REQUESTS)


def test_a_request_id_is_in_the_log_and_in_triton_s(served):
    with served.grpc() as client:
        headers = {f"triton-grpc-protocol-{SECRET_HEADER}": served.secret}
        client.update_log_settings({"log_verbose_level": 1}, headers=headers)
        try:
            answer = embed(served, "functional-test.1")
        finally:
            client.update_log_settings({"log_verbose_level": 0}, headers=headers)
    assert answer.headers["X-Request-Id"] == "functional-test.1"
    line = next(line for line in log_lines(served, "control-plane") if line.get("request_id") == "functional-test.1")
    assert (line["path"], line["status"], line["model"], line["actor"]) == (
        "/api/v1/models/embedding", 200, "fast", "admin")
    assert "functional-test.1" in (served.home / "logs" / "triton.log").read_text()


def test_every_line_of_the_web_workers_and_the_controller_is_json(served):
    assert {"gunicorn.error", "conch.access"} <= {line["logger"] for line in log_lines(served, "control-plane")}
    assert all(line["level"] for line in log_lines(served, "controller"))
