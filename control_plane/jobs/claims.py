"""What processes do with jobs: claim one, keep its lease, report, end it, take up what a dead process left.

A claim is a job and the number of the attempt. Every claim raises that number in one compare-and-set, and whatever is
written for an attempt that is not the job's present one is refused: a process that was believed dead changes nothing.
Knows nothing of what a job does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.leases import is_of_the_dead, this_process
from control_plane.database.schema import utc_now
from control_plane.jobs.tables import (
    CANCELLED,
    FAILED,
    QUEUED,
    RUNNING,
    STEP_MAX_CHARS,
    SUCCEEDED,
    JobRow,
    log_line,
    storable,
)

# How long a process may be silent before another may take its job. The clocks of the machines must agree to within a
# second or two.
LEASE_S = 30.0
_ERROR_MAX_CHARS = 8000
_CANDIDATES = 10


@dataclass(frozen=True)
class Claim:
    """One attempt at a job."""

    job_id: str
    attempt: int


class JobClaims:
    """The jobs as those see them who run them. Everything here may raise DatabaseError."""

    def __init__(self, database: Database, lease_s: float = LEASE_S) -> None:
        self._database = database
        self.lease_s = lease_s

    def claim_next(self) -> Claim | None:
        """Make the oldest queued job this process's, or return None when there is none."""
        while candidates := self._queued():
            for job_id, attempts in candidates:
                if self._claim(job_id, attempts):
                    return Claim(job_id, attempts + 1)
        return None

    def renew(self, claim: Claim) -> bool:
        """Move the end of the lease on, in this process's name; False when the job is no longer this attempt's."""
        return self._change(claim, lambda session, job: self._lease(job))

    def report(self, claim: Claim, progress: float, step: str) -> bool:
        """Write down how far it is, 0 to 1, and a line of log where the step is a new one; False as in renew."""
        step = storable(step, STEP_MAX_CHARS)

        def change(session: Session, job: JobRow) -> None:
            if step != job.step:
                session.add(log_line(job, step))
            job.progress, job.step = min(max(progress, 0.0), 1.0), step

        return self._change(claim, change)

    def note(self, claim: Claim, line: str) -> bool:
        """Add a line to the log; False as in renew."""
        return self._change(claim, lambda session, job: session.add(log_line(job, line)))

    def succeed(self, claim: Claim, result: dict) -> bool:
        """End a job with what it made; False as in renew."""
        def change(session: Session, job: JobRow) -> None:
            job.result, job.progress = result, 1.0
            _end(session, job, SUCCEEDED, "succeeded")

        return self._change(claim, change)

    def fail(self, claim: Claim, error: str) -> bool:
        """End a job that cannot be done, with the reason; False as in renew."""
        def change(session: Session, job: JobRow) -> None:
            job.error = storable(error, _ERROR_MAX_CHARS)
            _end(session, job, FAILED, f"failed: {error}")

        return self._change(claim, change)

    def give_back(self, claim: Claim) -> bool:
        """End an attempt whose process was asked to stop: cancelled if that was asked for, else queued again.

        Stopping is nobody's fault, so the job gets another attempt in place of this one. False as in renew.
        """
        def change(session: Session, job: JobRow) -> None:
            if job.cancel_requested:
                _end(session, job, CANCELLED, "cancelled")
            else:
                job.max_attempts += 1
                _queue(session, job, "its process was stopped; queued again")

        return self._change(claim, change)

    def lose(self, claim: Claim, reason: str) -> bool:
        """End an attempt whose process is gone: cancelled if asked for, else queued again, failed after the last one.

        False as in renew.
        """
        def change(session: Session, job: JobRow) -> None:
            if job.cancel_requested:
                _end(session, job, CANCELLED, f"cancelled ({reason})")
            elif job.attempts < job.max_attempts:
                _queue(session, job, f"attempt {job.attempts} was lost: {reason}; queued again")
            else:
                job.error = storable(f"{reason}, in attempt {job.attempts} of {job.max_attempts}", _ERROR_MAX_CHARS)
                _end(session, job, FAILED, f"failed: {job.error}")

        return self._change(claim, change)

    def abandoned(self) -> list[Claim]:
        """Return the attempts whose lease has run out, or whose process on this host has ended."""
        with self._database.read() as session:
            running = list(session.scalars(select(JobRow).where(JobRow.state == RUNNING)))
        now = utc_now()
        return [Claim(job.id, job.attempts) for job in running
                if job.lease_expires_at < now or is_of_the_dead(job.owner)]

    def unwanted(self, claims: list[Claim]) -> list[Claim]:
        """Return those of `claims` that should stop: cancelled, ended, or another's by now."""
        if not claims:
            return []
        with self._database.read() as session:
            rows = session.execute(select(JobRow.id, JobRow.attempts).where(
                JobRow.id.in_([claim.job_id for claim in claims]), JobRow.state == RUNNING,
                JobRow.cancel_requested.is_(False)))
            wanted = {Claim(job_id, attempts) for job_id, attempts in rows}
        return [claim for claim in claims if claim not in wanted]

    def _queued(self) -> list[tuple[str, int]]:
        with self._database.read() as session:
            return [tuple(row) for row in session.execute(
                select(JobRow.id, JobRow.attempts).where(JobRow.state == QUEUED).order_by(JobRow.id)
                .limit(_CANDIDATES))]

    def _claim(self, job_id: str, attempts: int) -> bool:
        with self._database.write() as session:
            is_ours = session.execute(
                update(JobRow).where(JobRow.id == job_id, JobRow.state == QUEUED, JobRow.attempts == attempts)
                .values(state=RUNNING, attempts=attempts + 1)).rowcount == 1
            if is_ours:
                job = session.get(JobRow, job_id)
                self._lease(job)
                job.started_at, job.progress, job.step = utc_now(), 0.0, ""
                session.add(log_line(job, f"attempt {job.attempts} begins, at {job.owner}"))
            return is_ours

    def _lease(self, job: JobRow) -> None:
        job.owner = f"{this_process()}/{job.attempts}"
        job.lease_expires_at = utc_now() + timedelta(seconds=self.lease_s)

    def _change(self, claim: Claim, change: Callable[[Session, JobRow], None]) -> bool:
        with self._database.write() as session:
            job = session.scalars(select(JobRow).where(
                JobRow.id == claim.job_id, JobRow.attempts == claim.attempt, JobRow.state == RUNNING)
                .with_for_update()).one_or_none()
            if job is not None:
                change(session, job)
            return job is not None


def _end(session: Session, job: JobRow, state: str, line: str) -> None:
    session.add(log_line(job, line))
    job.state, job.finished_at = state, utc_now()
    job.owner = job.lease_expires_at = None


def _queue(session: Session, job: JobRow, line: str) -> None:
    session.add(log_line(job, line))
    job.state, job.progress, job.step = QUEUED, 0.0, ""
    job.owner = job.lease_expires_at = None
