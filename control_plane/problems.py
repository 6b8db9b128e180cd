"""Every error as an RFC 9457 problem+json answer, mapped here and nowhere else.

Under /v1 the answer also carries OpenAI's `error` object, so that the official client shows the message.
"""

import logging
from http import HTTPStatus

import orjson
from flask import Flask, Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException

from control_plane import errors, tuning_errors
from control_plane.observability.request_context import current_request_id
from control_plane.secrets_store import SecretError
from control_plane.settings import SettingsError
from export.contract import ConchError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
# flask-openapi3 documents an error answer of its own making on every route that states none with this status, so
# problem_responses states it for all.
DOCUMENTED_ERROR_STATUS = 500
# What an inference may answer; what any request with a body may is among them.
INFERENCE_STATUSES = (400, 401, 404, 409, 413, 415, 422, 502, 503, 504, 507)
# What a route that needs a key (401) may answer besides: the key may have too few scopes, or be used too often.
KEY_STATUSES = (403, 429)
_TYPE_PREFIX = "urn:conch:problem:"
_LOG = logging.getLogger(__name__)

# error -> (status, stable name of its type)
PROBLEMS: dict[type[ConchError], tuple[int, str]] = {
    errors.AuthenticationError: (401, "authentication"),
    errors.KeyExpiredError: (401, "key-expired"),
    errors.KeyRevokedError: (401, "key-revoked"),
    errors.InsufficientScopeError: (403, "insufficient-scope"),
    errors.KeyNotFoundError: (404, "key-not-found"),
    errors.RateLimitError: (429, "rate-limit"),
    errors.ConcurrencyError: (429, "too-many-concurrent-requests"),
    errors.InvalidRequestError: (422, "invalid-request"),
    errors.ModelNotFoundError: (404, "model-not-found"),
    errors.ModelNotServableError: (409, "model-not-servable"),
    errors.ModelNotExportedError: (409, "model-not-exported"),
    errors.ModelNotLoadedError: (409, "model-not-loaded"),
    errors.ModelLoadError: (409, "model-load"),
    errors.InferenceRejectedError: (422, "inference-rejected"),
    errors.InferenceError: (502, "inference"),
    errors.GenerationError: (502, "generation"),
    errors.InferenceTimeoutError: (504, "inference-timeout"),
    errors.TritonUnavailableError: (503, "triton-unavailable"),
    errors.OverloadedError: (503, "overloaded"),
    errors.BrokenModelError: (503, "model-broken"),
    errors.VersionNotFoundError: (404, "version-not-found"),
    errors.VersionRefusedError: (409, "version-refused"),
    errors.StaleRevisionError: (412, "stale-revision"),
    errors.InsufficientMemoryError: (507, "insufficient-memory"),
    errors.DeviceNotAvailableError: (409, "device-not-available"),
    errors.BusyError: (409, "busy"),
    errors.JobNotFoundError: (404, "job-not-found"),
    errors.JobStateError: (409, "job-state"),
    errors.IdempotencyConflictError: (422, "idempotency-conflict"),
    tuning_errors.QuestionNotFoundError: (404, "question-not-found"),
    tuning_errors.QuestionErasedError: (409, "question-erased"),
    errors.ProviderUnavailableError: (503, "provider-unavailable"),
    errors.ProviderTimeoutError: (504, "provider-timeout"),
    errors.ProviderRejectedError: (422, "provider-rejected"),
    errors.ProviderError: (502, "provider"),
    tuning_errors.UnknownIntentsError: (422, "unknown-intents"),
    tuning_errors.IntentNotFoundError: (404, "intent-not-found"),
    tuning_errors.TaxonomyStateError: (409, "taxonomy-state"),
    tuning_errors.LabelStateError: (409, "label-state"),
    tuning_errors.ImportRefusedError: (422, "import-refused"),
    tuning_errors.RuleNotFoundError: (404, "rule-not-found"),
    tuning_errors.RuleExistsError: (409, "rule-exists"),
    tuning_errors.RuleStateError: (409, "rule-state"),
    tuning_errors.BatchNotFoundError: (404, "batch-not-found"),
    tuning_errors.BatchStateError: (409, "batch-state"),
    tuning_errors.ModelVersionNotFoundError: (404, "model-version-not-found"),
    tuning_errors.PromotionError: (409, "promotion"),
    tuning_errors.ExperimentNotFoundError: (404, "experiment-not-found"),
    tuning_errors.ExperimentStateError: (409, "experiment-state"),
    tuning_errors.LlmAnswerError: (502, "llm-answer"),
    errors.DatabaseUnavailableError: (503, "database-unavailable"),
    errors.DatabaseError: (500, "database"),
    SecretError: (500, "secret"),
    SettingsError: (500, "settings"),
    ConchError: (500, "internal"),
}


class FieldProblem(BaseModel):
    """One field that cannot be used."""

    field: str
    message: str


class Problem(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []
    request_id: str = ""


def register_problems(app: Flask) -> None:
    """Answer every exception of `app` as a problem."""
    app.register_error_handler(ConchError, answer_conch_error)
    app.register_error_handler(HTTPException, answer_http_exception)
    app.register_error_handler(Exception, answer_unexpected)


def problem_responses(*statuses: int) -> dict:
    """Return the OpenAPI description of error answers with these statuses, and of those that others bring along."""
    schema = {"$ref": "#/components/schemas/Problem"}
    with_key = KEY_STATUSES if 401 in statuses else ()
    return {str(status): {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
            for status in (*statuses, *with_key, DOCUMENTED_ERROR_STATUS)}


def problem_name(error: Exception) -> str:
    """Return the stable name of an error's type, "internal" for a bug."""
    return _status_and_name(error)[1]


def openai_error(error: Exception) -> dict:
    """Return OpenAI's `error` object for an error that is met when the status has gone out already."""
    return _openai_error(problem_name(error), str(error))


def answer_conch_error(error: ConchError) -> Response:
    """Answer one of the project's own errors."""
    status, name = _status_and_name(error)
    named = getattr(error, "fields", [(error.field, str(error))] if hasattr(error, "field") else [])
    fields = [FieldProblem(field=field, message=message) for field, message in named]
    response = _answer(status, name, str(error), fields)
    if hasattr(error, "retry_after_s"):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def answer_http_exception(error: HTTPException) -> Response:
    """Answer what Flask itself refuses: unknown paths, methods, bodies that are too large or not JSON."""
    if error.response is not None:
        return error.response
    response = _answer(error.code or 500, (error.name or "error").lower().replace(" ", "-"), error.description or "")
    # Such as Allow, which a 405 must carry (RFC 9110, 15.5.6).
    response.headers.update((name, value) for name, value in error.get_headers() if name != "Content-Type")
    return response


def answer_unexpected(error: Exception) -> Response:
    """Answer a bug: the log has the trace, the caller only learns that it is ours."""
    _LOG.exception("unexpected error on %s %s", request.method, request.path, exc_info=error)
    return _answer(500, "internal", "an unexpected error; the server's log has the details")


def answer_validation_error(error: ValidationError) -> Response:
    """Answer a request whose fields do not fit, naming each of them."""
    fields = [FieldProblem(field=".".join(str(part) for part in item["loc"]) or "body",
                           message=item["msg"].removeprefix("Value error, "))
              for item in error.errors(include_url=False, include_context=False, include_input=False)]
    detail = "; ".join(f"{item.field}: {item.message}" for item in fields[:5])
    return _answer(422, "invalid-request", detail, fields)


def _status_and_name(error: Exception) -> tuple[int, str]:
    return next((PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS), PROBLEMS[ConchError])


def _openai_error(name: str, message: str, field: str | None = None) -> dict:
    return {"error": {"message": message, "type": name.replace("-", "_") + "_error", "code": name, "param": field}}


def _answer(status: int, name: str, detail: str, fields: list[FieldProblem] | None = None) -> Response:
    problem = Problem(type=_TYPE_PREFIX + name, title=name.replace("-", " ").capitalize(), status=status, detail=detail,
                      errors=fields or [], request_id=current_request_id()).model_dump()
    if request.path.startswith("/v1/"):
        problem |= _openai_error(name, detail, fields[0].field if fields else None)
    response = Response(orjson.dumps(problem), status, content_type=MEDIA_TYPE)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="conch", charset="UTF-8"'
    return response
