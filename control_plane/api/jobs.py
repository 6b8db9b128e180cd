"""REST for administrators: exports and evaluations that run as jobs, and the jobs themselves."""

from typing import Literal

from flask import current_app, g, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import ADMIN, needs_scope
from control_plane.api.changes import answer_with_job
from control_plane.api.fields import ModelName, Reason
from control_plane.errors import InvalidRequestError
from control_plane.jobs.kinds import EVALUATE, EXPORT, KINDS, EvaluateArguments, ExportArguments
from control_plane.jobs.tables import KEY_MAX_CHARS, STATES
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("jobs", __name__, url_prefix="/api/v1", abp_tags=[Tag(name="jobs")],
                         abp_security=[{"bearer": []}])
_READ_STATUSES = (401, 404, 422, 503)
_CHANGE_STATUSES = (400, 401, 404, 409, 413, 415, 422, 503)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JobPath(BaseModel):
    """Which job."""

    job_id: str = Field(max_length=64)


class JobQuery(_Strict):
    """How much of its log."""

    log_lines: int = Field(50, ge=0, le=1000)


class JobsQuery(_Strict):
    """Which jobs, newest first."""

    state: Literal[STATES] | None = None
    kind: Literal[tuple(KINDS)] | None = None
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=64, description="`next_cursor` of the page before.")


class ExportBody(ExportArguments):
    """What to export and how."""

    model: ModelName = Field(description="Alias or hub id. A path of this machine is not taken.")


class EvaluateBody(EvaluateArguments):
    """Which models, on scored pairs or labelled texts."""

    models: list[ModelName] = Field(min_length=1, max_length=8)


class ReasonBody(_Strict):
    """Why."""

    reason: Reason = ""


class LogLine(BaseModel):
    """One line of a job's log."""

    at: str
    attempt: int
    line: str


class JobDescription(BaseModel):
    """One job."""

    id: str
    kind: str
    state: str = Field(description="queued, running, succeeded, failed or cancelled.")
    arguments: dict
    progress: float = Field(description="0 to 1.")
    step: str = Field(description="What is being done, or was when it ended.")
    result: dict | None = Field(description="What it made, once it succeeded.")
    error: str | None = Field(description="Why it failed.")
    attempts: int
    max_attempts: int = Field(description="How often it may be begun; attempts end early when their process dies.")
    cancel_requested: bool
    created_by: str
    created_at: str
    started_at: str | None = Field(description="When the last attempt began.")
    finished_at: str | None
    log: list[LogLine] | None = None


class JobPage(BaseModel):
    """Some jobs, newest first."""

    jobs: list[JobDescription]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


@blueprint.post("/models/export", responses={"202": JobDescription, **problem_responses(*_CHANGE_STATUSES)},
                summary="Export a model")
@needs_scope(ADMIN)
def export_model(body: ExportBody):
    """Queue an export; the answer is the job, and Location is where to follow it.

    With an Idempotency-Key, the same request again gets the same job.
    """
    services(current_app).models.check_exportable(body.model)
    return answer_with_job(services(current_app).jobs.submit(EXPORT, body, g.actor, _idempotency_key()))


@blueprint.post("/models/evaluate", responses={"202": JobDescription, **problem_responses(*_CHANGE_STATUSES)},
                summary="Evaluate models")
@needs_scope(ADMIN)
def evaluate_models(body: EvaluateBody):
    """Queue an evaluation: quality on labelled texts, latency, memory and processor time, side by side."""
    for name in body.models:
        services(current_app).models.name_of(name)  # A model that nobody knows is refused now, not by the job.
    return answer_with_job(services(current_app).jobs.submit(EVALUATE, body, g.actor, _idempotency_key()))


@blueprint.get("/jobs", responses={"200": JobPage, **problem_responses(401, 422, 503)}, summary="List the jobs")
@needs_scope(ADMIN)
def list_jobs(query: JobsQuery):
    """List the jobs, newest first, page by page."""
    return services(current_app).jobs.page(query.limit, query.cursor, query.state, query.kind)


@blueprint.get("/jobs/<job_id>", responses={"200": JobDescription, **problem_responses(*_READ_STATUSES)},
               summary="Describe a job")
@needs_scope(ADMIN)
def describe_job(path: JobPath, query: JobQuery):
    """Describe a job: state, progress, step, result or error, and the last lines of its log."""
    return services(current_app).jobs.describe(path.job_id, query.log_lines)


@blueprint.post("/jobs/<job_id>/cancel",
                responses={"202": JobDescription, **problem_responses(*_CHANGE_STATUSES)}, summary="Cancel a job")
@needs_scope(ADMIN)
def cancel_job(path: JobPath, body: ReasonBody):
    """Cancel a job: at once while it waits; one that runs is cancelled when its process has ended."""
    return answer_with_job(services(current_app).jobs.cancel(path.job_id, g.actor, body.reason))


@blueprint.post("/jobs/<job_id>/retry",
                responses={"202": JobDescription, **problem_responses(*_CHANGE_STATUSES)},
                summary="Run a job once more")
@needs_scope(ADMIN)
def retry_job(path: JobPath, body: ReasonBody):
    """Queue a job that failed or was cancelled once more, under its id."""
    return answer_with_job(services(current_app).jobs.retry(path.job_id, g.actor, body.reason))



def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= KEY_MAX_CHARS and key.isascii() and key.isprintable()):
        raise InvalidRequestError("Idempotency-Key", f"must be 1 to {KEY_MAX_CHARS} printable ASCII characters")
    return key
