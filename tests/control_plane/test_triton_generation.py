"""Requests and answers of a generator's stream, over a real gRPC server that plays Triton's part."""

import collections
import json
import threading
from concurrent import futures

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from control_plane import triton_generation
from control_plane.errors import (
    BrokenModelError,
    GenerationError,
    InferenceRejectedError,
    InferenceTimeoutError,
    ModelNotLoadedError,
    OverloadedError,
    TritonUnavailableError,
)
from control_plane.generation.request import GenerationRequest
from control_plane.triton_gateway import TritonGateway

HELLO = [{"role": "user", "content": "你好"}]


class Triton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers every stream with the outputs it was given, or with a status; keeps what it was asked.

    `ended` are the keys of the requests that another request cancelled; `is_over` is set when a stream was read to its
    end, `cut_off` when it was not.
    """

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.answers: list[dict] = []
        self.status: tuple[grpc.StatusCode, str] | None = None
        self.goes_on, self.hears = False, True
        self.ended: dict[str, threading.Event] = collections.defaultdict(threading.Event)
        self.is_over, self.cut_off = threading.Event(), threading.Event()

    def ModelStreamInfer(self, requests, context):
        [request] = list(requests)
        key = request.parameters["cancel"].string_param
        if key:
            if self.hears:
                self.ended[key].set()
            yield _response({"text_output": ""})
            return
        self.asked.append({**_inputs(request), "model": request.model_name, "version": request.model_version,
                           **{name: value.string_param or value.bool_param
                              for name, value in request.parameters.items()}})
        context.add_callback(lambda: self.is_over.is_set() or self.cut_off.set())
        for answer in self.answers:
            yield _response(answer)
        if self.goes_on:
            self.ended[request.parameters["request_key"].string_param].wait(20)
            yield _response({"error_message": "CANCELLED: cancelled"})
        self.is_over.set()
        if self.status:
            context.abort(*self.status)


def _inputs(request) -> dict:
    found = {}
    for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
        assert list(tensor.shape) == [1]
        found[tensor.name] = raw == b"\x01" if tensor.datatype == "BOOL" else deserialize_bytes_tensor(raw)[0].decode()
    return found


def _response(outputs: dict) -> service_pb2.ModelStreamInferResponse:
    response = service_pb2.ModelStreamInferResponse(error_message=outputs.pop("error_message", ""))
    for name, value in outputs.items():
        values = value if isinstance(value, list) else [value]
        is_text = isinstance(values[0], str)
        response.infer_response.outputs.add(name=name, datatype="BYTES" if is_text else "UINT32", shape=[len(values)])
        response.infer_response.raw_output_contents.append(
            serialize_byte_tensor(np.array([text.encode() for text in values], object)).item() if is_text
            else np.array(values, np.uint32).tobytes())
    return response


@pytest.fixture
def triton():
    return Triton()


@pytest.fixture
def gateway(triton):
    server = grpc.server(futures.ThreadPoolExecutor(4))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(triton, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield TritonGateway(f"127.0.0.1:{port}", "secret", 5, 5)
    for event in triton.ended.values():
        event.set()
    server.stop(None).wait()


def _generate(gateway, request, timeout_s=20):
    return gateway.generate("writer", request, 3, "id-1", timeout_s)


def test_a_conversation_goes_out_by_vllms_names_and_comes_back_piece_by_piece(gateway, triton):
    triton.answers = [
        {"text_output": "好", "finish_reason": "None", "num_input_tokens": 7, "num_output_tokens": 1},
        {"text_output": "的", "finish_reason": "stop", "num_input_tokens": 7, "num_output_tokens": 2,
         "num_dropped_messages": 4}]
    tools = [{"type": "function", "function": {"name": "f"}}]
    pieces = list(_generate(gateway, GenerationRequest(messages=HELLO, sampling={"seed": 1}, tools=tools)))
    assert [(piece.text, piece.finish_reason, piece.prompt_tokens, piece.completion_tokens, piece.dropped_messages)
            for piece in pieces] == [("好", None, 7, 1, 0), ("的", "stop", 7, 3, 4)]
    [asked] = triton.asked
    assert (asked["model"], asked["version"], asked["stream"]) == ("writer", "3", True)
    assert [json.loads(asked[name]) for name in ("messages", "sampling_parameters", "tools")] == [
        HELLO, {"seed": 1}, tools]
    assert "text_input" not in asked


def test_answers_are_counted_each_for_itself(gateway, triton):
    triton.answers = [{"text_output": "a", "index": 0, "num_output_tokens": 1},
                      {"text_output": "b", "index": 1, "num_output_tokens": 2},
                      {"text_output": "c", "index": 0, "num_output_tokens": 3}]
    pieces = list(_generate(gateway, GenerationRequest(prompt="从前")))
    assert [(piece.index, piece.completion_tokens) for piece in pieces] == [(0, 1), (1, 2), (0, 4)]
    assert triton.asked[0]["text_input"] == "从前"


def test_all_answers_of_vllms_responses_are_told_and_each_ends_once(gateway, triton):
    triton.answers = [
        {"text_output": ["a", "x"], "finish_reason": ["None", "None"], "num_input_tokens": 5,
         "num_output_tokens": [1, 2]},
        {"text_output": ["b", ""], "finish_reason": ["None", "stop"], "num_input_tokens": 5,
         "num_output_tokens": [1, 1]},
        {"text_output": ["c", ""], "finish_reason": ["length", "stop"], "num_input_tokens": 5,
         "num_output_tokens": [1, 0]}]
    request = GenerationRequest(prompt="从前", sampling={"n": 2, "logprobs": 0}, is_for_vllm=True)
    pieces = list(_generate(gateway, request))
    assert [(piece.index, piece.text, piece.finish_reason, piece.prompt_tokens, piece.completion_tokens)
            for piece in pieces] == [(0, "a", None, 5, 1), (1, "x", None, 5, 2), (0, "b", None, 5, 2),
                                     (1, "", "stop", 5, 3), (0, "c", "length", 5, 3)]
    [asked] = triton.asked
    assert {name for name, value in asked.items() if value is True} == {
        "stream", "return_finish_reason", "return_num_input_tokens", "return_num_output_tokens", "return_logprobs"}


def test_logprobs_come_in_openais_shape_with_the_tokens_ids(gateway, triton):
    chosen, better = ({"logprob": -2.0, "rank": 3, "decoded_token": "好"},
                      {"logprob": -0.5, "rank": 1, "decoded_token": "a"})
    triton.answers = [{"text_output": "好", "logprobs": json.dumps([{"9": chosen, "4": better}])}]
    [piece] = _generate(gateway, GenerationRequest(prompt="x", sampling={"logprobs": 1}))
    assert piece.token_ids == (9,)
    assert piece.logprobs == [{"token": "好", "logprob": -2.0, "bytes": [229, 165, 189],
                               "top_logprobs": [{"token": "a", "logprob": -0.5, "bytes": [97]}]}]


def test_arguments_of_earlier_calls_are_objects_as_chat_templates_want_them(gateway, triton):
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": text}}
             for text in ('{"city": "北京"}', "{broken")]
    list(_generate(gateway, GenerationRequest(messages=[*HELLO, {"role": "assistant", "tool_calls": calls}])))
    sent = json.loads(triton.asked[0]["messages"])[1]["tool_calls"]
    assert [call["function"]["arguments"] for call in sent] == [{"city": "北京"}, "{broken"]


@pytest.mark.parametrize(("said", "error"), [
    ("INVALID_ARGUMENT: temperature is -1", InferenceRejectedError),
    ("UNAVAILABLE: too many requests wait: 64 of at most 64 sequences", OverloadedError),
    ("INTERNAL: the next token could not be computed: x", GenerationError),
    ("Request for unknown model: 'writer' is not found", ModelNotLoadedError),
    ("Request for unknown model: 'writer' version 3 is not at ready state", ModelNotLoadedError),
    ("Server is stopping, scheduler for model has stopped accepting new inference requests", TritonUnavailableError),
    ("Stub process 'writer' is not healthy", BrokenModelError),
    ("anything: else", GenerationError),
])
@pytest.mark.parametrize("answers", [[], [{"text_output": "a"}]], ids=["at once", "in the middle"])
def test_a_stream_that_fails_says_why(gateway, triton, said, error, answers):
    triton.answers = [*answers, {"error_message": said}]
    with pytest.raises(error) as failure:
        list(_generate(gateway, GenerationRequest(prompt="x")))
    assert "INVALID_ARGUMENT" not in str(failure.value)


def test_a_stream_that_triton_ends_with_a_status_fails_too(gateway, triton):
    triton.status = (grpc.StatusCode.UNAVAILABLE, "no connection")
    with pytest.raises(TritonUnavailableError):
        list(_generate(gateway, GenerationRequest(prompt="x")))


def test_a_stream_that_takes_too_long_is_a_timeout(gateway, triton):
    triton.answers, triton.goes_on = [{"text_output": "a"}], True
    with pytest.raises(InferenceTimeoutError, match=r"0\.2 s"):
        list(_generate(gateway, GenerationRequest(prompt="x"), timeout_s=0.2))


def test_closing_the_pieces_cancels_by_the_requests_key_and_reads_the_stream_to_its_end(gateway, triton):
    triton.answers, triton.goes_on = [{"text_output": "a"}], True
    pieces = _generate(gateway, GenerationRequest(prompt="x"))
    next(pieces)
    [asked] = triton.asked
    assert not triton.ended[asked["request_key"]].is_set()
    pieces.close()
    assert triton.ended[asked["request_key"]].wait(20)
    assert triton.is_over.wait(20)
    assert not triton.cut_off.is_set()


def test_a_stream_that_does_not_end_although_cancelled_is_cut_off(gateway, triton, monkeypatch):
    monkeypatch.setattr(triton_generation, "_LEAVE_S", 0.3)
    triton.answers, triton.goes_on, triton.hears = [{"text_output": "a"}], True, False
    pieces = _generate(gateway, GenerationRequest(prompt="x"))
    next(pieces)
    pieces.close()
    assert triton.cut_off.wait(20)


def test_nvidias_vllm_knows_no_keys_and_has_its_stream_cut_off(gateway, triton):
    triton.answers, triton.goes_on = [{"text_output": "a"}], True
    pieces = _generate(gateway, GenerationRequest(prompt="x", is_for_vllm=True))
    next(pieces)
    pieces.close()
    assert triton.cut_off.wait(20)
    assert not {"request_key", "error_status"} & set(triton.asked[0])
