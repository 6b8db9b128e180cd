"""Starts the platform as a user does, `conch serve` on free loopback ports, and talks to it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import tritonclient.grpc as triton

from tests.ports import free_ports

CONCH = str(Path(sys.executable).with_name("conch"))
START_TIMEOUT_S = 60
INTENTS = ("wealth", "love", "career", "health")  # what the newest version of conftest's intent_repository knows


@dataclass(frozen=True)
class Answer:
    """A REST answer."""

    status: int
    body: dict
    headers: dict


class ServedPlatform:
    """One running `conch serve` with a home and ports of its own."""

    def __init__(self, home: Path, repository: Path, **settings: str) -> None:
        self.home = home
        self.repository = repository
        self.http_port, self.triton_http_port, self.triton_grpc_port, self.triton_metrics_port = free_ports(4)
        self.environment = {**os.environ, "CONCH_HOME": str(home), "CONCH_MODEL_REPOSITORY": str(repository),
                            "CONCH_HTTP_PORT": str(self.http_port),
                            "CONCH_TRITON_HTTP_PORT": str(self.triton_http_port),
                            "CONCH_TRITON_GRPC_PORT": str(self.triton_grpc_port),
                            "CONCH_TRITON_METRICS_PORT": str(self.triton_metrics_port), **settings}
        self.process: subprocess.Popen | None = None

    def start(self, command: list[str] | None = None) -> "ServedPlatform":
        """Start it and wait for /ready."""
        self.launch(command)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"conch serve did not start: {self.process.communicate(timeout=20)[0]}")
            time.sleep(0.1)
        return self

    def launch(self, command: list[str] | None = None) -> None:
        """Start it and wait for nothing; one that was started before has ended."""
        if self.process is not None:
            self.process.communicate(timeout=30)
        self.process = subprocess.Popen(command or [CONCH, "serve"], env=self.environment, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)

    def wait_until_it_watches(self) -> "ServedPlatform":
        """Wait until `conch serve` has said that all is up: from then on it starts again what dies.

        /ready may answer a moment earlier, and a child that dies by then ends the start.
        """
        while "Stop with Ctrl-C" not in (line := self.process.stdout.readline()):
            assert line, "conch serve has ended"
        return self

    def stop(self) -> str:
        """Ask it to stop and return what it printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=30)[0]

    def descendants(self) -> list[psutil.Process]:
        """Return every process below `conch serve`."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def is_ready(self) -> bool:
        """Return whether /ready answers 200."""
        try:
            return self.rest("GET", "/ready").status == 200
        except OSError:
            return False

    @property
    def key(self) -> str:
        """The admin API key."""
        return (self.home / "admin.key").read_text().strip()

    @property
    def secret(self) -> str:
        """The secret for Triton's restricted APIs, which no user needs."""
        return (self.home / "triton.secret").read_text().strip()

    def rest(self, method: str, path: str, body: object = None, headers: dict | None = None) -> Answer:
        """Call the control plane."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        if (self.home / "admin.key").exists():
            headers["Authorization"] = f"Bearer {self.key}"
        return http(method, f"http://127.0.0.1:{self.http_port}{path}", body, headers)

    def rest_patiently(self, method: str, path: str, body: object = None, headers: dict | None = None) -> Answer:
        """Call the control plane as a client that tries again after a 503."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while (answer := self.rest(method, path, body, headers)).status == 503 and time.monotonic() < deadline:
            time.sleep(0.5)
        return answer

    def triton_http(self, method: str, path: str, body: object = None, headers: dict | None = None) -> Answer:
        """Call Triton's HTTP endpoint with JSON."""
        return http(method, f"http://127.0.0.1:{self.triton_http_port}{path}", body, headers or {})

    def grpc(self, port: int | None = None) -> triton.InferenceServerClient:
        """Return a client for Triton's gRPC endpoint, or for another Triton's."""
        return triton.InferenceServerClient(f"127.0.0.1:{port or self.triton_grpc_port}")

    def triton_statistics(self, port: int):
        """Return the statistics of every model of the Triton on `port`."""
        with self.grpc(port) as client:
            return client.get_inference_statistics().model_stats


def wait_until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def http(method: str, url: str, body: object, headers: dict) -> Answer:
    """Send JSON, return the parsed answer whatever its status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Answer(response.status, json.loads(response.read() or b"{}"), dict(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, json.loads(error.read() or b"{}"), dict(error.headers))


def text_tensor(texts: list[str | bytes], module=triton):
    """Return the `text` input of a KServe request, BYTES [texts, 1]."""
    rows = [[text if isinstance(text, bytes) else text.encode()] for text in texts]
    tensor = module.InferInput("text", [len(texts), 1], "BYTES")
    tensor.set_data_from_numpy(np.array(rows, dtype=object))
    return tensor
