"""Tritons of a fleet on loopback ports, which a test kills and starts again."""

import socket
import time
from pathlib import Path

from serving.processes import start_child
from serving.triton.distribution import find_distribution, lay_out_backends
from serving.triton.server import ServerOptions, server_command, server_environment
from tests.ports import free_ports

SECRET = "a secret of the fleet"


class FleetTriton:
    """One Triton of the fleet, to be killed and started again on the same ports."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self._folder, self._repository = folder, repository
        self.http_port, self.grpc_port, self.metrics_port = free_ports(3)
        self.address = f"127.0.0.1:{self.grpc_port}"
        self.process = None

    def start(self) -> "FleetTriton":
        distribution = find_distribution()
        options = ServerOptions(
            model_repository=self._repository, backend_dir=lay_out_backends(distribution, self._folder / "backends"),
            host="127.0.0.1", http_port=self.http_port, grpc_port=self.grpc_port, metrics_port=self.metrics_port,
            secret=SECRET)
        self.process = start_child(server_command(distribution, options), server_environment(distribution),
                                  self._folder / "triton.log")
        return self

    def wait_live(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.grpc_port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError(f"Triton on {self.grpc_port} does not answer")

    def kill(self) -> None:
        """Have it die as a machine does, without a word."""
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None
