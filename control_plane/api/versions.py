"""REST for administrators: versions, activation, rollback, configuration and history of a model."""

from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import ADMIN, INFER, PROMOTE, needs_scope
from control_plane.api.changes import answer_with_revision, change, expected_revision
from control_plane.api.fields import ModelName, Reason
from control_plane.api.models import CHANGE_STATUSES
from control_plane.lifecycle.configuration import ModelConfiguration
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("versions", __name__, url_prefix="/api/v1/models/<name>", abp_tags=[Tag(name="versions")],
                         abp_security=[{"bearer": []}])
_READ_STATUSES = (401, 404, 422, 503)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelPath(BaseModel):
    """Which model."""

    name: ModelName


class VersionPath(ModelPath):
    """Which version of it."""

    version: int = Field(ge=1)


class HistoryQuery(_Strict):
    """How much of it."""

    limit: int = Field(100, ge=1, le=1000)


class ActivateBody(_Strict):
    """How to switch."""

    reason: Reason = ""
    force: bool = Field(False, strict=True, description="Also switch to a version with another dimension.")
    keep_warm: bool | None = Field(None, strict=True, description=(
        "Keep the version that was active loaded, so that a rollback is immediate. Only a lower version than the "
        "active one can be kept: Triton gives requests without a version the highest one. Default: as it was."))


class RollbackBody(_Strict):
    """Why."""

    reason: Reason = ""


class ConfigureBody(_Strict):
    """The whole configuration; a field left out is config.pbtxt's again."""

    reason: Reason = ""
    configuration: ModelConfiguration


class VersionList(BaseModel):
    """The versions of a model in the repository, ascending."""

    name: str
    active_version: int | None
    previous_version: int | None
    revision: int
    versions: list[dict]


class HistoryLine(BaseModel):
    """One change."""

    at: str
    action: str
    actor: str
    reason: str
    from_version: int | None
    to_version: int | None
    detail: dict | None


class History(BaseModel):
    """The changes of a model, newest first."""

    history: list[HistoryLine]


@blueprint.get("/versions", responses={"200": VersionList, **problem_responses(*_READ_STATUSES)},
               summary="List the versions of a model")
@needs_scope(INFER)
def list_versions(path: ModelPath):
    """List the versions; the ETag is the model's revision, for If-Match."""
    return answer_with_revision(services(current_app).models.versions(path.name))


@blueprint.post("/versions/<int:version>/activate",
                responses={"200": VersionList, **problem_responses(*CHANGE_STATUSES)}, summary="Switch to a version")
@needs_scope(PROMOTE)
def activate(path: VersionPath, body: ActivateBody):
    """Load the version beside the active one, prove it on every Triton, switch, and let the old one drain.

    With If-Match, of two who switch at once one gets 412.
    """
    services(current_app).lifecycle.activate(path.name, path.version, change(body.reason), expected_revision(),
                                             body.force, body.keep_warm)
    return answer_with_revision(services(current_app).models.versions(path.name))


@blueprint.post("/rollback", responses={"200": VersionList, **problem_responses(*CHANGE_STATUSES)},
                summary="Switch back to the version that was active before")
@needs_scope(PROMOTE)
def roll_back(path: ModelPath, body: RollbackBody):
    """Activate the previous version, in the same way."""
    services(current_app).lifecycle.roll_back(path.name, change(body.reason), expected_revision())
    return answer_with_revision(services(current_app).models.versions(path.name))


@blueprint.put("/configuration", responses={"200": VersionList, **problem_responses(*CHANGE_STATUSES)},
               summary="Set instances, batching and queues")
@needs_scope(ADMIN)
def configure(path: ModelPath, body: ConfigureBody):
    """Serve the model with other values than its config.pbtxt; what Triton refuses changes nothing."""
    services(current_app).lifecycle.configure(path.name, body.configuration, change(body.reason), expected_revision())
    return answer_with_revision(services(current_app).models.versions(path.name))


@blueprint.get("/history", responses={"200": History, **problem_responses(*_READ_STATUSES)},
               summary="Who changed a model, when and why")
@needs_scope(INFER)
def history(path: ModelPath, query: HistoryQuery):
    """List the changes of a model's desired state, newest first."""
    return {"history": services(current_app).models.history(path.name, query.limit)}
