"""Starts a process for each job that this controller claims, and settles what becomes of it.

Woken by the queue, and by itself from time to time, so that a lost wake loses nothing. Several dispatchers may share a
database: claims keep them apart. Knows nothing of what a job does, nor how its process is started.
"""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from control_plane.jobs.claims import Claim, JobClaims
from control_plane.jobs.wake_queue import WakeQueue
from export.contract import ConchError

_IDLE_POLL_S = 3.0    # how late a job can be whose wake was lost
_BUSY_POLL_S = 0.5    # how late the end or the cancellation of a process can be noticed
_STOP_TIMEOUT_S = 10.0  # The keeper of the controller gives it 12.
_EXIT_POLL_S = 0.05
_LOG = logging.getLogger(__name__)

# Starts the process that runs a claimed job. It must end when this process does, leave nothing behind, and heed SIGTERM
# sooner or later.
StartProcess = Callable[[Claim], subprocess.Popen]


class Dispatcher:
    """The loop; `run` returns when it is asked to stop, with no process left."""

    def __init__(self, claims: JobClaims, queue: WakeQueue, start: StartProcess, max_jobs: int) -> None:
        self._claims, self._queue, self._start, self._max_jobs = claims, queue, start, max_jobs
        self._processes: dict[Claim, subprocess.Popen] = {}
        self._asked_to_stop: set[Claim] = set()

    def run(self, stop: threading.Event) -> None:
        """Pass after pass; an error of one pass is logged and the next one tries again."""
        while not stop.is_set():
            try:
                self.run_pass()
            except ConchError as error:
                _LOG.warning("pass over the jobs failed: %s", error)
            except Exception:
                _LOG.exception("pass over the jobs failed")
            self._queue.wait(_BUSY_POLL_S if self._processes else _IDLE_POLL_S, stop)
        self._stop_all()

    def run_pass(self) -> None:
        """Settle what has ended, stop what should not run, take up what others left, start what waits."""
        self._settle_ended()
        for claim in self._claims.unwanted(list(self._processes)):
            self._ask_to_stop(claim)
        self._take_up_abandoned()
        while len(self._processes) < self._max_jobs and (claim := self._claims.claim_next()):
            self._begin(claim)

    def _begin(self, claim: Claim) -> None:
        try:
            self._processes[claim] = self._start(claim)
        except OSError as error:
            _LOG.warning("job %s: no process could be started: %s", claim.job_id, error)
            self._claims.lose(claim, f"no process could be started: {error}")
            return
        _LOG.info("job %s, attempt %d: started as process %d", claim.job_id, claim.attempt, self._processes[claim].pid)

    def _settle_ended(self) -> None:
        """Write down how attempts ended whose process could not do so itself."""
        for claim, process in list(self._processes.items()):
            if process.poll() is not None:
                if self._claims.lose(claim, _describe_exit(process.returncode)):
                    _LOG.warning("job %s, attempt %d: %s", claim.job_id, claim.attempt,
                                 _describe_exit(process.returncode))
                del self._processes[claim]
                self._asked_to_stop.discard(claim)

    def _ask_to_stop(self, claim: Claim) -> None:
        if claim not in self._asked_to_stop:
            self._asked_to_stop.add(claim)
            self._processes[claim].terminate()

    def _take_up_abandoned(self) -> None:
        for claim in self._claims.abandoned():
            # A process of our own that is too busy to renew its lease is not dead: its end is seen by itself.
            if claim not in self._processes and self._claims.lose(claim, "its process is gone"):
                _LOG.warning("job %s, attempt %d: its process is gone", claim.job_id, claim.attempt)

    def _stop_all(self) -> None:
        """Ask every process to stop: each gives its job back."""
        for claim in self._processes:
            self._ask_to_stop(claim)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while any(process.poll() is None for process in self._processes.values()) and time.monotonic() < deadline:
            time.sleep(_EXIT_POLL_S)
        try:
            self._settle_ended()
        except ConchError as error:
            _LOG.warning("jobs will be taken up later: %s", error)


def _describe_exit(status: int) -> str:
    """Say how a process ended; a keeper gives 128 and the number for a command that a signal ended."""
    number = -status if status < 0 else status - 128
    if number in set(signal.Signals):
        return f"its process was ended by {signal.Signals(number).name}"
    return f"its process ended with status {status} and no result"
