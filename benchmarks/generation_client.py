"""Streams answers from a server, Triton or llama.cpp's, and notes when each piece comes. Knows no figures."""

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc as triton

from benchmarks.connections import AnswerError
from benchmarks.generation_prompts import Prompt
from benchmarks.generation_results import Stream
from export.contract import INPUT_TOKENS_OUTPUT, OUTPUT_TOKENS_OUTPUT, PROMPT_INPUT, SAMPLING_INPUT, STREAM_INPUT

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
    """A gRPC stream of Triton."""

    def __init__(self, address: str) -> None:
        self._client = triton.InferenceServerClient(address)
        self._answers: queue.SimpleQueue = queue.SimpleQueue()
        self._client.start_stream(lambda result, error: self._answers.put((result, error)))

    def pieces(self, prompt: Prompt, tokens: int) -> Iterator[float]:
        """Yield the time of each piece."""
        last = None
        for at_s, result in self.results(prompt.text, streams=True, max_tokens=tokens, temperature=0, ignore_eos=True):
            last = result
            yield at_s
        counts = [int(last.as_numpy(name)[0]) for name in (INPUT_TOKENS_OUTPUT, OUTPUT_TOKENS_OUTPUT)]
        _check_counts(counts, prompt, tokens)

    def results(self, prompt: str, streams: bool, **sampling) -> Iterator[tuple[float, triton.InferResult]]:
        """Yield each response with its time; whoever leaves early must close the connection."""
        inputs = [_tensor(PROMPT_INPUT, prompt.encode(), "BYTES"), _tensor(STREAM_INPUT, streams, "BOOL"),
                  _tensor(SAMPLING_INPUT, json.dumps(sampling).encode(), "BYTES")]
        self._client.async_stream_infer(MODEL, inputs)
        while True:
            result, error = self._answers.get(timeout=ANSWER_TIMEOUT_S)
            if error:
                raise error
            yield time.perf_counter(), result
            if result.get_response().parameters["triton_final_response"].bool_param:
                return

    def close(self, cancels: bool = False) -> None:
        """Close the connection, with `cancels` what still runs on it too."""
        self._client.stop_stream(cancel_requests=cancels)
        self._client.close()


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


def _tensor(name: str, value, data_type: str) -> triton.InferInput:
    tensor = triton.InferInput(name, [1], data_type)
    tensor.set_data_from_numpy(np.array([value], dtype=bool if data_type == "BOOL" else object))
    return tensor
