"""REST for applications: what a user's question wants."""

import unicodedata
from typing import Annotated, Literal

from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from control_plane.access.scopes import INFER, needs_scope
from control_plane.api.fields import Subject
from control_plane.api.text_limits import check_texts
from control_plane.problems import problem_responses
from control_plane.questions.tables import METHODS
from control_plane.recognition.recognition_service import RecognizedQuestion
from control_plane.services import services

blueprint = APIBlueprint("intents", __name__, url_prefix="/api/v1/intents", abp_tags=[Tag(name="intents")],
                         abp_security=[{"bearer": []}])


def _check_question(question: str) -> str:
    """Refuse what has no character that one can see; control characters among others are let through as they are."""
    if all(unicodedata.category(character)[0] in "CZ" for character in question):
        raise ValueError("has no character that could be read; send the question's text")
    return question


class PredictBody(BaseModel):
    """One question of a user."""

    model_config = ConfigDict(extra="forbid")

    question: Annotated[str, AfterValidator(_check_question)] = Field(
        min_length=1, json_schema_extra={"pattern": r"\S"}, description="As the user wrote it.")
    subject: Subject | None = Field(None, description=(
        "Who asks, as your product names them; kept as a keyed digest, by which everything of theirs can be erased."))
    consent: bool = Field(False, strict=True, description=(
        "Whether the user agreed that the question is kept, masked. Without it the question is only counted."))


class ScoredIntent(BaseModel):
    """An intent that the question has."""

    intent: str
    score: float = Field(description="Calibrated probability, or what the rules add up to, or 1 from a language model.")


class PredictAnswer(BaseModel):
    """What the question wants; no intents means that it is out of scope."""

    question_id: str | None = Field(description="By which it can be labelled; null where it was not kept.")
    intents: list[ScoredIntent]
    confidence: float
    method: Literal[METHODS]
    time_intent: dict | None = Field(description="The time that the question speaks of, if it does.")
    model_version: str | None = Field(description="The version that scored, null where the local model did not answer.")
    failed_stages: dict[str, str] = Field(description="Stages that failed and were passed over, with their problem.")


@blueprint.post("/predict", responses={"200": PredictAnswer, **problem_responses(400, 401, 413, 415, 422)},
                summary="Recognise what a question wants")
@needs_scope(INFER)
def predict(body: PredictBody):
    """Recognise a question's intents and time, and log it."""
    check_texts("question", [body.question], services(current_app).settings)
    return _shape(services(current_app).tuning.recognition.predict(body.question, body.subject, body.consent))


def _shape(answer: RecognizedQuestion) -> dict:
    recognition = answer.recognition
    return {"question_id": answer.question_id,
            "intents": [{"intent": intent, "score": round(score, 6)} for intent, score in recognition.intents.items()],
            "confidence": round(recognition.confidence, 6), "method": recognition.method,
            "time_intent": answer.time_intent and answer.time_intent.to_json(),
            "model_version": recognition.model and recognition.model.model_version,
            "failed_stages": dict(recognition.failed_stages)}
