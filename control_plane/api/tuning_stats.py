"""REST for those who watch the tuning loop: its figures over the last days."""

from dataclasses import asdict

from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import LABEL, needs_scope
from control_plane.database.schema import utc_now
from control_plane.problems import problem_responses
from control_plane.questions.statistics import Figures
from control_plane.services import services
from control_plane.tuning.accuracy import WeekAccuracy
from control_plane.tuning.statistics import TuningFigures

blueprint = APIBlueprint("tuning_stats", __name__, url_prefix="/api/v1/model-tuning",
                         abp_tags=[Tag(name="model tuning")], abp_security=[{"bearer": []}])


class StatsQuery(BaseModel):
    """Which days."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(30, ge=1, le=366, description="How many days of UTC, today included.")


class QuestionFigures(BaseModel):
    """What was asked; shares and times are null where nothing was."""

    questions: int
    logged: int = Field(description="With consent, and therefore kept.")
    labeled: int
    labeled_share: float | None = Field(description="Labelled ones among those that were kept.")
    llm_calls: int
    llm_call_rate: float | None = Field(description="Questions that called a language model among all.")
    mean_latency_ms: float | None
    p95_latency_ms: float | None = Field(description="To within 9 %.")


class DayFigures(QuestionFigures):
    """What was asked on one day."""

    day: str


class TrainingDescription(BaseModel):
    """The batches that were created in the period."""

    runs: int
    by_state: dict[str, int]
    success_rate: float | None = Field(description="Of those that ended.")
    mean_duration_s: float | None = Field(description="Of those that succeeded.")


class RulesDescription(BaseModel):
    """The keyword rules as they are now; usage and success since each was made."""

    rules: int
    by_state: dict[str, int]
    usage_count: int
    success_count: int


class EstimateDescription(BaseModel):
    """A share with its interval of 95 %."""

    value: float
    low: float
    high: float


class AccuracyDescription(BaseModel):
    """How right the answers of one week were, by the random sample that people labelled."""

    week: str = Field(description="Its Monday.")
    questions: int = Field(description="In the sample.")
    exact_match: EstimateDescription
    micro_f1: EstimateDescription | None


class Stats(BaseModel):
    """The figures of a period."""

    model_config = ConfigDict(protected_namespaces=())

    first_day: str
    last_day: str
    total: QuestionFigures
    days: list[DayFigures] = Field(description="Days on which something was asked.")
    intents: dict[str, float] = Field(description="Share of all questions that have the intent, or out_of_scope.")
    methods: dict[str, float] = Field(description="Share of all questions that were answered so.")
    model_versions: dict[str, float] = Field(description="Share of all questions; empty where no model answered.")
    training: TrainingDescription
    rules: RulesDescription
    accuracy: list[AccuracyDescription] = Field(description="Oldest week first; weeks without labels are left out.")


@blueprint.get("/stats", responses={"200": Stats, **problem_responses(401, 422, 503)},
               summary="Figures of the tuning loop")
@needs_scope(LABEL)
def read_stats(query: StatsQuery):
    """Tell what was asked, how it was answered and how well, what was trained, and what the rules do."""
    return _describe(services(current_app).tuning.statistics.read(utc_now().date(), query.days))


def _describe(figures: TuningFigures) -> dict:
    questions, training, rules = figures.questions, figures.training, figures.rules
    return {"first_day": figures.first.isoformat(), "last_day": figures.last.isoformat(),
            "total": _describe_figures(questions.total),
            "days": [{"day": day.isoformat(), **_describe_figures(of_day)} for day, of_day in questions.days.items()],
            "intents": questions.intents, "methods": questions.methods, "model_versions": questions.model_versions,
            "training": {"runs": sum(training.by_state.values()), **asdict(training)},
            "rules": {"rules": sum(rules.by_state.values()), **asdict(rules)},
            "accuracy": [_describe_accuracy(week) for week in figures.accuracy]}


def _describe_figures(figures: Figures) -> dict:
    same = ("questions", "logged", "labeled", "labeled_share", "llm_calls", "mean_latency_ms", "p95_latency_ms")
    return {**{field: getattr(figures, field) for field in same}, "llm_call_rate": figures.llm_call_share}


def _describe_accuracy(accuracy: WeekAccuracy) -> dict:
    return {**asdict(accuracy), "week": accuracy.week.isoformat()}
