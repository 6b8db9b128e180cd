"""One generation in Triton as a stream over gRPC; triton_gateway names what goes wrong. Opens no channel.

Tensor names are those of Triton's vLLM backend and more (export.contract). Some tritonservers, 2.51 among them, die
of a stream that is cancelled while it answers, and of errors that end a stream with a status (docs/decisions/0012):
so a generation is cancelled by a request of its own, and errors are texts that begin with their status.
"""

import json
import secrets
import threading
from collections.abc import Generator, Iterator

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from control_plane.generation.request import GenerationEvent, GenerationRequest
from control_plane.generation.template_messages import message_for_template
from control_plane.triton_messages import add_tensor, add_texts, new_request, read_outputs
from export.contract import (
    CANCEL_PARAMETER,
    DROPPED_OUTPUT,
    ERROR_STATUS_PARAMETER,
    FINISH_REASON_OUTPUT,
    INDEX_OUTPUT,
    INPUT_TOKENS_OUTPUT,
    KEY_PARAMETER,
    LOGPROBS_OUTPUT,
    MESSAGES_INPUT,
    OUTPUT_TOKENS_OUTPUT,
    PROMPT_INPUT,
    RETURN_FINISH_REASON_INPUT,
    RETURN_INPUT_TOKENS_INPUT,
    RETURN_LOGPROBS_INPUT,
    RETURN_OUTPUT_TOKENS_INPUT,
    SAMPLING_INPUT,
    STREAM_INPUT,
    TEXT_OUTPUT,
    TOOLS_INPUT,
)

# How long after its time limit a stream is cut off; until then whoever reads it can end it in peace.
_GRACE_S = 1
# How long a cancelled generation may take to end before its stream is cut off.
_LEAVE_S = 30
_NOT_YET = "None"  # finish_reason before the end, as vLLM writes it


class StreamFailedError(Exception):
    """Triton ended the stream with a text, which in our backend's case begins with a status."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        status, _, message = text.partition(": ")
        self.code = grpc.StatusCode.__members__.get(status)
        self.message = message if self.code else text


def stream_generation(service: service_pb2_grpc.GRPCInferenceServiceStub, model: str, version: int,
                      request: GenerationRequest, request_id: str,
                      timeout_s: float) -> Generator[GenerationEvent, None, None]:
    """Yield the pieces of the answers; closing the generator cancels the generation.

    Raises grpc.RpcError or StreamFailedError.
    """
    message = _message(model, version, request, request_id)
    call = service.ModelStreamInfer(iter([message]), timeout=timeout_s + _GRACE_S)
    counted: dict[int, int] = {}
    ended: set[int] = set()
    failure = None
    try:
        for answer in call:
            if answer.error_message:
                failure = StreamFailedError(answer.error_message)
            if answer.infer_response.outputs:
                for event in _events(_tensors(answer.infer_response), counted, request.sampling.get("logprobs") or 0):
                    # vLLM tells of all n answers each time, also of those that ended before.
                    if event.index not in ended:
                        yield event
                    if event.finish_reason:
                        ended.add(event.index)
        if failure:  # Told once the stream has ended by itself.
            raise failure
    finally:
        if request.is_for_vllm:
            call.cancel()
        elif not call.done():
            # What is on its way may be megabytes; nobody need wait for it.
            threading.Thread(target=_leave, args=(service, call, message), name="leave", daemon=True).start()


def _leave(service: service_pb2_grpc.GRPCInferenceServiceStub, call: grpc.Call,
           message: service_pb2.ModelInferRequest) -> None:
    """Cancel a generation by its key and read its stream to the end, or cut it off."""
    cancel = new_request(message.model_name, int(message.model_version), message.id,
                         {CANCEL_PARAMETER: message.parameters[KEY_PARAMETER].string_param})
    cut_off = threading.Timer(_LEAVE_S, call.cancel)
    cut_off.start()
    try:
        for stream in (service.ModelStreamInfer(iter([cancel]), timeout=_LEAVE_S), call):
            for _ in stream:
                pass
    except grpc.RpcError:  # Triton has gone, or the time is over: either way there is nothing left to cancel.
        call.cancel()
    finally:
        cut_off.cancel()


def _message(model: str, version: int, request: GenerationRequest, request_id: str) -> service_pb2.ModelInferRequest:
    parameters = {} if request.is_for_vllm else {KEY_PARAMETER: secrets.token_hex(16), ERROR_STATUS_PARAMETER: True}
    message = new_request(model, version, request_id, parameters)
    told = (RETURN_LOGPROBS_INPUT,) if request.sampling.get("logprobs") is not None else ()
    for name in (STREAM_INPUT, RETURN_FINISH_REASON_INPUT, RETURN_INPUT_TOKENS_INPUT, RETURN_OUTPUT_TOKENS_INPUT,
                 *told):
        add_tensor(message, name, "BOOL", b"\x01", [1])
    add_texts(message, SAMPLING_INPUT, [json.dumps(request.sampling)])
    if request.messages is None:
        add_texts(message, PROMPT_INPUT, [request.prompt or ""])
    else:
        add_texts(message, MESSAGES_INPUT, [json.dumps([message_for_template(item) for item in request.messages])])
    if request.tools:
        add_texts(message, TOOLS_INPUT, [json.dumps(request.tools)])
    return message


def _tensors(response: service_pb2.ModelInferResponse) -> dict[str, list]:
    """Return the elements of every output, by name; texts as str."""
    return {name: [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
            for name, array in read_outputs(response).items()}


def _events(tensors: dict[str, list], counted: dict[int, int], likeliest: int) -> Iterator[GenerationEvent]:
    """Yield an event for each answer that a response tells of: one in ours, which names it, all n in vLLM's.

    `counted` are the tokens of each answer so far: a response tells only those since the one before.
    """
    for place, text in enumerate(tensors[TEXT_OUTPUT]):
        one = {name: values[min(place, len(values) - 1)] for name, values in tensors.items() if values}
        index, reason = one.get(INDEX_OUTPUT, place), one.get(FINISH_REASON_OUTPUT, _NOT_YET)
        counted[index] = counted.get(index, 0) + one.get(OUTPUT_TOKENS_OUTPUT, 0)
        told = json.loads(one[LOGPROBS_OUTPUT]) if LOGPROBS_OUTPUT in one else None
        yield GenerationEvent(index, text, None if reason == _NOT_YET else reason,
                              one.get(INPUT_TOKENS_OUTPUT, 0), counted[index], told and _logprobs(told, likeliest),
                              tuple(int(next(iter(token))) for token in told or ()), one.get(DROPPED_OUTPUT, 0))


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
