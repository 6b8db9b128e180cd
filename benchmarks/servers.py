"""Starts the servers under test as child processes on loopback and stops them again; knows nothing of loads."""

import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from serving.errors import LaunchError
from serving.processes import start_child
from serving.readiness import http_status, wait_for

STOP_TIMEOUT_S = 30


@dataclass(frozen=True)
class ServerPlan:
    """How to start one server and how to tell that it is ready."""

    name: str
    command: list[str]
    ready_url: str  # answers 200 once the server can be measured
    environment: dict[str, str] = field(default_factory=dict)


class Server:
    """A running server; a context manager that stops it. Entering does not wait, so that several can start at once."""

    def __init__(self, plan: ServerPlan, log_dir: Path) -> None:
        self.plan = plan
        self._log_file = log_dir / f"{plan.name}.log"

    def __enter__(self) -> "Server":
        self._process = start_child(self.plan.command, self.plan.environment, self._log_file)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until_ready(self, timeout_s: float) -> None:
        """Return once the server is ready; raises LaunchError, with the end of the log, when it is not in time."""
        try:
            wait_for(self._answers, f"{self.plan.name} is not ready", timeout_s)
        except LaunchError as error:
            # The log lies in a temporary directory that does not outlive this error.
            raise LaunchError(f"{error}:\n{self._log_file.read_text(errors='replace')[-2000:]}") from error

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise LaunchError(f"{self.plan.name} ended with status {self._process.returncode}")
        return http_status(self.plan.ready_url) == 200


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
