"""REST for keyword rules: list them with what gets in their way, add, change, and see what was done to them."""

from typing import Annotated, Literal

from flask import current_app, g
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import LABEL, PROMOTE, needs_scope
from control_plane.api.fields import Reason
from control_plane.api.taxonomy import IntentName
from control_plane.errors import InvalidRequestError
from control_plane.intents.keyword_rules import KEYWORD_MAX_CHARS, KeywordRule
from control_plane.intents.rule_relations import RuleRelations, find_relations
from control_plane.intents.rule_store import FIRST_STATES
from control_plane.intents.tables import ORIGINS, PROPOSED, RULE_STATES, KeywordRuleChangeRow, KeywordRuleRow
from control_plane.problems import problem_responses
from control_plane.services import services
from control_plane.tuning_services import TuningServices

blueprint = APIBlueprint("rules", __name__, url_prefix="/api/v1/model-tuning/keywords",
                         abp_tags=[Tag(name="keyword rules")], abp_security=[{"bearer": []}])
_CHANGE_STATUSES = (400, 401, 404, 409, 413, 415, 422, 503)
_BIGGEST_ID = 2**31 - 1
_SHOWN_RELATIONS = 20

Boost = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, strict=True, description=(
    "How much it speaks for its intent, above 0 and below 1; several rules add up to 1 − Π(1 − boost)."))]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RulePath(BaseModel):
    """Which rule."""

    rule_id: int = Field(ge=1, le=_BIGGEST_ID, json_schema_extra={"example": 1})


class RulesQuery(_Strict):
    """Which rules, and how many, oldest first."""

    state: Literal[RULE_STATES] | None = Field(None, description="Only those in this state.")
    intent: IntentName | None = Field(None, description="Only those that speak for this intent.")
    limit: int = Field(100, ge=1, le=500)
    cursor: int = Field(0, ge=0, le=_BIGGEST_ID, description="`next_cursor` of the page before.")


class NewRuleBody(_Strict):
    """A rule that somebody thought of."""

    keyword: str = Field(min_length=1, max_length=KEYWORD_MAX_CHARS, json_schema_extra={"example": "偏财运"})
    intent: IntentName
    confidence_boost: Boost = Field(json_schema_extra={"example": 0.8})
    state: Literal[FIRST_STATES] = Field(PROPOSED, description="In which it begins.")
    reason: Reason = ""


class ChangeRuleBody(_Strict):
    """What changes."""

    state: Literal[RULE_STATES] | None = Field(None, description=(
        "proposed → shadow → active; every one → retired → proposed."))
    confidence_boost: Boost | None = None
    reason: Reason = ""


class HistoryQuery(_Strict):
    """How many changes, newest first."""

    limit: int = Field(100, ge=1, le=1000)


class RelatedRule(BaseModel):
    """Another rule that gets in the way."""

    id: int
    keyword: str
    intent: str


class Rule(BaseModel):
    """One keyword rule. What gets in its way is looked for among the rules that are not retired."""

    id: int
    keyword: str = Field(description="As it is matched: NFKC, case folded.")
    intent: str
    confidence_boost: float
    state: Literal[RULE_STATES]
    origin: Literal[ORIGINS]
    usage_count: int = Field(description="Questions that it matched while it was active or in the shadow.")
    success_count: int = Field(description="Of these, the ones that people labelled with its intent.")
    admission: dict | None = Field(description="The figures that the extraction proposed it by.")
    overlap_count: int
    overlaps: list[RelatedRule] = Field(description=(
        "Rules of the same intent of which one keyword lies within the other; the first 20."))
    conflict_count: int
    conflicts: list[RelatedRule] = Field(description=(
        "Rules of other intents with the same keyword, or one within the other; the first 20."))
    created_at: str
    updated_at: str


class RulePage(BaseModel):
    """A page of rules, oldest first."""

    rules: list[Rule]
    next_cursor: int | None = Field(description="For the next page; null on the last one.")


class RuleChange(BaseModel):
    """One change of a rule, with what it was afterwards."""

    at: str
    actor: str
    state: str
    confidence_boost: float
    reason: str


class RuleHistory(BaseModel):
    """What was done to a rule."""

    history: list[RuleChange]


@blueprint.get("", responses={"200": RulePage, **problem_responses(401, 422, 503)}, summary="List keyword rules")
@needs_scope(LABEL)
def list_rules(query: RulesQuery):
    """List the rules, oldest first, with their figures and what gets in their way."""
    rows = _tuning().rules.page(query.limit + 1, query.cursor, query.state, query.intent)
    shown = rows[:query.limit]
    return {"rules": _describe(shown), "next_cursor": shown[-1].id if len(rows) > query.limit else None}


@blueprint.post("", responses={"201": Rule, **problem_responses(400, 401, 409, 413, 415, 422, 503)},
                summary="Add a keyword rule")
@needs_scope(PROMOTE)
def add_rule(body: NewRuleBody):
    """Add a rule by hand."""
    known = _tuning().taxonomy.snapshot().labels
    if body.intent not in known:
        raise InvalidRequestError("intent", f"the taxonomy has no active intent {body.intent!r}; it has "
                                            f"{', '.join(known) or 'none yet'}")
    row = _tuning().rules.add(body.keyword, body.intent, body.confidence_boost, g.actor, body.state,
                              reason=body.reason)
    return _describe([row])[0], 201


@blueprint.patch("/<int:rule_id>", responses={"200": Rule, **problem_responses(*_CHANGE_STATUSES)},
                 summary="Change a keyword rule")
@needs_scope(PROMOTE)
def change_rule(path: RulePath, body: ChangeRuleBody):
    """Move a rule to another state, or give it another boost; answers use it within a second or two."""
    row = _tuning().rules.update(path.rule_id, g.actor, body.state, body.confidence_boost, body.reason)
    return _describe([row])[0]


@blueprint.get("/<int:rule_id>/history", responses={"200": RuleHistory, **problem_responses(401, 404, 422, 503)},
               summary="What was done to a keyword rule")
@needs_scope(LABEL)
def read_rule_history(path: RulePath, query: HistoryQuery):
    """List the changes of a rule, newest first."""
    rules = _tuning().rules
    rules.find(path.rule_id)
    return {"history": [_describe_change(row) for row in rules.changes(path.rule_id, query.limit)]}


def _tuning() -> TuningServices:
    return services(current_app).tuning


def _describe(rows: list[KeywordRuleRow]) -> list[dict]:
    relations = find_relations(_tuning().rules.standing())
    return [_describe_one(row, relations.get(row.id, RuleRelations())) for row in rows]


def _describe_one(row: KeywordRuleRow, relations: RuleRelations) -> dict:
    same = ("id", "keyword", "intent", "confidence_boost", "state", "origin", "usage_count", "success_count",
            "admission")
    return {**{field: getattr(row, field) for field in same},
            "overlap_count": len(relations.overlaps), "overlaps": _shorten(relations.overlaps),
            "conflict_count": len(relations.conflicts), "conflicts": _shorten(relations.conflicts),
            "created_at": row.created_at.isoformat(timespec="milliseconds"),
            "updated_at": row.updated_at.isoformat(timespec="milliseconds")}


def _shorten(rules: list[KeywordRule]) -> list[dict]:
    return [{"id": rule.id, "keyword": rule.keyword, "intent": rule.intent} for rule in rules[:_SHOWN_RELATIONS]]


def _describe_change(row: KeywordRuleChangeRow) -> dict:
    same = ("actor", "state", "confidence_boost", "reason")
    return {**{field: getattr(row, field) for field in same}, "at": row.at.isoformat(timespec="milliseconds")}
