"""Streams answers from a server, Triton or llama.cpp's, and notes when each piece comes. Knows no figures."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from urllib.parse import urlsplit

import grpc
import numpy as np
from grpc.experimental import ChannelOptions
from tritonclient.grpc import InferResult
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelStreamInferResponse
from tritonclient.utils import serialize_byte_tensor

from benchmarks.connections import AnswerError
from benchmarks.generation_prompts import Prompt
from benchmarks.generation_results import Stream
from export.contract import (
    CANCEL_PARAMETER,
    INPUT_TOKENS_OUTPUT,
    KEY_PARAMETER,
    OUTPUT_TOKENS_OUTPUT,
    PROMPT_INPUT,
    SAMPLING_INPUT,
    STREAM_INPUT,
)

MODEL = "generator"
# Sixteen long prompts at eight slots take about a minute; more means that something hangs.
ANSWER_TIMEOUT_S = 180


class Connection(Protocol):
    """One way to ask one server, for one request at a time."""

    def pieces(self, prompt: Prompt, tokens: int) -> Iterator[float]:
        """Yield the time of each piece of a greedy answer; raises AnswerError unless both counts are right."""

    def close(self) -> None:
        """Close the connection."""


class TritonConnection:
    """Triton's gRPC, one stream for each answer.

    Bare, as it takes its processor time from the server: a thread reads its own stream and keeps bytes. tritonclient
    reads with two threads and takes every message apart.
    """

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, [(ChannelOptions.SingleThreadedUnaryStream, 1)])
        self._infer = self._channel.unary_stream("/inference.GRPCInferenceService/ModelStreamInfer",
                                                 request_serializer=ModelInferRequest.SerializeToString)

    def pieces(self, prompt: Prompt, tokens: int) -> Iterator[float]:
        """Yield the time of each piece."""
        request = _request(prompt.text, streams=True, max_tokens=tokens, temperature=0, ignore_eos=True)
        last = b""
        for message in self._infer(request, timeout=ANSWER_TIMEOUT_S):
            last = message
            yield time.perf_counter()
        result = _result(last)
        counts = [int(result.as_numpy(name)[0]) for name in (INPUT_TOKENS_OUTPUT, OUTPUT_TOKENS_OUTPUT)]
        _check_counts(counts, prompt, tokens)

    def results(self, prompt: str, streams: bool, key: str = "", **sampling) -> Iterator[InferResult]:
        """Yield each response; raises AnswerError when it was cancelled by its key."""
        request = _request(prompt, streams, **sampling)
        request.parameters[KEY_PARAMETER].string_param = key
        return map(_result, self._infer(request, timeout=ANSWER_TIMEOUT_S))

    def cancel(self, key: str) -> None:
        """Cancel the request of a key; its results end with an error."""
        request = ModelInferRequest(model_name=MODEL)
        request.parameters[CANCEL_PARAMETER].string_param = key
        list(self._infer(request, timeout=ANSWER_TIMEOUT_S))

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class LlamaConnection:
    """A keep-alive connection to llama.cpp's server (its README: POST /completion)."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_TIMEOUT_S)
        self._connection.connect()

    def pieces(self, prompt: Prompt, tokens: int) -> Iterator[float]:
        """Yield the time of each piece."""
        body = {"prompt": prompt.token_ids, "n_predict": tokens, "ignore_eos": True, "stream": True,
                "samplers": ["top_k"], "top_k": 1, "cache_prompt": False}
        self._connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        last = b""
        while line := response.readline():
            if line.startswith(b"data: "):
                last = line
                yield time.perf_counter()
        if response.status != http.client.OK or not last:
            raise AnswerError(f"llama.cpp's server answered with {response.status}")
        answer = json.loads(last[6:])
        _check_counts([answer.get("tokens_evaluated"), answer.get("tokens_predicted")], prompt, tokens)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def take_wave(connect: Callable[[], Connection], prompts: Sequence[Prompt], lengths: Sequence[int],
              long_prompt: Prompt | None = None) -> list[Stream]:
    """Ask for all prompts at once, for as many tokens as `lengths` says, and return their streams.

    A `long_prompt` is asked for once every other stream runs, and waited for too.
    """
    begun = threading.Semaphore(0)
    connections = [connect() for _ in prompts]
    late = connect() if long_prompt else None
    try:
        with ThreadPoolExecutor(len(prompts) + 1) as pool:
            futures = [pool.submit(_stream, connection, prompt, tokens, begun)
                       for connection, prompt, tokens in zip(connections, prompts, lengths, strict=True)]
            if late:
                for _ in prompts:
                    begun.acquire(timeout=ANSWER_TIMEOUT_S)
                list(late.pieces(long_prompt, 1))
            return [future.result() for future in futures]
    finally:
        for connection in [*connections, *([late] if late else [])]:
            connection.close()


def _stream(connection: Connection, prompt: Prompt, tokens: int, begun: threading.Semaphore) -> Stream:
    asked_s, pieces_s = time.perf_counter(), []
    try:
        for at_s in connection.pieces(prompt, tokens):
            pieces_s.append(at_s)
            if len(pieces_s) == 1:
                begun.release()
    finally:
        if not pieces_s:  # Nobody should wait for what has failed.
            begun.release()
    return Stream(asked_s, pieces_s, tokens)


def _check_counts(found: list[int], prompt: Prompt, tokens: int) -> None:
    if found != [len(prompt.token_ids), tokens]:
        raise AnswerError(f"prompt and answer have {found} tokens, {[len(prompt.token_ids), tokens]} were meant")


def _request(prompt: str, streams: bool, **sampling) -> ModelInferRequest:
    request = ModelInferRequest(model_name=MODEL)
    for name, data_type, content in (
            (PROMPT_INPUT, "BYTES", _bytes(prompt)), (STREAM_INPUT, "BOOL", bytes([streams])),
            (SAMPLING_INPUT, "BYTES", _bytes(json.dumps(sampling)))):
        request.inputs.add(name=name, datatype=data_type, shape=[1])
        request.raw_input_contents.append(content)
    return request


def _bytes(text: str) -> bytes:
    return serialize_byte_tensor(np.array([text.encode()], dtype=object)).item()


def _result(message: bytes) -> InferResult:
    response = ModelStreamInferResponse.FromString(message)
    if response.error_message:
        raise AnswerError(response.error_message)
    return InferResult(response.infer_response)
