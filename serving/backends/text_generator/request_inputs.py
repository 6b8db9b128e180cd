"""One Triton request to what the generator takes. Knows nothing of engines."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from export.contract import (
    CANCEL_PARAMETER,
    ERROR_STATUS_PARAMETER,
    EXCLUDE_PROMPT_INPUT,
    KEY_PARAMETER,
    MESSAGES_INPUT,
    PROMPT_INPUT,
    RETURN_CUMULATIVE_LOGPROB_INPUT,
    RETURN_FINISH_REASON_INPUT,
    RETURN_INPUT_TOKENS_INPUT,
    RETURN_OUTPUT_TOKENS_INPUT,
    SAMPLING_INPUT,
    STREAM_INPUT,
    TOOLS_INPUT,
)
from serving.errors import InvalidGenerationError

_RETURN_INPUTS = (RETURN_FINISH_REASON_INPUT, RETURN_CUMULATIVE_LOGPROB_INPUT, RETURN_INPUT_TOKENS_INPUT,
                  RETURN_OUTPUT_TOKENS_INPUT)
# Request parameters that are no sampling parameters: Triton's own, and those of the call.
_TRITON_PREFIX = "triton_"
_CALL_PARAMETERS = (KEY_PARAMETER, CANCEL_PARAMETER, ERROR_STATUS_PARAMETER)


@dataclass(frozen=True)
class Call:
    """How one request is answered."""

    sender: object             # Triton's InferenceResponseSender
    key: str | None = None     # by which its client may cancel it
    cancels: str | None = None  # key of the request that this one cancels, and nothing more
    tells_status: bool = False  # whether errors begin with their status


@dataclass(frozen=True)
class RequestInputs:
    """What one request brings: a prompt, or messages with tools."""

    prompt: str | None
    messages: Any
    tools: Any
    sampling: Mapping[str, Any]
    streams: bool
    includes_prompt: bool
    told: frozenset[str]           # the return_… inputs that are true


def read_call(request) -> Call:
    """Read how a request is to be answered."""
    given = _parameters(request)
    return Call(request.get_response_sender(), given.get(KEY_PARAMETER), given.get(CANCEL_PARAMETER),
                bool(given.get(ERROR_STATUS_PARAMETER)))


def read_inputs(request, pb_utils) -> RequestInputs:
    """Read a request; raises InvalidGenerationError that names the input."""
    def scalar(name: str):
        tensor = pb_utils.get_input_tensor_by_name(request, name)
        return None if tensor is None else tensor.as_numpy().reshape(-1)[0]

    prompt, messages = _text(PROMPT_INPUT, scalar(PROMPT_INPUT)), _json(MESSAGES_INPUT, scalar(MESSAGES_INPUT))
    if (prompt is None) == (messages is None):
        raise InvalidGenerationError(f"give either {PROMPT_INPUT} or {MESSAGES_INPUT}")
    streams, excludes = bool(scalar(STREAM_INPUT)), scalar(EXCLUDE_PROMPT_INPUT)
    if streams and excludes is not None and not excludes:
        raise InvalidGenerationError(f"{EXCLUDE_PROMPT_INPUT} cannot be false when {STREAM_INPUT} is true")
    # As in Triton's vLLM backend the prompt stands before the text unless the request streams or says otherwise.
    includes = messages is None and not streams and not excludes
    return RequestInputs(prompt, messages, _json(TOOLS_INPUT, scalar(TOOLS_INPUT)),
                         _sampling(scalar(SAMPLING_INPUT), _parameters(request)), streams, includes,
                         frozenset(name for name in _RETURN_INPUTS if scalar(name)))


def _parameters(request) -> dict[str, Any]:
    return json.loads(request.parameters() or "{}")


def _sampling(raw: bytes | None, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return sampling parameters: the tensor, without it the parameters of the request, as Triton's vLLM backend."""
    if raw is None:
        return {name: value for name, value in given.items()
                if not name.startswith(_TRITON_PREFIX) and name not in _CALL_PARAMETERS}
    sampling = _json(SAMPLING_INPUT, raw)
    if not isinstance(sampling, dict):
        raise InvalidGenerationError(f"{SAMPLING_INPUT} must be a JSON object")
    return sampling


def _text(name: str, raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidGenerationError(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from error


def _json(name: str, raw: bytes | None) -> Any:
    text = _text(name, raw)
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidGenerationError(f"{name} is not JSON: {error}") from error
