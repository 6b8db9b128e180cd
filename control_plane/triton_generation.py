"""One generation in Triton as a stream over gRPC; triton_gateway names what goes wrong. Knows one channel only.

Tensor names are those of Triton's vLLM backend and more (export.contract).
"""

import json
from collections.abc import Generator

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from control_plane.generation.request import GenerationEvent, GenerationRequest
from export.contract import (
    DROPPED_OUTPUT,
    FINISH_REASON_OUTPUT,
    INDEX_OUTPUT,
    INPUT_TOKENS_OUTPUT,
    LOGPROBS_OUTPUT,
    MESSAGES_INPUT,
    OUTPUT_TOKENS_OUTPUT,
    PROMPT_INPUT,
    RETURN_INPUT_TOKENS_INPUT,
    RETURN_OUTPUT_TOKENS_INPUT,
    SAMPLING_INPUT,
    STREAM_INPUT,
    TEXT_OUTPUT,
    TOOLS_INPUT,
)

# Has Triton end a failed stream with gRPC's status, in place of a text among the answers (Triton: gRPC streaming).
_METADATA = (("triton_grpc_error", "true"),)
_NOT_YET = "None"  # finish_reason before the end, as vLLM writes it
_NUMBERS = {"UINT32": np.uint32, "INT32": np.int32}


class StreamBrokenError(Exception):
    """Triton ended the stream with a text and no status."""


def stream_generation(channel: grpc.Channel, model: str, version: int, request: GenerationRequest, request_id: str,
                      timeout_s: float) -> Generator[GenerationEvent, None, None]:
    """Yield the pieces of the answers; closing the generator cancels the generation.

    Raises grpc.RpcError or StreamBrokenError.
    """
    call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
        iter([_message(model, version, request, request_id)]), timeout=timeout_s, metadata=_METADATA)
    counted: dict[int, int] = {}
    try:
        for answer in call:
            if answer.error_message:
                raise StreamBrokenError(answer.error_message)
            if answer.infer_response.outputs:
                yield _event(_tensors(answer.infer_response), counted, request.sampling.get("logprobs") or 0)
    finally:
        call.cancel()


def _message(model: str, version: int, request: GenerationRequest, request_id: str) -> service_pb2.ModelInferRequest:
    message = service_pb2.ModelInferRequest(model_name=model, model_version=str(version), id=request_id)
    for name in (STREAM_INPUT, RETURN_INPUT_TOKENS_INPUT, RETURN_OUTPUT_TOKENS_INPUT):
        _add(message, name, "BOOL", b"\x01")
    _add_text(message, SAMPLING_INPUT, json.dumps(request.sampling))
    if request.messages is None:
        _add_text(message, PROMPT_INPUT, request.prompt or "")
    else:
        _add_text(message, MESSAGES_INPUT, json.dumps([_for_template(item) for item in request.messages]))
    if request.tools:
        _add_text(message, TOOLS_INPUT, json.dumps(request.tools))
    return message


def _add_text(message: service_pb2.ModelInferRequest, name: str, text: str) -> None:
    _add(message, name, "BYTES", serialize_byte_tensor(np.array([text.encode()], dtype=object)).item())


def _add(message: service_pb2.ModelInferRequest, name: str, datatype: str, raw: bytes) -> None:
    message.inputs.add(name=name, datatype=datatype, shape=[1])
    message.raw_input_contents.append(raw)


def _for_template(message: dict) -> dict:
    """Return a message with the arguments of earlier calls as objects, as chat templates want them."""
    calls = [{**call, "function": {**call["function"], "arguments": _as_object(call["function"]["arguments"])}}
             for call in message.get("tool_calls") or []]
    return {**message, **({"tool_calls": calls} if calls else {})}


def _as_object(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _tensors(response: service_pb2.ModelInferResponse) -> dict[str, object]:
    """Return the first element of every output, by name."""
    return {output.name: _first(output.datatype, raw)
            for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)}


def _first(datatype: str, raw: bytes) -> object:
    if datatype == "BYTES":
        return deserialize_bytes_tensor(raw)[0].decode()
    return int(np.frombuffer(raw, _NUMBERS[datatype])[0]) if datatype in _NUMBERS else None


def _event(tensors: dict[str, object], counted: dict[int, int], likeliest: int) -> GenerationEvent:
    """`counted` are the tokens of each answer so far: a response tells only those since the one before."""
    index, reason = tensors.get(INDEX_OUTPUT, 0), tensors.get(FINISH_REASON_OUTPUT, _NOT_YET)
    counted[index] = counted.get(index, 0) + tensors.get(OUTPUT_TOKENS_OUTPUT, 0)
    told = json.loads(tensors[LOGPROBS_OUTPUT]) if LOGPROBS_OUTPUT in tensors else None
    return GenerationEvent(index, tensors[TEXT_OUTPUT], None if reason == _NOT_YET else reason,
                           tensors.get(INPUT_TOKENS_OUTPUT, 0), counted[index], told and _logprobs(told, likeliest),
                           tuple(int(next(iter(token))) for token in told or ()), tensors.get(DROPPED_OUTPUT, 0))


def _logprobs(tokens: list[dict], likeliest: int) -> list[dict]:
    """vLLM gives an object by token id, the chosen one first; OpenAI lists the likeliest beside the chosen one."""
    told = []
    for token in tokens:
        chosen, *_ = token.values()
        top = sorted((item for item in token.values() if item["rank"] <= likeliest), key=lambda item: item["rank"])
        told.append({**_logprob(chosen), "top_logprobs": [_logprob(item) for item in top]})
    return told


def _logprob(item: dict) -> dict:
    text = item["decoded_token"]
    return {"token": text, "logprob": item["logprob"], "bytes": list(text.encode())}
