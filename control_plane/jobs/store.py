"""What people do with jobs: submit, look, cancel, retry. Knows nothing of how a job is run (control_plane.jobs.claims).
"""

import secrets
import time
import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.errors import DuplicateRowError, IdempotencyConflictError, JobNotFoundError, JobStateError
from control_plane.jobs.tables import CANCELLED, FAILED, QUEUED, RUNNING, JobLogRow, JobRow, log_line


class JobStore:
    """Jobs by id, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, kind: str, arguments: dict, max_attempts: int, actor: str,
               idempotency_key: str | None = None) -> JobRow:
        """Queue a job and return it; with a key that `actor` used before, return that job instead.

        Raises IdempotencyConflictError when that job is another request's.
        """
        job = JobRow(id=new_job_id(), kind=kind, arguments=arguments, max_attempts=max_attempts, created_by=actor,
                     idempotency_key=idempotency_key)
        try:
            with self._database.write() as session:
                session.add(job)
                session.flush()
                session.add(log_line(job, f"submitted by {actor}"))
        except DuplicateRowError:
            return self._submitted_before(job)
        return job

    def find(self, job_id: str) -> JobRow:
        """Return a job; raises JobNotFoundError."""
        with self._database.read() as session:
            return _get(session, job_id)

    def page(self, limit: int, before: str | None = None, state: str | None = None,
             kind: str | None = None) -> list[JobRow]:
        """Return the newest jobs, those submitted before the job `before` where one is given."""
        query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
        for column, value in ((JobRow.state, state), (JobRow.kind, kind)):
            if value is not None:
                query = query.where(column == value)
        if before is not None:
            query = query.where(JobRow.id < before)
        with self._database.read() as session:
            return list(session.scalars(query))

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are, by kind and state."""
        with self._database.read() as session:
            rows = session.execute(select(JobRow.kind, JobRow.state, func.count()).group_by(JobRow.kind, JobRow.state))
            return {(kind, state): count for kind, state, count in rows}

    def log(self, job_id: str, limit: int) -> list[JobLogRow]:
        """Return the last lines of a job's log, oldest first."""
        with self._database.read() as session:
            newest = session.scalars(select(JobLogRow).where(JobLogRow.job_id == job_id)
                                     .order_by(JobLogRow.id.desc()).limit(limit))
            return list(newest)[::-1]

    def cancel(self, job_id: str, actor: str, reason: str = "") -> JobRow:
        """Cancel a job: at once while it waits, else as soon as its process has ended.

        Raises JobNotFoundError, and JobStateError when it has ended already.
        """
        with self._database.write() as session:
            job = _get(session, job_id, locks=True)
            if job.state not in (QUEUED, RUNNING):
                raise JobStateError(job.id, job.state, "only a job that is queued or running can be cancelled")
            job.cancel_requested = True
            if job.state == QUEUED:
                job.state, job.finished_at = CANCELLED, utc_now()
            session.add(log_line(job, _said("cancellation asked for", actor, reason)))
            return job

    def retry(self, job_id: str, actor: str, attempts: int, reason: str = "") -> JobRow:
        """Queue a failed or cancelled job once more, for up to `attempts` further attempts.

        Raises JobNotFoundError, and JobStateError when it is neither.
        """
        with self._database.write() as session:
            job = _get(session, job_id, locks=True)
            if job.state not in (FAILED, CANCELLED):
                raise JobStateError(job.id, job.state, "only a job that failed or was cancelled can be run once more")
            job.state, job.max_attempts, job.cancel_requested = QUEUED, job.attempts + attempts, False
            job.progress, job.step, job.error, job.finished_at = 0.0, "", None, None
            session.add(log_line(job, _said("queued once more", actor, reason)))
            return job

    def _submitted_before(self, job: JobRow) -> JobRow:
        with self._database.read() as session:
            found = session.scalars(select(JobRow).where(
                JobRow.created_by == job.created_by, JobRow.idempotency_key == job.idempotency_key)).one()
        if (found.kind, found.arguments) != (job.kind, job.arguments):
            raise IdempotencyConflictError(job.idempotency_key, found.id)
        return found


def new_job_id() -> str:
    """Return a UUID of version 7 (RFC 9562, 5.7, 6.2) in hex: ids sort by when they were made, to a quarter of a µs."""
    milliseconds, rest_ns = divmod(time.time_ns(), 1_000_000)
    fraction = rest_ns * 4096 // 1_000_000  # 12 bits
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62)).hex


def _get(session: Session, job_id: str, locks: bool = False) -> JobRow:
    job = session.get(JobRow, job_id, with_for_update=locks or None)
    if job is None:
        raise JobNotFoundError(job_id)
    return job


def _said(what: str, actor: str, reason: str) -> str:
    return f"{what} by {actor}" + (f": {reason}" if reason else "")
