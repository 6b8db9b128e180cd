"""Runs one claimed job in this process: keeps its lease, reports, and writes down how it ended.

Knows nothing of what the job does. SIGTERM stops it: the job is then given back, or cancelled if that was asked for.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable

from control_plane.errors import DatabaseError
from control_plane.jobs.claims import Claim, JobClaims
from export.contract import ConchError

EXIT_LOST = 75            # sysexits.h: EX_TEMPFAIL
_RENEWALS_PER_LEASE = 6
_REPORT_PAUSE_S = 1.0     # reports of one step are written no more often than this
_RETRY_PAUSE_S = 0.5
_LOG = logging.getLogger(__name__)


class Stopped(BaseException):
    """Somebody asked this process to stop. No Exception, so that no job takes it for an error of its own."""


class Report:
    """How a job tells how far it is. A database that is away loses lines of the log, never the job."""

    def __init__(self, claims: JobClaims, claim: Claim) -> None:
        self._claims, self._claim = claims, claim
        self._step, self._written_at = "", 0.0

    def __call__(self, progress: float, step: str) -> None:
        """Say how much is done, 0 to 1, and what is being done now."""
        if step == self._step and time.monotonic() - self._written_at < _REPORT_PAUSE_S:
            return
        self._step, self._written_at = step, time.monotonic()
        self._write(lambda: self._claims.report(self._claim, progress, step), step)

    def note(self, line: str) -> None:
        """Add a line to the job's log."""
        self._write(lambda: self._claims.note(self._claim, line), line)

    def _write(self, action: Callable[[], bool], line: str) -> None:
        _LOG.info("%s", line)
        try:
            action()
        except DatabaseError as error:
            _LOG.warning("not written to the job's log: %s", error)


def run_claimed(claims: JobClaims, claim: Claim, work: Callable[[Report], dict]) -> None:
    """Do the work of a claim and write down its outcome; `work` returns the result.

    A ConchError is the job's answer and fails it with its message, except that a database that is away only costs an
    attempt. Whatever else goes wrong fails it too, with the trace in this process's output. The process ends at once
    when the job is no longer its own.
    """
    signal.signal(signal.SIGTERM, _stop)
    lease = _Lease(claims, claim)
    try:
        result = work(Report(claims, claim))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except Stopped:
        lease.end(lambda: claims.give_back(claim))
    except DatabaseError as error:
        message = str(error)
        lease.end(lambda: claims.lose(claim, message))
    except ConchError as error:
        message = str(error)
        lease.end(lambda: claims.fail(claim, message))
    except Exception as error:
        _LOG.exception("job %s", claim.job_id)
        message = f"unexpected {type(error).__name__}: {error}"
        lease.end(lambda: claims.fail(claim, message))
    else:
        lease.end(lambda: claims.succeed(claim, result))


def _stop(signal_number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # What is being cleaned up now is not cut short.
    raise Stopped


class _Lease:
    """The lease of this process on its job, taken over from whoever claimed it and renewed by a thread.

    The process ends at once when another has the job, or may have it.
    """

    def __init__(self, claims: JobClaims, claim: Claim) -> None:
        self._claims, self._claim = claims, claim
        self._held_until = 0.0
        self._has_ended = threading.Event()
        self._lock = threading.Lock()  # A renewal must not see the outcome of its own job as somebody else's.
        self._renew()
        self._exit_unless_held()
        for loop in (self._keep, self._watch):
            threading.Thread(target=loop, name="job-lease", daemon=True).start()

    def end(self, write_outcome: Callable[[], bool]) -> None:
        """Write the outcome, trying for as long as a lease lasts; raises DatabaseError when no database takes it."""
        deadline = time.monotonic() + self._claims.lease_s
        while not self._has_ended.is_set():
            try:
                with self._lock:
                    write_outcome()
                    self._has_ended.set()
            except DatabaseError as error:
                if time.monotonic() > deadline:
                    self._has_ended.set()
                    raise
                _LOG.warning("the outcome could not be written yet: %s", error)
                time.sleep(_RETRY_PAUSE_S)

    def _keep(self) -> None:
        while not self._has_ended.wait(self._claims.lease_s / _RENEWALS_PER_LEASE):
            with self._lock:
                if not self._has_ended.is_set():
                    self._renew()

    def _watch(self) -> None:
        """Apart from the renewals, since a database may take longer to answer than the lease lasts."""
        while not self._has_ended.wait(max(self._held_until - time.monotonic(), 0.0)):
            self._exit_unless_held()

    def _renew(self) -> None:
        started = time.monotonic()
        try:
            is_ours = self._claims.renew(self._claim)
        except DatabaseError as error:
            _LOG.warning("job %s: the lease could not be renewed: %s", self._claim.job_id, error)
            return
        if not is_ours:
            _LOG.warning("job %s was cancelled, ended or taken up elsewhere", self._claim.job_id)
            os._exit(EXIT_LOST)
        self._held_until = started + self._claims.lease_s

    def _exit_unless_held(self) -> None:
        if time.monotonic() >= self._held_until:
            _LOG.warning("job %s: the database was away for too long to keep the job", self._claim.job_id)
            os._exit(EXIT_LOST)
