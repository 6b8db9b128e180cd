"""REST for those who train: batches, the versions they bring forth, and putting these into service."""

from dataclasses import asdict
from typing import Literal

import orjson
from flask import Response, current_app, g, url_for
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import LABEL, PROMOTE, TRAIN, needs_scope
from control_plane.api.changes import answer_with_job, change
from control_plane.api.fields import Reason
from control_plane.api.jobs import JobDescription
from control_plane.api.request_bodies import takes_no_body
from control_plane.jobs.kinds import EXTRACT_KEYWORDS, ExtractKeywordsArguments
from control_plane.lifecycle.store import ModelState
from control_plane.problems import problem_responses
from control_plane.services import services
from control_plane.tuning.tables import BATCH_STATES, DESCRIPTION_MAX_CHARS, VERDICTS, ModelVersionRow, TrainingBatchRow
from control_plane.tuning_errors import BatchStateError

blueprint = APIBlueprint("tuning", __name__, url_prefix="/api/v1/model-tuning", abp_tags=[Tag(name="model tuning")],
                         abp_security=[{"bearer": []}])
_READ_STATUSES = (401, 404, 422, 503)
_CHANGE_STATUSES = (400, 401, 404, 409, 413, 415, 422, 503)
_DEPLOY_STATUSES = (*_CHANGE_STATUSES, 412, 504, 507)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class BatchPath(BaseModel):
    """Which batch."""

    batch_id: str = Field(max_length=64, json_schema_extra={"example": "0193d1c8f0d77c0fb1c3e9a4d2b86f10"})


class VersionPath(BaseModel):
    """Which version of the intent model."""

    version: str = Field(max_length=80, description="Its name, as the list has it.",
                         json_schema_extra={"example": "intent-2"})


class PageQuery(_Strict):
    """How many, newest first."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=64, description="`next_cursor` of the page before.")


class VersionsQuery(_Strict):
    """How many, newest first."""

    limit: int = Field(50, ge=1, le=200)


class BatchBody(_Strict):
    """What the batch is for, and how it trains."""

    description: str = Field("", max_length=DESCRIPTION_MAX_CHARS)
    recipe: Literal["head", "full"] = Field("full", description=(
        "full: the whole encoder is fine-tuned. head: the encoder stays as it is, which takes seconds."))


class RunBody(_Strict):
    """What to do besides."""

    auto_extract_keywords: bool = Field(False, strict=True, description="Propose keyword rules afterwards.")


class ReasonBody(_Strict):
    """Why."""

    reason: Reason = ""


class DeployBody(ReasonBody):
    """Why, and what becomes of the version before."""

    keep_warm: bool = Field(True, strict=True, description=(
        "Keep the version that was active loaded, so that a rollback is immediate, until its memory is needed. False "
        "with the active version lets it go."))


class Batch(BaseModel):
    """One training, from the labels to a judged version; what it has not reached yet is null."""

    model_config = ConfigDict(protected_namespaces=())

    batch_id: str
    description: str
    recipe: str
    training_status: Literal[BATCH_STATES]
    job_id: str | None
    taxonomy_revision: int | None
    question_count: int | None
    data_hash: str | None = Field(description="SHA-256 of the snapshot of the labelled questions.")
    model_path: str | None
    model_version: str | None
    metrics: dict | None = Field(description="On the frozen test set.")
    error: str | None
    job: JobDescription | None = Field(None, description="The job that runs it; only where one batch is described.")
    created_by: str
    created_at: str
    started_at: str | None
    finished_at: str | None


class BatchList(BaseModel):
    """A page of batches."""

    batches: list[Batch]
    next_cursor: str | None


class ModelVersion(BaseModel):
    """A version of the intent model, and what the gate found."""

    model_config = ConfigDict(protected_namespaces=())

    version: str
    triton_version: int
    is_active: bool
    training_batch_id: str
    model_path: str
    metrics: dict
    verdict: Literal[VERDICTS]
    gate: dict
    champion_version: str | None
    created_at: str
    activated_at: str | None


class ModelVersionList(BaseModel):
    """The newest versions."""

    versions: list[ModelVersion]


class Deployed(BaseModel):
    """Which version answers from now on."""

    active_version: int | None
    previous_version: int | None
    revision: int


@blueprint.post("/batches", responses={"201": Batch, **problem_responses(*_CHANGE_STATUSES)}, summary="Create a batch")
@needs_scope(TRAIN)
def create_batch(body: BatchBody):
    """Create a training batch; it takes its snapshot of the labels when it runs."""
    row = services(current_app).tuning.batches.create(body.description, body.recipe, g.actor)
    return Response(orjson.dumps(_batch(row)), 201, {"Location": url_for("tuning.get_batch", batch_id=row.batch_id)},
                    mimetype="application/json")


@blueprint.get("/batches", responses={"200": BatchList, **problem_responses(*_READ_STATUSES)}, summary="List batches")
@needs_scope(LABEL)
def list_batches(query: PageQuery):
    """List the batches, newest first."""
    rows = services(current_app).tuning.batch_store.page(query.limit + 1, query.cursor)
    shown = rows[:query.limit]
    return {"batches": [_batch(row) for row in shown],
            "next_cursor": shown[-1].batch_id if len(rows) > query.limit else None}


@blueprint.get("/batches/<string:batch_id>", responses={"200": Batch, **problem_responses(*_READ_STATUSES)},
               summary="Describe a batch")
@needs_scope(LABEL)
def get_batch(path: BatchPath):
    """Describe one batch, and how far its job is."""
    found = services(current_app)
    row = found.tuning.batches.find(path.batch_id)
    return {**_batch(row), "job": row.job_id and found.jobs.describe(row.job_id, 0)}


@blueprint.post("/batches/<string:batch_id>/run",
                responses={"202": JobDescription, **problem_responses(*_CHANGE_STATUSES)},
                summary="Train, export and judge")
@needs_scope(TRAIN)
def run_batch(path: BatchPath, body: RunBody):
    """Run a batch as a job; asked twice, the same job answers, and one that failed is queued again."""
    return answer_with_job(services(current_app).tuning.batches.run(
        path.batch_id, body.auto_extract_keywords, g.actor))


@blueprint.get("/batches/<string:batch_id>/report", responses={"200": {"content": {"text/html": {}}},
               **problem_responses(*_READ_STATUSES, 409)}, summary="The gate's report as a page")
@needs_scope(LABEL)
def get_report(path: BatchPath):
    """Show what the gate found: its checks, a confusion plot and a reliability plot."""
    found = services(current_app)
    row = found.tuning.batch_store.find(path.batch_id)
    page = found.settings.tuning_dir / row.batch_id / "gate" / "gate.html"
    if not page.is_file():
        raise BatchStateError(f"batch {row.batch_id} is {row.training_status} and has no report; one is "
                              "written when its run ends")
    return Response(page.read_bytes(), mimetype="text/html")


@blueprint.get("/models", responses={"200": ModelVersionList, **problem_responses(*_READ_STATUSES)},
               summary="List the versions that batches brought forth")
@needs_scope(LABEL)
def list_model_versions(query: VersionsQuery):
    """List the newest versions of the intent model."""
    return {"versions": [_version(row) for row in services(current_app).tuning.deployment.versions(query.limit)]}


@blueprint.post("/models/<string:version>/activate",
                responses={"200": Deployed, **problem_responses(*_DEPLOY_STATUSES)}, summary="Switch to a version")
@needs_scope(PROMOTE)
def activate_version(path: VersionPath, body: DeployBody):
    """Load the version beside the active one, prove it, switch, and keep the old one for a rollback.

    A version that did not pass the gate needs a reason.
    """
    return _deployed(services(current_app).tuning.deployment.activate(path.version, change(body.reason),
                                                                      body.keep_warm))


@blueprint.post("/models/rollback", responses={"200": Deployed, **problem_responses(*_DEPLOY_STATUSES)},
                summary="Switch back to the version before")
@needs_scope(PROMOTE)
def roll_back_version(body: ReasonBody):
    """Switch to the version that was active before."""
    return _deployed(services(current_app).tuning.deployment.roll_back(change(body.reason)))


@blueprint.post("/keywords/extract", responses={"202": JobDescription, **problem_responses(*_CHANGE_STATUSES)},
                summary="Propose keyword rules")
@needs_scope(TRAIN)
@takes_no_body
def extract_keywords(query: ExtractKeywordsArguments):
    """Look for words that tell an intent in the newest labelled questions, as a job; they become proposed rules."""
    return answer_with_job(services(current_app).jobs.submit(EXTRACT_KEYWORDS, query, g.actor))


def _batch(row: TrainingBatchRow) -> dict:
    return Batch(**{**_columns(row), "created_at": _iso(row.created_at), "started_at": _iso(row.started_at),
                    "finished_at": _iso(row.finished_at)}).model_dump()


def _version(row: ModelVersionRow) -> dict:
    return ModelVersion(**{**_columns(row), "created_at": _iso(row.created_at),
                           "activated_at": _iso(row.activated_at)}).model_dump()


def _columns(row: TrainingBatchRow | ModelVersionRow) -> dict:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


def _deployed(state: ModelState) -> dict:
    known = asdict(state)
    return {key: known[key] for key in ("active_version", "previous_version", "revision")}


def _iso(moment) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
