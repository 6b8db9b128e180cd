"""REST for people who label: the queue, labels, and how good the labels are."""

from dataclasses import asdict

from flask import current_app, g
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row

from control_plane.access.scopes import LABEL, needs_scope
from control_plane.labelling.annotations import QuestionRecord
from control_plane.labelling.label_fields import IntentNames, LabelerId, QuestionId, TimeIntentFields
from control_plane.labelling.out_of_fold import SuspectedLabel
from control_plane.labelling.queue import QueuedQuestion
from control_plane.labelling.tables import AnnotationRow
from control_plane.problems import problem_responses
from control_plane.questions.tables import QuestionRow
from control_plane.services import services
from control_plane.tuning_services import TuningServices

blueprint = APIBlueprint("labelling", __name__, url_prefix="/api/v1/model-tuning", abp_tags=[Tag(name="labelling")],
                         abp_security=[{"bearer": []}])
_CHANGE_STATUSES = (400, 401, 404, 409, 413, 415, 422, 503)
_BIGGEST_ID = 2**31 - 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class QueueQuery(_Strict):
    """Whose questions, and how many."""

    limit: int = Field(100, ge=1, le=500)
    cursor: int = Field(0, ge=0, le=_BIGGEST_ID, description="`next_cursor` of the page before.")
    labeler_id: LabelerId | None = None


class QuestionPath(BaseModel):
    """Which question."""

    question_id: QuestionId


class LabelBody(_Strict):
    """What the question really is about."""

    correct_intent: IntentNames
    correct_time_intent: TimeIntentFields | None = None
    labeler_id: LabelerId | None = None
    review: bool = Field(False, strict=True, description="Decide over the labels that there are.")


class LabelerBody(_Strict):
    """Who says so."""

    labeler_id: LabelerId | None = None


class DisputesQuery(_Strict):
    """How many, the oldest first."""

    limit: int = Field(50, ge=1, le=200)
    cursor: QuestionId | None = Field(None, description="`next_cursor` of the page before.")


class SuspectsQuery(_Strict):
    """How many."""

    limit: int = Field(100, ge=1, le=1000)


class LoggedQuestion(BaseModel):
    """A question as it was asked, and what was predicted."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    question: str = Field(description="Masked.")
    intents: list[str] = Field(description="Predicted; empty is out of scope.")
    scores: dict[str, float]
    confidence: float
    time_intent: dict | None
    method: str
    model_version: str
    asked_at: str


class QueuedQuestionDescription(LoggedQuestion):
    """A question that is now with the one who asked for it."""

    slice: str | None = Field(description="Why it was chosen: uncertain, diverse or random.")
    leased_until: str


class QueuePage(BaseModel):
    """Questions to label."""

    questions: list[QueuedQuestionDescription]
    next_cursor: int | None = Field(description="For the next page; null where there is none.")


class AnnotationDescription(BaseModel):
    """What one person said."""

    labeler_id: str
    intents: list[str] | None = Field(description="By the names of today; null is a skip.")
    time_intent: dict | None
    origin: str = Field(description="queue, blind, review, import or seed.")
    slice: str | None
    created_at: str
    undone_at: str | None


class QuestionDescription(LoggedQuestion):
    """A question with everything that was said of it."""

    state: str = Field(description="unlabelled, labelled, disputed, skipped or erased.")
    correct_intent: list[str] | None
    correct_time_intent: dict | None
    training_status: str
    leased_to: str | None
    annotations: list[AnnotationDescription] = Field(description="Oldest first.")


class DisputesPage(BaseModel):
    """Questions of which people say different things."""

    questions: list[QuestionDescription]
    next_cursor: str | None = Field(description="For the next page; null where there is none.")


class AgreementAnswer(BaseModel):
    """Krippendorff's alpha; null where nothing varies."""

    questions: int
    annotations: int
    alpha: float | None
    by_label: dict[str, float | None]


class SuspectDescription(BaseModel):
    """A label that is probably wrong."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    question: str
    correct_intent: list[str] = Field(description="What people said.")
    intent: str
    kind: str = Field(description="missing: the model is sure that it holds; extra: sure that it does not.")
    score: float
    margin: float = Field(description="By how much the score lies beyond what is confident; sorted by it.")
    model_version: str


class Suspects(BaseModel):
    """Suspected errors, the surest first; none before a training."""

    suspects: list[SuspectDescription]


@blueprint.get("/questions/unlabeled", responses={"200": QueuePage, **problem_responses(401, 422, 503)},
               summary="Questions to label")
@needs_scope(LABEL)
def list_unlabeled(query: QueueQuery):
    """Give out questions to label; for ten minutes nobody else gets them. Asking again gives the same ones first."""
    page = _tuning().label_queue.page(query.labeler_id or g.actor, query.limit, query.cursor)
    next_cursor = page[-1].lease_id if len(page) == query.limit else None
    return {"questions": [_describe_queued(item) for item in page], "next_cursor": next_cursor}


@blueprint.get("/questions/disputed", responses={"200": DisputesPage, **problem_responses(401, 422, 503)},
               summary="Questions of which people say different things")
@needs_scope(LABEL)
def list_disputed(query: DisputesQuery):
    """List disputed questions with what was said of them, the oldest first; a label with `review` decides one."""
    records = _tuning().label_reports.disputes(query.limit + 1, query.cursor or "")
    shown = records[:query.limit]
    return {"questions": [_describe(record) for record in shown],
            "next_cursor": shown[-1].question.id if len(records) > query.limit else None}


@blueprint.get("/questions/<string(length=32):question_id>", responses={"200": QuestionDescription,
                                                      **problem_responses(401, 404, 422, 503)},
               summary="Describe a question")
@needs_scope(LABEL)
def describe_question(path: QuestionPath):
    """Describe a question: prediction, label, and who said what. Silent on labels while a second opinion is sought."""
    return _describe(_tuning().annotations.find(path.question_id))


@blueprint.post("/questions/<string(length=32):question_id>/label",
                responses={"200": QuestionDescription, **problem_responses(*_CHANGE_STATUSES)},
                summary="Label a question")
@needs_scope(LABEL)
def label_question(path: QuestionPath, body: LabelBody):
    """Say which intents a question has. The prediction stays as it was; exact duplicates get the same label."""
    time_intent = body.correct_time_intent and body.correct_time_intent.to_json()
    _tuning().annotations.label(path.question_id, body.correct_intent, time_intent, body.labeler_id or g.actor,
                                body.review)
    return _describe(_tuning().annotations.find(path.question_id))


@blueprint.post("/questions/<string(length=32):question_id>/skip",
                responses={"200": QuestionDescription, **problem_responses(*_CHANGE_STATUSES)},
                summary="Skip a question")
@needs_scope(LABEL)
def skip_question(path: QuestionPath, body: LabelerBody):
    """Take a question that nobody can label out of the queue."""
    _tuning().annotations.skip(path.question_id, body.labeler_id or g.actor)
    return _describe(_tuning().annotations.find(path.question_id))


@blueprint.post("/questions/<string(length=32):question_id>/undo",
                responses={"200": QuestionDescription, **problem_responses(*_CHANGE_STATUSES)},
                summary="Undo a label or a skip")
@needs_scope(LABEL)
def undo_label(path: QuestionPath, body: LabelerBody):
    """Withdraw the last thing that this person said of the question; the annotation stays, marked as undone."""
    _tuning().annotations.undo(path.question_id, body.labeler_id or g.actor)
    return _describe(_tuning().annotations.find(path.question_id))


@blueprint.get("/agreement", responses={"200": AgreementAnswer, **problem_responses(401, 503)},
               summary="How far people agree")
@needs_scope(LABEL)
def measure_agreement():
    """Measure agreement on the questions that two people labelled without knowing of each other."""
    return asdict(_tuning().label_reports.agreement())


@blueprint.get("/label-errors", responses={"200": Suspects, **problem_responses(401, 422, 503)},
               summary="Labels that are probably wrong")
@needs_scope(LABEL)
def list_label_errors(query: SuspectsQuery):
    """List labels that a model which was not trained on them confidently contradicts."""
    return {"suspects": [_describe_suspect(item) for item in _tuning().label_reports.suspected_labels(query.limit)]}


def _tuning() -> TuningServices:
    return services(current_app).tuning


def _describe_queued(item: QueuedQuestion) -> dict:
    return {**_describe_logged(item.question), "slice": item.slice,
            "leased_until": item.expires_at.isoformat(timespec="seconds")}


def _describe_logged(row: QuestionRow | Row) -> dict:
    same = ("id", "question", "intents", "scores", "confidence", "time_intent", "method", "model_version")
    return {**{field: getattr(row, field) for field in same}, "asked_at": row.asked_at.isoformat(timespec="seconds")}


def _describe(record: QuestionRecord) -> dict:
    row, lease = record.question, record.lease
    described = {**_describe_logged(row), "training_status": row.training_status,
                 "leased_to": lease and lease.labeler}
    if lease is not None and lease.is_blind:
        return {**described, "state": "unlabelled", "correct_intent": None, "correct_time_intent": None,
                "annotations": []}
    return {**described, "state": record.state, "correct_intent": record.correct_intent,
            "correct_time_intent": row.correct_time_intent,
            "annotations": [_describe_annotation(record, annotation) for annotation in record.annotations]}


def _describe_annotation(record: QuestionRecord, annotation: AnnotationRow) -> dict:
    intents = None if annotation.intents is None else record.taxonomy.names_of(annotation.intents)
    undone_at = annotation.undone_at and annotation.undone_at.isoformat(timespec="seconds")
    return {"labeler_id": annotation.labeler, "intents": intents, "time_intent": annotation.time_intent,
            "origin": annotation.origin, "slice": annotation.slice, "undone_at": undone_at,
            "created_at": annotation.created_at.isoformat(timespec="seconds")}


def _describe_suspect(item: SuspectedLabel) -> dict:
    return {"id": item.question.id, "question": item.question.question, "correct_intent": item.labels,
            **{field: getattr(item, field) for field in ("intent", "kind", "score", "margin", "model_version")}}
