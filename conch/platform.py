"""Runs Triton, the controller and the web workers as children of this process, and starts again what dies."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conch.preload import preload_models
from control_plane.database import migration
from control_plane.database.database import Database
from control_plane.services import Services, build_services, triton_secret
from control_plane.settings import Settings, environment_with
from export.contract import version_numbers
from serving.errors import LaunchError
from serving.processes import adopt_orphans, start_child, stop_children
from serving.readiness import http_json, wait_for, wait_for_ports
from serving.triton.distribution import find_distribution, lay_out_backends
from serving.triton.server import ServerOptions, server_command, server_environment

_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 15
_PORT_TIMEOUT_S = 2  # Those of a platform that was killed a moment ago are not free at once.
_POLL_S = 0.2
# A child that keeps dying is started again more and more slowly, and yet so soon that answers come back within 15 s.
_RESTART_PAUSES_S = (0.0, 1.0, 2.0, 5.0)
_STEADY_S = 60.0     # one that ran this long starts afresh


@dataclass
class Child:
    """One process that should run, and how often it died in a row."""

    name: str
    start: Callable[[], subprocess.Popen]
    process: subprocess.Popen
    started_at: float
    deaths: int = 0
    restart_at: float | None = None


class Platform:
    """Triton, the controller and gunicorn under one foreground process."""

    def __init__(self, settings: Settings, on_restart: Callable[[str], None] = lambda message: None) -> None:
        self._settings = settings
        self._on_restart = on_restart
        self._log_dir = settings.home / "logs"
        self._children: dict[str, Child] = {}
        self._stopping = False

    @property
    def starts_triton(self) -> bool:
        """Whether Triton runs here and not elsewhere."""
        return not self._settings.triton_urls

    def start(self, on_step: Callable[[str], None]) -> None:
        """Start everything and return when what could be preloaded answers; raises LaunchError with the way out.

        Other models that should be live may take longer, or lack what they need; `models_not_ready` says.
        """
        adopt_orphans()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, self._ask_to_stop)
        self._check_ports()
        on_step("prepare the database")
        self._prepare_database()
        services = build_services(self._settings)
        self._check_exported(services)
        on_step("start Triton" if self.starts_triton else "find Triton")
        if self.starts_triton:
            self._start_triton(services)
        loaded = preload_models(services, "conch serve", lambda name: on_step(f"load {name}"))
        on_step("start the control plane")
        self._start_control_plane(loaded)

    def models_not_ready(self) -> dict[str, str]:
        """Return why each model that should be live does not answer, by name, as /ready has it."""
        return {name: reason for name, reason in (self._models() or {}).items() if reason != "ready"}

    def wait(self) -> None:
        """Return when asked to stop; until then start again what dies."""
        while not self._stopping:
            for child in self._children.values():
                self._revive(child)
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End every descendant process; further signals cannot cut this short."""
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, signal.SIG_IGN)
        stop_children(_STOP_TIMEOUT_S)

    def _revive(self, child: Child) -> None:
        if child.restart_at is None and child.process.poll() is not None:
            now = time.monotonic()
            child.deaths = 1 if now - child.started_at > _STEADY_S else child.deaths + 1
            pause_s = _RESTART_PAUSES_S[min(child.deaths, len(_RESTART_PAUSES_S)) - 1]
            child.restart_at = now + pause_s
            self._on_restart(f"{child.name} ended unexpectedly with status {child.process.returncode}; see "
                             f"{self._log(child.name)}; it is started again in {pause_s:g} s")
        if child.restart_at is not None and time.monotonic() >= child.restart_at:
            child.process, child.started_at, child.restart_at = child.start(), time.monotonic(), None

    def _check_children(self) -> None:
        for child in self._children.values():
            if child.process.poll() is not None:
                raise LaunchError(f"{child.name} ended unexpectedly with status {child.process.returncode}; see "
                                  f"{self._log(child.name)}")

    def _ask_to_stop(self, signal_number: int, frame: object) -> None:
        if not self._stopping:
            self._stopping = True
            raise KeyboardInterrupt

    def _check_ports(self) -> None:
        settings = self._settings
        ports = {"CONCH_HTTP_PORT": settings.http_port}
        if self.starts_triton:
            ports |= {"CONCH_TRITON_HTTP_PORT": settings.triton_http_port,
                      "CONCH_TRITON_GRPC_PORT": settings.triton_grpc_port,
                      "CONCH_TRITON_METRICS_PORT": settings.triton_metrics_port}
        wait_for_ports(settings.host, ports, _PORT_TIMEOUT_S)

    def _check_exported(self, services: Services) -> None:
        """Find out before Triton starts; a model that was live before is for the controller to bring back."""
        for name in services.settings.preload_models:
            repository = services.settings.model_repository
            if not version_numbers(repository / name) and not services.store.find(name).is_wanted:
                raise LaunchError(f"model {name!r} is not in {repository}; run `conch export {name}`, or leave it out "
                                  "of CONCH_PRELOAD_MODELS")

    def _prepare_database(self) -> None:
        """Bring our own SQLite file up to date; a server's schema is for its administrator to move."""
        database = Database(self._settings.database_address)
        if self._settings.database_url is None and migration.is_older(database):
            migration.upgrade(database)
        migration.check_schema(database)
        database.dispose()

    def _start_triton(self, services: Services) -> None:
        settings = self._settings
        try:  # Triton wants a directory, also for models that are yet to be exported.
            settings.model_repository.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LaunchError(f"the model repository {settings.model_repository} cannot be made ({error.strerror}); "
                              "set CONCH_MODEL_REPOSITORY to a directory") from error
        distribution = find_distribution()
        options = ServerOptions(
            model_repository=settings.model_repository,
            backend_dir=lay_out_backends(distribution, settings.home / "triton" / "backends"),
            host=settings.host, http_port=settings.triton_http_port, grpc_port=settings.triton_grpc_port,
            metrics_port=settings.triton_metrics_port, secret=triton_secret(settings))
        command, environment = server_command(distribution, options), server_environment(distribution)
        gateway = services.fleet.gateway(services.fleet.names[0])
        self._start("triton", lambda: start_child(command, environment, self._log("triton")), gateway.is_live)

    def _start_control_plane(self, loaded: Sequence[str]) -> None:
        settings = self._settings
        controller = [sys.executable, "-m", "conch.controller"]
        web = [
            sys.executable, "-m", "gunicorn", "conch.wsgi:create()", "--config", "python:conch.gunicorn_config",
            "--worker-class", "gthread",
            "--workers", str(settings.max_processes), "--threads", str(settings.max_workers),
            "--bind", f"{settings.host}:{settings.http_port}", "--graceful-timeout", "10", "--keep-alive", "75",
            "--no-control-socket", "--worker-tmp-dir", "/dev/shm",  # noqa: S108 - gunicorn's own advice: no disk waits
        ]
        self._start("controller", lambda: start_child(controller, None, self._log("controller")), lambda: True)
        environment = environment_with({"PROMETHEUS_MULTIPROC_DIR": str(self._empty_metrics_dir())})
        self._start("control-plane", lambda: start_child(web, environment, self._log("control-plane")),
                    lambda: self._answers(loaded))

    def _answers(self, names: Sequence[str]) -> bool:
        """Return whether the control plane does, and each of these models."""
        models = self._models()
        return models is not None and all(models.get(name) == "ready" for name in names)

    def _models(self) -> dict[str, str] | None:
        """Return what /ready says of each model that should be live, None while the control plane cannot tell."""
        settings = self._settings
        answer = http_json(f"http://{settings.local_host}:{settings.http_port}/ready", _START_TIMEOUT_S)
        return answer and answer.get("models")

    def _empty_metrics_dir(self) -> Path:
        """Return the directory of the workers' metrics; what an earlier start counted is Prometheus's to keep."""
        folder = (self._settings.home / "metrics").resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _start(self, name: str, start: Callable[[], subprocess.Popen], answers: Callable[[], bool]) -> None:
        self._children[name] = Child(name, start, start(), time.monotonic())

        def is_up() -> bool:
            self._check_children()
            return answers()

        wait_for(is_up, f"{name} is not ready; see {self._log(name)}", _START_TIMEOUT_S)

    def _log(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"
