"""Tables of the jobs: what is to be done and how far it is (jobs), and what was said on the way (job_log)."""

from datetime import datetime

from sqlalchemy import JSON, Boolean, Float, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.schema import MYSQL_OPTIONS, Base, UtcDateTime, utc_now

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = STATES = ("queued", "running", "succeeded", "failed", "cancelled")
KEY_MAX_CHARS = 191
STEP_MAX_CHARS = 191

_Id = String(32)


class JobRow(Base):
    """One job. `attempts` grows with every claim and is what a process shows to write anything of the job."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(_Id, primary_key=True)            # sorts by when it was submitted
    kind: Mapped[str] = mapped_column(String(32))
    arguments: Mapped[dict] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16), default=QUEUED)
    progress: Mapped[float] = mapped_column(Float, default=0.0)       # 0 to 1
    step: Mapped[str] = mapped_column(String(STEP_MAX_CHARS), default="")
    result: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str | None] = mapped_column(String(191))            # the process that has the lease
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    idempotency_key: Mapped[str | None] = mapped_column(String(KEY_MAX_CHARS))
    created_by: Mapped[str] = mapped_column(String(191))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # of the last attempt
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("created_by", "idempotency_key"), Index("ix_jobs_state_id", "state", "id"),
                      MYSQL_OPTIONS)


class JobLogRow(Base):
    """One line of a job's log. Rows are only ever added."""

    __tablename__ = "job_log"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(_Id)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    attempt: Mapped[int] = mapped_column(Integer)                     # 0: before the first one
    line: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_job_log_job_id_id", "job_id", "id"), MYSQL_OPTIONS)


def log_line(job: JobRow, line: str) -> JobLogRow:
    """Return a line for the log of `job`."""
    return JobLogRow(job_id=job.id, attempt=job.attempts, line=storable(line, 4000))


def storable(text: str, max_chars: int) -> str:
    """Return `text` as every database takes it: no lone surrogates, no more than `max_chars`, cut in the middle."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    if len(clean) <= max_chars:
        return clean
    return f"{clean[:max_chars // 2 - 1]} … {clean[len(clean) - max_chars // 2 + 2:]}"
