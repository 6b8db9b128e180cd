"""Ports are checked before anything starts, and starting servers are waited for but not for ever."""

import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from serving.errors import LaunchError
from serving.readiness import check_ports_free, http_json, http_status, wait_for

HOST = "127.0.0.1"


@pytest.fixture
def taken_port():
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port():
    with socket.create_server((HOST, 0)) as server:
        return server.getsockname()[1]


def test_a_taken_port_is_named_with_the_setting_that_moves_it(taken_port, free_port):
    with pytest.raises(LaunchError, match=f"port {taken_port} on {HOST}.*set CONCH_TRITON_GRPC_PORT to a free port"):
        check_ports_free(HOST, {"CONCH_HTTP_PORT": free_port, "CONCH_TRITON_GRPC_PORT": taken_port})


def test_free_ports_are_accepted_and_stay_free(free_port):
    check_ports_free(HOST, {"CONCH_HTTP_PORT": free_port})
    with socket.create_server((HOST, free_port)):
        pass


def test_a_port_that_a_stopped_server_has_just_left_is_free():
    with socket.create_server((HOST, 0)) as server, socket.create_connection(server.getsockname()) as client:
        port = server.getsockname()[1]
        server.accept()[0].close()  # Closing first leaves this end in TIME_WAIT for a minute.
        assert client.recv(1) == b""
    check_ports_free(HOST, {"CONCH_HTTP_PORT": port})


def test_an_address_of_another_machine_is_an_error_that_names_the_setting(free_port):
    with pytest.raises(LaunchError, match="CONCH_HTTP_PORT"):
        check_ports_free("192.0.2.1", {"CONCH_HTTP_PORT": free_port})  # RFC 5737: for documentation only


def test_waiting_ends_with_the_answer():
    answers = iter([False, False, True])
    wait_for(lambda: next(answers), "never said", timeout_s=30)
    assert next(answers, "all asked") == "all asked"


def test_a_server_that_never_answers_is_given_up_with_the_complaint():
    with pytest.raises(LaunchError, match=r"triton is not ready; see /logs/triton\.log \(waited 0\.2 s\)"):
        wait_for(lambda: False, "triton is not ready; see /logs/triton.log", timeout_s=0.2)


def test_an_error_while_waiting_is_passed_on():
    def ended() -> bool:
        raise LaunchError("triton ended")

    with pytest.raises(LaunchError, match="triton ended"):
        wait_for(ended, "never said", timeout_s=30)


@pytest.mark.parametrize("status", [200, 204, 404, 503])
def test_the_status_is_that_of_the_answer(status):
    with answering(status, b"") as url:
        assert http_status(url) == status


@pytest.mark.parametrize(("status", "body", "expected"), [
    (200, b'{"models": {"fast": "ready"}}', {"models": {"fast": "ready"}}),
    (503, b'{"ready": false}', {"ready": False}),
    (200, b"[1]", None), (200, b"ready", None), (404, b"", None)])
def test_a_json_object_is_read_whatever_the_status(status, body, expected):
    with answering(status, body) as url:
        assert http_json(url) == expected


def test_a_server_that_does_not_answer_has_no_status(free_port, taken_port):
    assert http_status(f"http://{HOST}:{free_port}/") is None
    assert http_status(f"http://{HOST}:{taken_port}/", timeout_s=0.1) is None
    assert http_json(f"http://{HOST}:{free_port}/") is None


@pytest.mark.parametrize("status", [200, 503])
def test_an_answer_that_breaks_off_is_none(status):
    with answering(status, b'{"models": {', promised=100) as url:
        assert http_json(url) is None


@contextmanager
def answering(status: int, body: bytes, promised: int | None = None) -> Iterator[str]:
    """The URL of a server that gives one answer, and promises so many bytes of it."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(promised or len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args) -> None:
            pass

    with http.server.HTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"http://{HOST}:{server.server_port}/ready"
        thread.join()


def _child(code: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code])
