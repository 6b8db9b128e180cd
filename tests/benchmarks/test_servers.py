"""Tests that servers are started, waited for and stopped, with a small real HTTP server as the contestant."""

import sys

import pytest

from benchmarks.servers import Server, ServerPlan, free_port
from serving.errors import LaunchError
from serving.readiness import http_status

TIMEOUT_S = 30


def test_a_server_is_waited_for_and_stopped(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with Server(ServerPlan("files", command, url), tmp_path) as server:
        server.wait_until_ready(TIMEOUT_S)
        assert http_status(url) == 200
    assert http_status(url) is None


def test_a_server_that_ends_is_reported_at_once_with_its_log(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no weights here')"]
    with Server(ServerPlan("broken", command, f"http://127.0.0.1:{free_port()}/"), tmp_path) as server, \
            pytest.raises(LaunchError, match=r"(?s)broken ended with status 1.*no weights here"):
        server.wait_until_ready(TIMEOUT_S)
