"""Every error is mapped once, to a status and a type that clients may rely on."""

import inspect
import re

import pytest

from control_plane import errors, tuning_errors
from control_plane.model_service import ModelService
from control_plane.problems import PROBLEMS, RETRY_AFTER_S
from control_plane.secrets_store import SecretError
from control_plane.settings import SettingsError
from export.contract import ConchError
from tests.control_plane.problem_assertions import assert_problem

# docs/http_api.md lists these; changing one breaks clients.
MAPPED = {
    "AuthenticationError": (401, "authentication"),
    "KeyExpiredError": (401, "key-expired"),
    "KeyRevokedError": (401, "key-revoked"),
    "InsufficientScopeError": (403, "insufficient-scope"),
    "KeyNotFoundError": (404, "key-not-found"),
    "RateLimitError": (429, "rate-limit"),
    "ConcurrencyError": (429, "too-many-concurrent-requests"),
    "InvalidRequestError": (422, "invalid-request"),
    "ModelNotFoundError": (404, "model-not-found"),
    "ModelNotServableError": (409, "model-not-servable"),
    "ModelNotExportedError": (409, "model-not-exported"),
    "ModelNotLoadedError": (409, "model-not-loaded"),
    "ModelLoadError": (409, "model-load"),
    "InferenceRejectedError": (422, "inference-rejected"),
    "InferenceError": (502, "inference"),
    "GenerationError": (502, "generation"),
    "InferenceTimeoutError": (504, "inference-timeout"),
    "TritonUnavailableError": (503, "triton-unavailable"),
    "OverloadedError": (503, "overloaded"),
    "BrokenModelError": (503, "model-broken"),
    "VersionNotFoundError": (404, "version-not-found"),
    "VersionRefusedError": (409, "version-refused"),
    "StaleRevisionError": (412, "stale-revision"),
    "BusyError": (409, "busy"),
    "JobNotFoundError": (404, "job-not-found"),
    "JobStateError": (409, "job-state"),
    "IdempotencyConflictError": (422, "idempotency-conflict"),
    "InsufficientMemoryError": (507, "insufficient-memory"),
    "DeviceNotAvailableError": (409, "device-not-available"),
    "ProviderUnavailableError": (503, "provider-unavailable"),
    "ProviderTimeoutError": (504, "provider-timeout"),
    "ProviderRejectedError": (422, "provider-rejected"),
    "ProviderError": (502, "provider"),
    "UnknownIntentsError": (422, "unknown-intents"),
    "IntentNotFoundError": (404, "intent-not-found"),
    "TaxonomyStateError": (409, "taxonomy-state"),
    "LabelStateError": (409, "label-state"),
    "ImportRefusedError": (422, "import-refused"),
    "RuleNotFoundError": (404, "rule-not-found"),
    "RuleExistsError": (409, "rule-exists"),
    "RuleStateError": (409, "rule-state"),
    "QuestionNotFoundError": (404, "question-not-found"),
    "QuestionErasedError": (409, "question-erased"),
    "ExperimentNotFoundError": (404, "experiment-not-found"),
    "ExperimentStateError": (409, "experiment-state"),
    "BatchNotFoundError": (404, "batch-not-found"),
    "BatchStateError": (409, "batch-state"),
    "ModelVersionNotFoundError": (404, "model-version-not-found"),
    "PromotionError": (409, "promotion"),
    "LlmAnswerError": (502, "llm-answer"),
    "DatabaseUnavailableError": (503, "database-unavailable"),
    "DatabaseError": (500, "database"),
    "SecretError": (500, "secret"),
    "SettingsError": (500, "settings"),
    "ConchError": (500, "internal"),
}


def _made(kind: type[Exception]) -> Exception:
    """An error of a class, whatever its constructor asks for."""
    error = kind.__new__(kind)
    error.args = ("a reason",)
    if kind is errors.InvalidRequestError:
        error.field = "dimensions"
    return error


def _error_classes() -> list[type[Exception]]:
    """The tree in control_plane.errors and tuning_errors, without its root."""
    return [kind for module in (errors, tuning_errors) for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, errors.ControlPlaneError) and kind is not errors.ControlPlaneError]


def test_types_and_statuses_are_stable():
    assert {kind.__name__: mapped for kind, mapped in PROBLEMS.items()} == MAPPED


def test_every_error_is_mapped_and_none_that_does_not_exist():
    """A class without an entry of its own goes by the one it is derived from."""
    assert set(PROBLEMS) <= {*_error_classes(), ConchError, SecretError, SettingsError}
    for kind in _error_classes():
        assert any(base in PROBLEMS for base in kind.__mro__ if base is not ConchError), kind
    assert len({name for _, name in PROBLEMS.values()}) == len(PROBLEMS)


def test_every_error_stands_once_in_the_tree_that_the_docstring_draws():
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ + tuning_errors.__doc__)
    assert sorted(drawn) == sorted([*(kind.__name__ for kind in _error_classes()), "ControlPlaneError",
                                    "SecretError", "SettingsError"])


@pytest.fixture
def failing(monkeypatch):
    """Have every description of models raise an error."""
    def fail(error: Exception) -> None:
        def describe(*_):
            raise error
        monkeypatch.setattr(ModelService, "describe", describe)
        monkeypatch.setattr(ModelService, "describe_all", describe)
    return fail


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("path", ["/api/v1/models/info?type=tiny", "/v1/models"])
def test_error_is_answered_as_its_problem(client, failing, kind, path):
    error = _made(kind)
    failing(error)
    status, name = MAPPED[kind.__name__]
    response = client.get(path)
    assert_problem(response, status, name, "a reason", field=getattr(error, "field", None))
    retry_after_s = getattr(error, "retry_after_s", RETRY_AFTER_S if status == 503 else None)
    assert response.headers.get("Retry-After") == (None if retry_after_s is None else str(retry_after_s))


def test_an_error_that_is_derived_later_is_answered_as_its_base(client, failing):
    class DerivedError(errors.InferenceTimeoutError):
        """Nobody mapped this one."""

    failing(DerivedError("slow"))
    assert_problem(client.get("/api/v1/models/list"), 504, "inference-timeout", "slow")


@pytest.mark.parametrize("path", ["/api/v1/models/list", "/v1/models"])
def test_unexpected_error_is_logged_and_tells_the_caller_nothing(client, failing, caplog, path):
    failing(ZeroDivisionError("the password is 1234"))
    response = client.get(path)
    assert_problem(response, 500, "internal")
    assert "1234" not in response.text
    assert "Traceback" not in response.text
    assert "ZeroDivisionError: the password is 1234" in caplog.text
    assert path in caplog.text


@pytest.mark.parametrize("path", ["/unknown", "/v1/unknown"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_path_is_404_whatever_the_method(client, path, method):
    assert_problem(client.open(path, method=method), 404, "not-found")


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("POST", "/health", "GET"), ("DELETE", "/v1/models", "GET"), ("GET", "/v1/embeddings", "POST"),
    ("PUT", "/api/v1/models/load", "POST"),
])
def test_wrong_method_is_405_and_says_which_are_allowed(client, method, path, allowed):
    response = client.open(path, method=method)
    assert_problem(response, 405, "method-not-allowed")
    assert allowed in response.headers["Allow"].split(", ")
    assert method not in response.headers["Allow"].split(", ")
