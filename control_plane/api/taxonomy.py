"""REST for the taxonomy: which intents there are. Everybody who labels reads it, administrators change it."""

from typing import Annotated

from flask import current_app, g
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from control_plane.access.scopes import ADMIN, LABEL, needs_scope
from control_plane.api.fields import Reason
from control_plane.labelling.tables import DISPLAY_NAME_MAX_CHARS, TaxonomyChangeRow
from control_plane.labelling.taxonomy import INTENT_NAME_PATTERN, Taxonomy, TaxonomySnapshot
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("taxonomy", __name__, url_prefix="/api/v1/model-tuning",
                         abp_tags=[Tag(name="taxonomy")], abp_security=[{"bearer": []}])
_CHANGE_STATUSES = (400, 401, 404, 409, 413, 415, 422, 503)
_BIGGEST_REVISION = 2**31 - 1

IntentName = Annotated[str, StringConstraints(pattern=INTENT_NAME_PATTERN), Field(
    json_schema_extra={"example": "wealth"})]
DisplayName = Annotated[str, StringConstraints(min_length=1, max_length=DISPLAY_NAME_MAX_CHARS), Field(
    description="What people read.")]
Description = Annotated[str, StringConstraints(max_length=4000), Field(
    description="What belongs to it and what does not.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IntentPath(BaseModel):
    """Which intent."""

    name: IntentName


class NewIntentBody(_Strict):
    """A new intent."""

    name: IntentName = Field(json_schema_extra={"example": "career"})
    display_name: DisplayName
    description: Description = ""
    reason: Reason = ""


class ChangeIntentBody(_Strict):
    """What changes; past labels go along with a new name."""

    name: IntentName | None = Field(None, description="The new name.")
    display_name: DisplayName | None = None
    description: Description | None = None
    reason: Reason = ""


class MergeBody(_Strict):
    """Where its past labels go."""

    into: IntentName = Field(json_schema_extra={"example": "general"})
    reason: Reason = ""


class ReasonBody(_Strict):
    """Why."""

    reason: Reason = ""


class HistoryQuery(_Strict):
    """Which changes."""

    limit: int = Field(100, ge=1, le=1000)
    cursor: int | None = Field(None, ge=1, le=_BIGGEST_REVISION, description="`next_cursor` of the page before.")


class IntentDescription(BaseModel):
    """One intent."""

    name: str
    display_name: str
    description: str
    state: str = Field(description="active, retired or merged.")
    merged_into: str | None


class TaxonomyAnswer(BaseModel):
    """The taxonomy; a model is trained with the active intents, in this order."""

    revision: int
    intents: list[IntentDescription]


class TaxonomyChange(BaseModel):
    """One change."""

    revision: int
    at: str
    actor: str
    action: str
    intent: str
    detail: dict
    reason: str


class TaxonomyHistory(BaseModel):
    """Changes, newest first."""

    history: list[TaxonomyChange]
    next_cursor: int | None


_CHANGED = {"200": TaxonomyAnswer, **problem_responses(*_CHANGE_STATUSES)}


@blueprint.get("/taxonomy", responses={"200": TaxonomyAnswer, **problem_responses(401, 503)}, summary="The taxonomy")
@needs_scope(LABEL)
def show_taxonomy():
    """List the intents, in order."""
    return _describe(_taxonomy().snapshot())


@blueprint.get("/taxonomy-history", responses={"200": TaxonomyHistory, **problem_responses(401, 422, 503)},
               summary="Who changed the taxonomy")
@needs_scope(LABEL)
def show_history(query: HistoryQuery):
    """Page through the changes of the taxonomy, newest first."""
    rows = _taxonomy().history(query.limit + 1, query.cursor)
    shown = rows[:query.limit]
    return {"history": [_describe_change(row) for row in shown],
            "next_cursor": shown[-1].revision if len(rows) > query.limit else None}


@blueprint.post("/taxonomy", responses=_CHANGED, summary="Add an intent")
@needs_scope(ADMIN)
def add_intent(body: NewIntentBody):
    """Add an intent behind the others. A training that is under way does not see it."""
    return _describe(_taxonomy().add(body.name, body.display_name, body.description, g.actor, body.reason))


@blueprint.patch("/taxonomy/<name>", responses=_CHANGED, summary="Rename or describe an intent")
@needs_scope(ADMIN)
def change_intent(path: IntentPath, body: ChangeIntentBody):
    """Change an intent's name, display name or description; past labels go along."""
    values = body.model_dump(exclude={"reason"}, exclude_none=True)
    return _describe(_taxonomy().change(path.name, g.actor, body.reason, **values))


@blueprint.post("/taxonomy/<name>/merge", responses=_CHANGED, summary="Merge an intent into another")
@needs_scope(ADMIN)
def merge_intent(path: IntentPath, body: MergeBody):
    """Make past labels of this intent labels of another one. It cannot be undone."""
    return _describe(_taxonomy().merge(path.name, body.into, g.actor, body.reason))


@blueprint.post("/taxonomy/<name>/retire", responses=_CHANGED, summary="Retire an intent")
@needs_scope(ADMIN)
def retire_intent(path: IntentPath, body: ReasonBody):
    """Take an intent out of future datasets; past labels stay."""
    return _describe(_taxonomy().retire(path.name, g.actor, body.reason))


@blueprint.post("/taxonomy/<name>/restore", responses=_CHANGED, summary="Bring a retired intent back")
@needs_scope(ADMIN)
def restore_intent(path: IntentPath, body: ReasonBody):
    """Make a retired intent active again, with its past labels."""
    return _describe(_taxonomy().restore(path.name, g.actor, body.reason))


def _taxonomy() -> Taxonomy:
    return services(current_app).tuning.taxonomy


def _describe(snapshot: TaxonomySnapshot) -> dict:
    intents = [{"name": intent.name, "display_name": intent.display_name, "description": intent.description,
                "state": intent.state,
                "merged_into": None if intent.merged_into is None else snapshot.by_id[intent.merged_into].name}
               for intent in snapshot.intents]
    return {"revision": snapshot.revision, "intents": intents}


def _describe_change(row: TaxonomyChangeRow) -> dict:
    described = {field: getattr(row, field) for field in TaxonomyChange.model_fields}
    return {**described, "at": row.at.isoformat(timespec="seconds")}
