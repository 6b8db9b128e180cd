"""/metrics for Prometheus, and what models did over a period."""

import re
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated

from flask import Response, current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from control_plane.access.scopes import INFER, needs_scope
from control_plane.api.fields import ModelName
from control_plane.database.schema import utc_now
from control_plane.errors import InvalidRequestError
from control_plane.observability.exposition import CONTENT_TYPE
from control_plane.observability.usage_store import hour_of
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("metrics", __name__, abp_tags=[Tag(name="metrics")], abp_security=[{"bearer": []}])
_DEFAULT_PERIOD = timedelta(days=1)
_PAGE = {"description": "Prometheus's text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
_MOMENT = re.compile(r"2\d{3}-\d{2}-\d{2}T\d{2}:\d{2}.*")


def _check_iso_8601(value: object) -> object:
    """Refuse what pydantic would take for seconds since 1970, and years that no database and no clock agrees on."""
    if isinstance(value, str) and not _MOMENT.fullmatch(value):
        raise ValueError(f"{value!r} is not a moment since 2000 in ISO 8601 with a zone, like 2024-05-01T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_check_iso_8601)]


class UsageQuery(BaseModel):
    """Which period, and which model."""

    model_config = ConfigDict(extra="forbid")

    begin: Moment | None = Field(None, alias="from", description="ISO 8601; default 24 hours before `to`.")
    end: Moment | None = Field(None, alias="to", description="ISO 8601; default now.")
    model: ModelName | None = Field(None, description="Default all of them.")


class ModelUsage(BaseModel):
    """What one model did; texts, characters and tokens are those of answered requests."""

    model: str
    requests: int
    errors: int
    duration_ms: float
    texts: int
    characters: int
    tokens: int


class UsageAnswer(BaseModel):
    """The period as it was counted, in whole hours, and every model that had a request in it."""

    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    models: list[ModelUsage]


@blueprint.get("/metrics", responses={"200": _PAGE, **problem_responses(401)}, summary="Metrics for Prometheus")
@needs_scope(INFER)
def show_metrics():
    """Write the metrics of all workers in Prometheus's text format."""
    return Response(services(current_app).exposition.page(), content_type=CONTENT_TYPE)


@blueprint.get("/api/v1/models/usage", responses={"200": UsageAnswer, **problem_responses(401, 404, 422, 503)},
               summary="What models did over a period")
@needs_scope(INFER)
def show_usage(query: UsageQuery):
    """Add up requests, errors, time, texts, characters and tokens by model."""
    begin, end = _whole_hours(query)
    model = None if query.model is None else services(current_app).models.name_of(query.model)
    sums = services(current_app).usage.sums(begin, end, model)
    return {"from": begin.isoformat(), "to": end.isoformat(),
            "models": [{"model": name, **asdict(usage)} for name, usage in sums.items()]}


def _whole_hours(query: UsageQuery) -> tuple[datetime, datetime]:
    """Return the period that is asked for, stretched to whole hours: usage is kept by the hour."""
    end = query.end or utc_now()
    begin = query.begin or end - _DEFAULT_PERIOD
    if begin >= end:
        raise InvalidRequestError("from", f"{begin.isoformat()} is not before `to`, {end.isoformat()}")
    return hour_of(begin), hour_of(end + timedelta(hours=1, microseconds=-1))
