"""REST for administrators: the audit log."""

from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import ADMIN, needs_scope
from control_plane.access.tables import AuditRow
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("audit", __name__, url_prefix="/api/v1/audit", abp_tags=[Tag(name="audit")],
                         abp_security=[{"bearer": []}])
_BIGGEST_ID = 2**31 - 1


class AuditQuery(BaseModel):
    """Which lines."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1000)
    cursor: int | None = Field(None, ge=1, le=_BIGGEST_ID, description="`next_cursor` of the page before.")
    actor: str | None = Field(None, max_length=191, description="Only lines of this actor.")


class AuditLine(BaseModel):
    """One change, or one refusal."""

    id: int
    at: str
    actor: str = Field(description="Name of the key; admin for the key in admin.key; empty where the key is unknown.")
    key_id: str | None
    action: str = Field(description="The route, the command, or denied.")
    subject: str = Field(description="Method and path, or the id of the key that a command was about.")
    status: int | None = Field(description="Of the answer; null for the command line.")
    detail: dict | None
    remote_address: str | None
    request_id: str | None


class AuditPage(BaseModel):
    """Lines of the audit log, newest first."""

    audit: list[AuditLine]
    next_cursor: int | None = Field(description="For the next page; null on the last one.")


@blueprint.get("", responses={"200": AuditPage, **problem_responses(401, 422, 503)}, summary="Who did what")
@needs_scope(ADMIN)
def read_audit_log(query: AuditQuery):
    """Page through the audit log, newest first."""
    rows = services(current_app).audit.page(query.limit + 1, query.cursor, query.actor)
    lines = [_describe(row) for row in rows[:query.limit]]
    return {"audit": lines, "next_cursor": lines[-1]["id"] if len(rows) > query.limit else None}


def _describe(row: AuditRow) -> dict:
    described = {field: getattr(row, field) for field in AuditLine.model_fields}
    return {**described, "at": row.at.isoformat(timespec="milliseconds")}
