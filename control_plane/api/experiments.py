"""REST for experiments: two versions of the intent model on real questions."""

from dataclasses import asdict
from typing import Annotated, Literal

import orjson
from flask import Response, current_app, url_for
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import PROMOTE, TRAIN, needs_scope
from control_plane.api.changes import change
from control_plane.api.fields import Reason
from control_plane.experiments.experiment_service import Plan
from control_plane.experiments.report import ExperimentReport
from control_plane.experiments.tables import KINDS, NAME_MAX_CHARS, STATES, ExperimentRow
from control_plane.json_schema import whole_number
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("experiments", __name__, url_prefix="/api/v1/model-tuning/experiments",
                         abp_tags=[Tag(name="model tuning")], abp_security=[{"bearer": []}])
_READ_STATUSES = (401, 404, 422, 503)
_CHANGE_STATUSES = (400, 401, 404, 409, 413, 415, 422, 503)
_DEPLOY_STATUSES = (*_CHANGE_STATUSES, 412, 504, 507)
_MAX_MS = 3_600_000
_MAX_VERSION = 1_000_000_000
_Share = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExperimentPath(BaseModel):
    """Which experiment."""

    experiment_id: str = Field(max_length=64, json_schema_extra={"example": "0193d1c8f0d77c0fb1c3e9a4d2b86f10"})


class ExperimentPageQuery(_Strict):
    """How many, newest first."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=64, description="`next_cursor` of the page before.")


class ExperimentBody(_Strict):
    """What to try, on whom, and what ends it."""

    name: str = Field("", max_length=NAME_MAX_CHARS)
    kind: Literal[KINDS] = Field("ab", description=(
        "ab: some subjects are answered by the treatment. shadow: it is asked too, behind the users' backs."))
    treatment_version: whole_number(1, _MAX_VERSION) = Field(json_schema_extra={"example": 2}, description=(
        "The version to try, as Triton numbers it; the active one is the control."))
    share: _Share = Field(0.5, gt=0, le=1, description="Of subjects that the treatment gets or sees; an A/B: below 1.")
    max_error_share: _Share = Field(0.02, ge=0, le=1, description="More errors of the treatment end the experiment.")
    max_p95_ms: _Share | None = Field(None, gt=0, le=_MAX_MS, description="A larger 95th percentile ends it.")
    min_samples: whole_number(1, 1_000_000) = Field(100, description="Questions before a budget may end it.")
    min_difference: _Share = Field(0.02, ge=0.001, le=0.5, description=(
        "The difference of agreement that is worth finding; the sample size is for it."))
    reason: Reason = ""


class FinishBody(_Strict):
    """Which version goes on."""

    promote: bool = Field(False, strict=True, description="Switch to the treatment; otherwise the control stays.")
    reason: Reason = ""


class AbortBody(_Strict):
    """Why."""

    reason: Reason = ""


class Experiment(BaseModel):
    """One experiment; what it has not come to yet is null."""

    id: str
    name: str
    model: str
    kind: Literal[KINDS]
    control_version: int
    treatment_version: int
    share: float
    state: Literal[STATES]
    max_error_share: float
    max_p95_ms: float | None
    min_samples: int
    min_difference: float
    created_by: str
    created_at: str
    ended_by: str | None
    ended_at: str | None
    reason: str | None


class ExperimentList(BaseModel):
    """A page of experiments."""

    experiments: list[Experiment]
    next_cursor: str | None


class ExperimentFindings(Experiment):
    """An experiment and what it has shown."""

    arms: dict[str, dict]
    differences: dict[str, dict | None] = Field(description="Treatment − control, with 95 % intervals.")
    split: dict | None = Field(description="Whether as many subjects got the treatment as should have.")
    sample_size: dict[str, dict] | None = Field(description="Labelled questions that each arm needs.")
    is_conclusive: bool


@blueprint.post("", responses={"201": Experiment, **problem_responses(*_DEPLOY_STATUSES)},
                summary="Start an experiment")
@needs_scope(PROMOTE)
def start_experiment(body: ExperimentBody):
    """Load the treatment beside the active version, prove it, and begin; one experiment runs at a time."""
    plan = Plan(**body.model_dump(exclude={"reason"}))
    row = services(current_app).tuning.experiments.start(plan, change(body.reason))
    return Response(orjson.dumps(_experiment(row)), 201,
                    {"Location": url_for("experiments.get_experiment", experiment_id=row.id)},
                    mimetype="application/json")


@blueprint.get("", responses={"200": ExperimentList, **problem_responses(*_READ_STATUSES)},
               summary="List experiments")
@needs_scope(TRAIN)
def list_experiments(query: ExperimentPageQuery):
    """List the experiments, newest first."""
    rows = services(current_app).tuning.experiments.page(query.limit + 1, query.cursor)
    shown = rows[:query.limit]
    return {"experiments": [_experiment(row) for row in shown],
            "next_cursor": shown[-1].id if len(rows) > query.limit else None}


@blueprint.get("/<string:experiment_id>", responses={"200": ExperimentFindings, **problem_responses(*_READ_STATUSES)},
               summary="Describe an experiment and what it has shown")
@needs_scope(TRAIN)
def get_experiment(path: ExperimentPath):
    """Report what each arm did, how they differ, whether the split is sound, and how many labels are missing."""
    row, report = services(current_app).tuning.experiments.report(path.experiment_id)
    return {**_experiment(row), **_findings(report)}


@blueprint.post("/<string:experiment_id>/finish",
                responses={"200": Experiment, **problem_responses(*_DEPLOY_STATUSES)}, summary="End an experiment")
@needs_scope(PROMOTE)
def finish_experiment(path: ExperimentPath, body: FinishBody):
    """End an experiment, and switch to the treatment where that is wanted."""
    return _experiment(services(current_app).tuning.experiments.finish(
        path.experiment_id, body.promote, change(body.reason)))


@blueprint.post("/<string:experiment_id>/abort",
                responses={"200": Experiment, **problem_responses(*_DEPLOY_STATUSES)},
                summary="End an experiment at once")
@needs_scope(PROMOTE)
def abort_experiment(path: ExperimentPath, body: AbortBody):
    """Have the control answer everybody again."""
    return _experiment(services(current_app).tuning.experiments.abort(path.experiment_id, change(body.reason)))


def _experiment(row: ExperimentRow) -> dict:
    columns = {name: getattr(row, name) for name in Experiment.model_fields}
    return Experiment(**{**columns, "created_at": _iso(row.created_at), "ended_at": _iso(row.ended_at)}).model_dump()


def _findings(report: ExperimentReport) -> dict:
    return {**asdict(report), "is_conclusive": report.is_conclusive}


def _iso(moment) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
