"""The use cases around jobs: submit, describe, cancel, retry. Knows nothing of HTTP and runs no job itself."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from control_plane.jobs.kinds import KINDS, JobKind, find_kind
from control_plane.jobs.store import JobStore
from control_plane.jobs.tables import JobLogRow, JobRow
from control_plane.jobs.wake_queue import WakeQueue


class JobService:
    """Writes to the jobs table, then wakes a controller."""

    def __init__(self, store: JobStore, queue: WakeQueue, kinds: Mapping[str, JobKind] = KINDS) -> None:
        self._store, self._queue, self._kinds = store, queue, kinds

    def submit(self, kind: str, arguments: BaseModel, actor: str, idempotency_key: str | None = None) -> dict:
        """Queue a job with validated arguments and describe it; raises IdempotencyConflictError."""
        job = self._store.submit(kind, arguments.model_dump(mode="json", exclude_none=True),
                                 self._max_attempts(kind), actor, idempotency_key)
        self._queue.wake(job.id)
        return describe(job)

    def describe(self, job_id: str, log_lines: int) -> dict:
        """Describe a job with the last lines of its log; raises JobNotFoundError."""
        return {**describe(self._store.find(job_id)),
                "log": [_describe_line(row) for row in self._store.log(job_id, log_lines)]}

    def page(self, limit: int, cursor: str | None, state: str | None, kind: str | None) -> dict:
        """Describe the newest jobs, and say with which cursor to go on; None when there are no more."""
        rows = self._store.page(limit + 1, cursor, state, kind)
        return {"jobs": [describe(row) for row in rows[:limit]],
                "next_cursor": rows[limit - 1].id if len(rows) > limit else None}

    def cancel(self, job_id: str, actor: str, reason: str) -> dict:
        """Cancel a job and describe it; raises JobNotFoundError or JobStateError."""
        job = self._store.cancel(job_id, actor, reason)
        self._queue.wake(job.id)
        return describe(job)

    def retry(self, job_id: str, actor: str, reason: str) -> dict:
        """Queue a job once more and describe it; raises JobNotFoundError or JobStateError."""
        attempts = self._max_attempts(self._store.find(job_id).kind)
        job = self._store.retry(job_id, actor, attempts, reason)
        self._queue.wake(job.id)
        return describe(job)

    def _max_attempts(self, kind: str) -> int:
        return find_kind(self._kinds, kind).max_attempts


def describe(job: JobRow) -> dict:
    """Return what callers see of a job."""
    facts = {name: getattr(job, name) for name in (
        "id", "kind", "state", "arguments", "progress", "step", "result", "error", "attempts", "max_attempts",
        "cancel_requested", "created_by")}
    return {**facts, **{name: _iso(getattr(job, name)) for name in ("created_at", "started_at", "finished_at")}}


def _describe_line(row: JobLogRow) -> dict:
    return {"at": _iso(row.at), "attempt": row.attempt, "line": row.line}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
