"""The only module that talks to Triton (gRPC). Its client's exceptions stop here. Knows nothing of HTTP or catalogs."""

import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from control_plane.errors import (
    BrokenModelError,
    GenerationError,
    InferenceError,
    InferenceRejectedError,
    InferenceTimeoutError,
    InsufficientMemoryError,
    ModelLoadError,
    ModelNotLoadedError,
    OverloadedError,
    TritonUnavailableError,
)
from control_plane.generation.request import GenerationEvent, GenerationRequest
from control_plane.triton_config import PLACEMENT_PARAMETER
from control_plane.triton_generation import StreamFailedError, stream_generation
from control_plane.triton_messages import add_texts, new_request, read_output
from export.contract import (
    EMBEDDING_OUTPUT,
    LABELS_OUTPUT,
    MAX_BATCH_SIZE,
    OUT_OF_MEMORY,
    SCORES_OUTPUT,
    SECRET_HEADER,
    TEXT_INPUT,
    TOKEN_COUNT_OUTPUT,
    TOO_MANY_WAIT,
)

# Triton's gRPC front end expects the header of a restricted API under this prefix (Triton: inference protocols page).
_GRPC_SECRET_HEADER = f"triton-grpc-protocol-{SECRET_HEADER}"
# What Triton's Python backend says of a model whose process has died; nothing but a reload brings it back.
_BROKEN = "Stub process"
# What Triton says of a model, or of itself, that cannot take a request; a stream's errors have no status.
_NOT_LOADED = ("unknown model", "no available versions", "not ready", "not at ready state")
_STOPPING = "Server is stopping"
# Why a request was not taken although all is well: the generator's own words, and those of Triton's batcher.
_FULL = (TOO_MANY_WAIT, "Exceeds maximum queue size")
_LIVE_TIMEOUT_S = 2
_STATE_TIMEOUT_S = 5
_UNREACHABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A Triton that comes back should be noticed within a second, not after gRPC's default two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


@dataclass(frozen=True)
class Embeddings:
    """The answer of an embedding model."""

    vectors: np.ndarray       # float32 [texts, dimension]
    token_counts: np.ndarray  # int32 [texts]
    model_version: str        # the Triton version that answered


@dataclass(frozen=True)
class Classification:
    """The answer of an intent model; which labels hold is what the thresholds of the version's manifest say."""

    scores: np.ndarray        # float32 [texts, labels]
    labels: tuple[str, ...]   # in the order of the scores
    token_counts: np.ndarray  # int32 [texts]
    model_version: str        # the Triton version that answered


class TritonGateway:
    """One Triton server."""

    def __init__(self, address: str, secret: str, inference_timeout_s: float, load_timeout_s: float) -> None:
        self.address = address
        self._headers = {_GRPC_SECRET_HEADER: secret}
        self._inference_timeout_s = inference_timeout_s
        self._load_timeout_s = load_timeout_s
        self._client: triton.InferenceServerClient | None = None
        self._service: service_pb2_grpc.GRPCInferenceServiceStub | None = None
        self._client_lock = threading.Lock()

    def is_live(self) -> bool:
        """Return whether Triton answers at all."""
        try:
            return self._connected().is_server_live(client_timeout=_LIVE_TIMEOUT_S)
        except InferenceServerException:
            return False

    def ready_versions(self) -> dict[str, list[int]]:
        """Return the loaded models, each with its ready versions, ascending."""
        ready: dict[str, list[int]] = {}
        for item in self._index():
            if item.state == "READY":
                ready.setdefault(item.name, []).append(int(item.version))
        return {name: sorted(versions) for name, versions in ready.items()}

    def holds(self, name: str) -> bool:
        """Return whether any version of a model is loaded or on its way in or out."""
        return any(item.name == name and item.state in ("READY", "LOADING", "UNLOADING") for item in self._index())

    def placement_digest(self, name: str) -> str | None:
        """Return which placement a loaded model is (control_plane.triton_config), None when there is none to ask."""
        try:
            answer = self._connected().get_model_config(name, client_timeout=_STATE_TIMEOUT_S)
        except InferenceServerException as error:
            if _code(error) in _UNREACHABLE:
                raise self._unreachable(error) from error
            return None
        return answer.config.parameters[PLACEMENT_PARAMETER].string_value or None

    def load(self, name: str, config: str) -> None:
        """Load a model with `config` (control_plane.triton_config); returns when its versions are ready.

        Raises ModelLoadError with Triton's reason, InsufficientMemoryError where that was the memory; the versions
        served before, if any, then still are.
        """
        try:
            self._connected().load_model(name, config=config, headers=self._headers,
                                         client_timeout=self._load_timeout_s)
        except InferenceServerException as error:
            raise self._load_error(name, error) from error

    def unload(self, name: str) -> None:
        """Unload every version of a model; requests that are under way are answered first."""
        try:
            self._connected().unload_model(name, headers=self._headers, client_timeout=self._load_timeout_s)
        except InferenceServerException as error:
            raise self._load_error(name, error) from error

    def embed(self, name: str, texts: Sequence[str], parameters: dict[str, str | bool] | None = None,
              version: int | None = None, max_batch_size: int = MAX_BATCH_SIZE,
              request_id: str = "") -> Embeddings:
        """Embed `texts` in as many requests as the model's batch limit asks for, all under way at once.

        Without a version the highest one that is loaded answers. `request_id` is what Triton's log calls the requests.
        Raises ModelNotLoadedError, InferenceRejectedError, InferenceTimeoutError, InferenceError, BrokenModelError,
        InsufficientMemoryError or TritonUnavailableError.
        """
        answers = self._infer(name, texts, parameters, version, max_batch_size, request_id)
        return Embeddings(_rows(answers, EMBEDDING_OUTPUT), _rows(answers, TOKEN_COUNT_OUTPUT)[:, 0],
                          answers[0].model_version)

    def classify(self, name: str, texts: Sequence[str], parameters: dict[str, str | bool] | None = None,
                 version: int | None = None, max_batch_size: int = MAX_BATCH_SIZE, request_id: str = "",
                 timeout_s: float | None = None) -> Classification:
        """Score every label of an intent model for each of `texts`; otherwise as `embed`, errors included."""
        answers = self._infer(name, texts, parameters, version, max_batch_size, request_id, timeout_s)
        labels = tuple(label.decode() for label in read_output(answers[0], LABELS_OUTPUT)[0])
        return Classification(_rows(answers, SCORES_OUTPUT), labels, _rows(answers, TOKEN_COUNT_OUTPUT)[:, 0],
                              answers[0].model_version)

    def _infer(self, name: str, texts: Sequence[str], parameters: dict[str, str | bool] | None, version: int | None,
               max_batch_size: int, request_id: str,
               timeout_s: float | None = None) -> list[service_pb2.ModelInferResponse]:
        """Return the answers to all texts, in as many parts as the batch limit asks for, in order."""
        timeout_s = timeout_s or self._inference_timeout_s
        requests = []
        for start in range(0, len(texts), max_batch_size):
            chunk = texts[start:start + max_batch_size]
            requests.append(new_request(name, version, request_id, parameters))
            add_texts(requests[-1], TEXT_INPUT, chunk, [len(chunk), 1])
        try:
            return self._ask(requests, timeout_s)
        except grpc.RpcError as error:
            raise self._inference_error(name, _named(error), timeout_s) from error

    def _ask(self, requests: list[service_pb2.ModelInferRequest],
             timeout_s: float) -> list[service_pb2.ModelInferResponse]:
        """Send all requests at once; raises grpc.RpcError. tritonclient's own call would take 0.2 ms more of each."""
        infer = self._opened().ModelInfer
        if len(requests) == 1:  # The common case needs no threads to meet.
            return [infer(requests[0], timeout=timeout_s)]
        calls = [infer.future(request, timeout=timeout_s) for request in requests]
        return [call.result() for call in calls]

    def generate(self, name: str, request: GenerationRequest, version: int, request_id: str,
                 timeout_s: float) -> Generator[GenerationEvent, None, None]:
        """Yield the pieces of the answers; closing the generator cancels the generation.

        Raises as `embed` does, with GenerationError for InferenceError.
        """
        try:
            yield from stream_generation(self._opened(), name, version, request, request_id, timeout_s)
        except grpc.RpcError as error:
            raise self._inference_error(name, _named(error), timeout_s, GenerationError) from error
        except StreamFailedError as error:
            named = InferenceServerException(error.message, str(error.code))
            raise self._inference_error(name, named, timeout_s, GenerationError) from error

    def _index(self):
        try:
            return self._connected().get_model_repository_index(
                headers=self._headers, client_timeout=_STATE_TIMEOUT_S).models
        except InferenceServerException as error:
            raise self._unreachable(error) from error

    def _connected(self) -> triton.InferenceServerClient:
        """Open the channel on first use: gRPC's channels do not survive gunicorn's fork."""
        if self._client is None:
            with self._client_lock:
                if self._client is None:
                    self._client = triton.InferenceServerClient(self.address, channel_args=_CHANNEL_OPTIONS)
        return self._client

    def _opened(self) -> service_pb2_grpc.GRPCInferenceServiceStub:
        """Open the channel of inferences on first use, for the same reason."""
        if self._service is None:
            with self._client_lock:
                if self._service is None:
                    self._service = service_pb2_grpc.GRPCInferenceServiceStub(
                        grpc.insecure_channel(self.address, options=_CHANNEL_OPTIONS))
        return self._service

    def _load_error(self, name: str, error: InferenceServerException) -> Exception:
        if _code(error) == grpc.StatusCode.UNAVAILABLE and not self.is_live():
            return self._unreachable(error)
        if _code(error) == grpc.StatusCode.DEADLINE_EXCEEDED:
            return ModelLoadError(name, f"Triton did not finish within {self._load_timeout_s:g} s; it goes on, and the "
                                        "model's state tells when it is done")
        if OUT_OF_MEMORY in error.message():
            return InsufficientMemoryError(name, error.message())
        return ModelLoadError(name, error.message())

    def _inference_error(self, name: str, error: InferenceServerException, timeout_s: float,
                         other: type[InferenceError] = InferenceError) -> Exception:
        """Return the control plane's name for what went wrong; `other` for what has no better one."""
        code, message = _code(error), error.message()
        if code == grpc.StatusCode.INVALID_ARGUMENT:
            return InferenceRejectedError(message)
        if OUT_OF_MEMORY in message:
            return InsufficientMemoryError(name, message)
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return InferenceTimeoutError(f"model {name!r} did not answer within {timeout_s:g} s")
        if code == grpc.StatusCode.NOT_FOUND or any(words in message for words in _NOT_LOADED):
            return ModelNotLoadedError(name)
        if code == grpc.StatusCode.UNAVAILABLE and any(words in message for words in _FULL):
            return OverloadedError(f"model {name!r} at {self.address}: {message}")
        if code == grpc.StatusCode.UNAVAILABLE or _STOPPING in message:
            return self._unreachable(error)
        if _BROKEN in message:
            return BrokenModelError(f"model {name!r} has broken down in Triton at {self.address}: {message}")
        return other(f"model {name!r}: {message}")

    def _unreachable(self, error: InferenceServerException) -> TritonUnavailableError:
        return TritonUnavailableError(f"Triton at {self.address} is not available: {error.message()}")


def _rows(answers: Sequence[service_pb2.ModelInferResponse], output: str) -> np.ndarray:
    return np.concatenate([read_output(answer, output) for answer in answers])


def _named(error: grpc.RpcError) -> InferenceServerException:
    """Return the error that tritonclient would have raised."""
    return InferenceServerException(error.details(), str(error.code()))


def _code(error: InferenceServerException) -> grpc.StatusCode | None:
    """Return the gRPC status; the client keeps it only as text, like "StatusCode.NOT_FOUND"."""
    name = (error.status() or "").removeprefix("StatusCode.")
    return getattr(grpc.StatusCode, name, None)
