"""The only module that talks to Triton (gRPC). Its client's exceptions stop here. Knows nothing of HTTP or catalogs."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

import grpc
import numpy as np
import tritonclient.grpc as triton
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException

from control_plane.errors import (
    InferenceError,
    InferenceRejectedError,
    InferenceTimeoutError,
    ModelLoadError,
    ModelNotLoadedError,
    TritonUnavailableError,
)
from export.contract import EMBEDDING_OUTPUT, MAX_BATCH_SIZE, SECRET_HEADER, TEXT_INPUT, TOKEN_COUNT_OUTPUT

# Triton's gRPC front end expects the header of a restricted API under this prefix (Triton: inference protocols page).
_GRPC_SECRET_HEADER = f"triton-grpc-protocol-{SECRET_HEADER}"
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


class TritonGateway:
    """One Triton server."""

    def __init__(self, address: str, secret: str, inference_timeout_s: float, load_timeout_s: float) -> None:
        self.address = address
        self._headers = {_GRPC_SECRET_HEADER: secret}
        self._inference_timeout_s = inference_timeout_s
        self._load_timeout_s = load_timeout_s
        self._client: triton.InferenceServerClient | None = None
        self._client_lock = threading.Lock()

    def is_live(self) -> bool:
        """Return whether Triton answers at all."""
        try:
            return self._connected().is_server_live(client_timeout=2)
        except InferenceServerException:
            return False

    def ready_versions(self) -> dict[str, list[int]]:
        """Return the loaded models, each with its ready versions, ascending."""
        try:
            index = self._connected().get_model_repository_index(headers=self._headers, client_timeout=5)
        except InferenceServerException as error:
            raise self._unreachable(error) from error
        ready: dict[str, list[int]] = {}
        for item in index.models:
            if item.state == "READY":
                ready.setdefault(item.name, []).append(int(item.version))
        return {name: sorted(versions) for name, versions in ready.items()}

    def load(self, name: str, config: str) -> None:
        """Load the newest version of a model with `config` (the text of its config.pbtxt); returns when it is ready.

        Raises ModelLoadError with Triton's reason; the version served before, if any, then still is.
        """
        try:
            self._connected().load_model(name, config=_load_config(name, config), headers=self._headers,
                                         client_timeout=self._load_timeout_s)
        except InferenceServerException as error:
            raise self._load_error(name, error) from error

    def unload(self, name: str) -> None:
        """Unload every version of a model; requests that are under way are answered first."""
        try:
            self._connected().unload_model(name, headers=self._headers, client_timeout=self._load_timeout_s)
        except InferenceServerException as error:
            raise self._load_error(name, error) from error

    def embed(self, name: str, texts: Sequence[str], parameters: dict[str, str | bool] | None = None) -> Embeddings:
        """Embed `texts` in as many requests as Triton's batch limit asks for, all under way at once.

        Raises ModelNotLoadedError, InferenceRejectedError, InferenceTimeoutError, InferenceError or
        TritonUnavailableError.
        """
        chunks = [texts[start:start + MAX_BATCH_SIZE] for start in range(0, len(texts), MAX_BATCH_SIZE)]
        try:
            results = list(self._infer_all(name, chunks, parameters))
        except InferenceServerException as error:
            raise self._inference_error(name, error) from error
        return Embeddings(
            vectors=np.concatenate([result.as_numpy(EMBEDDING_OUTPUT) for result in results]),
            token_counts=np.concatenate([result.as_numpy(TOKEN_COUNT_OUTPUT)[:, 0] for result in results]),
            model_version=results[0].get_response().model_version)

    def _infer_all(self, name: str, chunks: list[Sequence[str]], parameters: dict | None) -> Iterator:
        if len(chunks) == 1:  # The common case needs no threads to meet.
            yield self._connected().infer(name, [_text_tensor(chunks[0])], parameters=parameters,
                                          client_timeout=self._inference_timeout_s)
            return
        answers = [SimpleQueue() for _ in chunks]
        for chunk, answer in zip(chunks, answers, strict=True):
            self._connected().async_infer(
                name, [_text_tensor(chunk)], parameters=parameters, client_timeout=self._inference_timeout_s,
                callback=lambda result, error, answer=answer: answer.put(error or result))
        for answer in answers:
            result = answer.get()
            if isinstance(result, Exception):
                raise result
            yield result

    def _connected(self) -> triton.InferenceServerClient:
        """Open the channel on first use: gRPC's channels do not survive gunicorn's fork."""
        if self._client is None:
            with self._client_lock:
                if self._client is None:
                    self._client = triton.InferenceServerClient(self.address, channel_args=_CHANNEL_OPTIONS)
        return self._client

    def _load_error(self, name: str, error: InferenceServerException) -> Exception:
        if _code(error) == grpc.StatusCode.UNAVAILABLE and not self.is_live():
            return self._unreachable(error)
        if _code(error) == grpc.StatusCode.DEADLINE_EXCEEDED:
            return ModelLoadError(name, f"Triton did not finish within {self._load_timeout_s:g} s; it goes on, and the "
                                        "model's state tells when it is done")
        return ModelLoadError(name, error.message())

    def _inference_error(self, name: str, error: InferenceServerException) -> Exception:
        code, message = _code(error), error.message()
        if code == grpc.StatusCode.INVALID_ARGUMENT:
            return InferenceRejectedError(message)
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return InferenceTimeoutError(f"model {name!r} did not answer within {self._inference_timeout_s:g} s")
        if code == grpc.StatusCode.NOT_FOUND or "not ready" in message or "not at ready state" in message:
            return ModelNotLoadedError(name)
        if code == grpc.StatusCode.UNAVAILABLE:
            return self._unreachable(error)
        return InferenceError(f"model {name!r}: {message}")

    def _unreachable(self, error: InferenceServerException) -> TritonUnavailableError:
        return TritonUnavailableError(f"Triton at {self.address} is not available: {error.message()}")


def _load_config(name: str, text: str) -> str:
    """Return config.pbtxt as the JSON of a load request, with the number of instances stated a second time.

    Triton applies a change of nothing but instance_group to the running model without telling the instances that are
    there, and they would go on with a share of the cores that is no longer theirs. A changed parameter makes it a
    reload.
    """
    try:
        config = text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise ModelLoadError(name, f"config.pbtxt cannot be read: {error}") from error
    instances = sum(group.count or 1 for group in config.instance_group)
    config.parameters["instances"].string_value = str(instances)
    return json_format.MessageToJson(config, preserving_proto_field_name=True)


def _text_tensor(texts: Sequence[str]) -> triton.InferInput:
    tensor = triton.InferInput(TEXT_INPUT, [len(texts), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object)[:, None])
    return tensor


def _code(error: InferenceServerException) -> grpc.StatusCode | None:
    """Return the gRPC status; the client keeps it only as text, like "StatusCode.NOT_FOUND"."""
    name = (error.status() or "").removeprefix("StatusCode.")
    return getattr(grpc.StatusCode, name, None)
