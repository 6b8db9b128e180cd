"""Every error is mapped once, to a status and a type that clients may rely on."""

import inspect
import re

import pytest

from control_plane import errors
from control_plane.problems import PROBLEMS, RETRY_AFTER_S
from control_plane.secrets_store import SecretError
from control_plane.settings import SettingsError
from export.contract import ConchError
from tests.control_plane.problem_assertions import assert_problem

# docs/http_api.md lists these; changing one breaks clients.
MAPPED = {
    "AuthenticationError": (401, "authentication"),
    "InvalidRequestError": (422, "invalid-request"),
    "ModelNotFoundError": (404, "model-not-found"),
    "ModelNotServableError": (409, "model-not-servable"),
    "ModelNotExportedError": (409, "model-not-exported"),
    "ModelNotLoadedError": (409, "model-not-loaded"),
    "ModelLoadError": (409, "model-load"),
    "InferenceRejectedError": (422, "inference-rejected"),
    "InferenceError": (502, "inference"),
    "InferenceTimeoutError": (504, "inference-timeout"),
    "TritonUnavailableError": (503, "triton-unavailable"),
    "SecretError": (500, "secret"),
    "SettingsError": (500, "settings"),
    "ConchError": (500, "internal"),
}
RAISED = [
    errors.AuthenticationError(),
    errors.InvalidRequestError("dimensions", "too many"),
    errors.ModelNotFoundError("nope", ["tiny"]),
    errors.ModelNotServableError("tiny", "a reason"),
    errors.ModelNotExportedError("tiny"),
    errors.ModelNotLoadedError("tiny"),
    errors.ModelLoadError("tiny", "a reason"),
    errors.InferenceRejectedError("text 0 is too long"),
    errors.InferenceError("out of memory"),
    errors.InferenceTimeoutError("too slow"),
    errors.TritonUnavailableError("gone"),
    SecretError("empty"),
    SettingsError("wrong"),
    ConchError("anything else of ours"),
]


def _error_classes() -> list[type[Exception]]:
    """The leaves of the tree in control_plane.errors."""
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)
               if issubclass(kind, errors.ControlPlaneError)]
    return [kind for kind in classes if not any(kind in other.__bases__ for other in classes)]


def test_types_and_statuses_are_stable():
    assert {kind.__name__: mapped for kind, mapped in PROBLEMS.items()} == MAPPED


def test_every_error_is_mapped_and_none_that_does_not_exist():
    own = {ConchError, SecretError, SettingsError}
    assert set(PROBLEMS) == {*_error_classes(), *own}
    assert len({name for _, name in PROBLEMS.values()}) == len(PROBLEMS)


def test_every_error_stands_once_in_the_tree_that_the_docstring_draws():
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert sorted(drawn) == sorted([*(kind.__name__ for kind in _error_classes()), "ControlPlaneError",
                                    "SecretError", "SettingsError"])


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("path", ["/api/v1/models/info?type=tiny", "/v1/models"])
def test_error_is_answered_as_its_problem(client, gateway, error, path):
    gateway.error = error
    if path == "/v1/models" and isinstance(error, errors.TritonUnavailableError):
        assert client.get(path).json == {"object": "list", "data": []}  # Without Triton nothing is loaded.
        return
    status, name = MAPPED[type(error).__name__]
    response = client.get(path)
    assert_problem(response, status, name, str(error), field=getattr(error, "field", None))
    assert response.headers.get("Retry-After") == (str(RETRY_AFTER_S) if status == 503 else None)


def test_an_error_that_is_derived_later_is_answered_as_its_base(client, gateway):
    class DerivedError(errors.InferenceTimeoutError):
        """Nobody mapped this one."""

    gateway.error = DerivedError("slow")
    assert_problem(client.get("/api/v1/models/list"), 504, "inference-timeout", "slow")


@pytest.mark.parametrize("path", ["/api/v1/models/list", "/v1/models"])
def test_unexpected_error_is_logged_and_tells_the_caller_nothing(client, gateway, caplog, path):
    gateway.error = ZeroDivisionError("the password is 1234")
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
