"""Runs Triton and the control plane as children of this process, and stops both together."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from control_plane.app import connect_triton, model_service, triton_secret
from control_plane.settings import Settings
from control_plane.triton_gateway import TritonGateway
from export.contract import version_numbers
from serving.errors import LaunchError
from serving.processes import adopt_orphans, start_child, start_kept, stop_children
from serving.readiness import check_ports_free, http_status, wait_for
from serving.triton.distribution import find_distribution, lay_out_backends
from serving.triton.server import ServerOptions, server_command, server_environment

_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 15
_POLL_S = 0.2


class Platform:
    """Triton and gunicorn under one foreground process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log_dir = settings.home / "logs"
        self._children: dict[str, subprocess.Popen] = {}
        self._stopping = False

    def start(self, on_step: Callable[[str], None]) -> None:
        """Start everything and return when /ready says so; raises LaunchError with the way out."""
        adopt_orphans()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, self._ask_to_stop)
        self._check_preconditions()
        on_step("start Triton")
        gateway = self._start_triton()
        self._load_models(gateway, on_step)
        on_step("start the control plane")
        self._start_control_plane()

    def wait(self) -> None:
        """Return when asked to stop; raises LaunchError when a child ends by itself."""
        while not self._stopping:
            self._check_children()
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End every descendant process; further signals cannot cut this short."""
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, signal.SIG_IGN)
        stop_children(_STOP_TIMEOUT_S)

    def _check_children(self) -> None:
        for name, process in self._children.items():
            if process.poll() is not None:
                raise LaunchError(f"{name} ended unexpectedly with status {process.returncode}; see {self._log(name)}")

    def _ask_to_stop(self, signal_number: int, frame: object) -> None:
        if not self._stopping:
            self._stopping = True
            raise KeyboardInterrupt

    def _check_preconditions(self) -> None:
        settings = self._settings
        for name in settings.preload_models:
            if not version_numbers(settings.model_repository / name):
                raise LaunchError(f"model {name!r} is not in {settings.model_repository}; run `conch export {name}`, "
                                  "or leave it out of CONCH_PRELOAD_MODELS")
        check_ports_free(settings.host, {
            "CONCH_HTTP_PORT": settings.http_port, "CONCH_TRITON_HTTP_PORT": settings.triton_http_port,
            "CONCH_TRITON_GRPC_PORT": settings.triton_grpc_port,
            "CONCH_TRITON_METRICS_PORT": settings.triton_metrics_port})

    def _start_triton(self) -> TritonGateway:
        settings = self._settings
        distribution = find_distribution()
        options = ServerOptions(
            model_repository=settings.model_repository,
            backend_dir=lay_out_backends(distribution, settings.home / "triton" / "backends"),
            host=settings.host, http_port=settings.triton_http_port, grpc_port=settings.triton_grpc_port,
            metrics_port=settings.triton_metrics_port,
            secret=triton_secret(settings))
        gateway = connect_triton(settings)
        self._start("triton", start_kept, server_command(distribution, options), server_environment(distribution),
                    gateway.is_live)
        return gateway

    def _load_models(self, gateway: TritonGateway, on_step: Callable[[str], None]) -> None:
        models = model_service(self._settings, gateway)
        for name in self._settings.preload_models:
            on_step(f"load {name}")
            models.load(name)

    def _start_control_plane(self) -> None:
        settings = self._settings
        command = [
            sys.executable, "-m", "gunicorn", "conch.wsgi:create()", "--worker-class", "gthread",
            "--workers", str(settings.workers), "--threads", str(settings.worker_threads),
            "--bind", f"{settings.host}:{settings.http_port}", "--graceful-timeout", "10", "--keep-alive", "75",
            "--no-control-socket", "--worker-tmp-dir", "/dev/shm",  # noqa: S108 - gunicorn's own advice: no disk waits
        ]
        url = f"http://{settings.local_host}:{settings.http_port}/ready"
        self._start("control-plane", start_child, command, None, lambda: http_status(url) == 200)

    def _start(self, name: str, start: Callable[..., subprocess.Popen], command: list[str],
               environment: dict[str, str] | None, answers: Callable[[], bool]) -> None:
        self._children[name] = start(command, environment, self._log(name))

        def is_up() -> bool:
            self._check_children()
            return answers()

        wait_for(is_up, f"{name} is not ready; see {self._log(name)}", _START_TIMEOUT_S)

    def _log(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"
