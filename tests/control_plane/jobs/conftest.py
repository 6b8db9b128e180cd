"""Jobs on both databases, and dispatchers that run them in real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from control_plane.jobs.claims import JobClaims
from control_plane.jobs.job_service import JobService
from control_plane.jobs.store import JobStore
from control_plane.jobs.tables import JobRow
from control_plane.jobs.wake_queue import WakeQueue
from serving.processes import start_child
from tests.control_plane.jobs.tiny_work import TINY_KINDS, TinyArguments

LIMIT_S = 60


@pytest.fixture
def store(database) -> JobStore:
    return JobStore(database)


@pytest.fixture
def claims(database) -> JobClaims:
    return JobClaims(database)


class Workplace:
    """Submits tiny jobs, runs dispatchers, and looks at what becomes of both."""

    def __init__(self, store: JobStore, database_url: str, folder: Path, queue_url: str | None = None) -> None:
        self.store, self.folder = store, folder
        self.began, self.stopped, self.may_end = (folder / name for name in ("began", "stopped", "may_end"))
        self.service = JobService(store, WakeQueue(queue_url, folder / "huey.db"), TINY_KINDS)
        self._environment = {**os.environ, "CONCH_HOME": str(folder), "CONCH_DATABASE_URL": database_url}
        if queue_url is not None:
            self._environment["CONCH_QUEUE_URL"] = queue_url
        self.dispatchers: list[subprocess.Popen] = []

    def submit(self, outcome: str = "succeeds") -> str:
        """Submit a job and return its id."""
        arguments = TinyArguments(began=self.began, stopped=self.stopped, may_end=self.may_end, outcome=outcome)
        return self.service.submit("tiny", arguments, "tester")["id"]

    def start_dispatcher(self, max_jobs: int = 2, lease_s: float = 30.0) -> subprocess.Popen:
        """Start a dispatcher under a keeper, as `conch serve` starts the controller."""
        command = [sys.executable, "-m", "tests.control_plane.jobs.dispatcher_program", str(max_jobs), str(lease_s)]
        process = start_child(command, self._environment, self.folder / "dispatcher.log")
        self.dispatchers.append(process)
        return process

    def end_dispatcher(self, process: subprocess.Popen) -> None:
        """Ask a dispatcher to stop and wait until it has."""
        process.terminate()
        process.wait(LIMIT_S)

    def wait_for(self, job_id: str, state: str) -> dict:
        """Return a job's description once it is in a state."""
        self.wait_until(lambda: self.describe(job_id)["state"] == state, lambda: self.describe(job_id))
        return self.describe(job_id)

    def wait_for_beginnings(self, count: int) -> list[int]:
        """Return the ids of the processes that began a job once there are so many."""
        self.wait_until(lambda: len(self.lines(self.began)) >= count, self.output)
        return [int(line) for line in self.lines(self.began)]

    def freeze(self, pids: list[int]) -> None:
        """Stop processes where they stand, but not within a transaction: its locks would keep everybody waiting."""
        def could_freeze() -> bool:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            if self._is_writable():
                return True
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            return False

        self.wait_until(could_freeze, lambda: f"{pids} are always within a transaction")

    def _is_writable(self) -> bool:
        """Return at once whether nobody holds a lock on a job: whoever waits for one outlives the lease."""
        engine = self.store._database.engine
        with engine.connect() as connection:
            connection.detach()  # Its time limit is not for others.
            try:
                if engine.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
                    connection.execute(update(JobRow).values(kind=JobRow.kind))
                else:
                    connection.execute(select(JobRow).with_for_update(nowait=True)).all()
            except OperationalError:
                return False
            connection.rollback()
        return True

    def wait_until(self, condition: Callable[[], bool], explain: Callable[[], object]) -> None:
        """Wait for a condition; fail with an explanation."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, explain()
            time.sleep(0.05)

    def describe(self, job_id: str) -> dict:
        return self.service.describe(job_id, 100)

    def lines(self, file: Path) -> list[str]:
        return file.read_text(encoding="ascii").splitlines() if file.exists() else []

    def output(self) -> str:
        """Return what the processes have printed."""
        return "".join(file.read_text(encoding="utf-8") for file in self.folder.glob("*.log"))

    def wait_until_gone(self, pids: list[int]) -> None:
        """Wait until none of the processes runs any more."""
        self.wait_until(lambda: not any(_runs(pid) for pid in pids), lambda: pids)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def workplace(store, database_url, tmp_path) -> Iterator[Workplace]:
    yield from _run_workplace(Workplace(store, database_url, tmp_path))


@pytest.fixture
def workplace_with_redis(store, database_url, tmp_path, redis_server) -> Iterator[Workplace]:
    yield from _run_workplace(Workplace(store, database_url, tmp_path, redis_server.url))


def _run_workplace(found: Workplace) -> Iterator[Workplace]:
    yield found
    for process in found.dispatchers:
        found.end_dispatcher(process)
