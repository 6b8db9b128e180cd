"""What must hold of the engine beside its speed: the same answers in any company, nothing left of clients that go."""

import http.client
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from benchmarks.connections import AnswerError
from benchmarks.generation_client import ANSWER_TIMEOUT_S, MODEL, TritonConnection
from benchmarks.generation_triton import GenerationTriton
from export.contract import LOGPROBS_OUTPUT
from serving.sample_texts import sample_texts

STREAMS = 8
GREEDY_TOKENS = 32
_LEAVERS_TOKENS, _MOST_PIECES = 500, 5
_WARM_UP = 64            # leavers before the memory is taken, so that it counts what stays and not what comes first
_FREED_TIMEOUT_S = 30


def count_different(address: str, count: int) -> dict[str, int]:
    """Compare greedy answers to `count` prompts, eight at a time and in reverse, with each alone, token by token."""
    def answer(prompt: str) -> list[str]:
        connection = TritonConnection(address)
        [result] = connection.results(prompt, streams=False, max_tokens=GREEDY_TOKENS, temperature=0, logprobs=0)
        connection.close()
        return [next(iter(token)) for token in json.loads(result.as_numpy(LOGPROBS_OUTPUT)[0])]

    prompts = sample_texts("short", count, seed=11)
    alone = [answer(prompt) for prompt in prompts]
    with ThreadPoolExecutor(STREAMS) as pool:
        together = list(pool.map(answer, reversed(prompts)))
    return {"prompts": count,
            "different": sum(one != other for one, other in zip(alone, reversed(together), strict=True))}


def cancel_many(triton: GenerationTriton, count: int) -> dict[str, int]:
    """Let `count` clients leave at random moments, every second one by closing its connection, the others by their key.

    Returns what is still in a slot when that had time to end, and the memory before and after.
    """
    chooser = random.Random(3)  # noqa: S311 - reproducible cancellations, not secrets.
    leaves = [(number, chooser.randint(0, _MOST_PIECES)) for number in range(_WARM_UP + count)]

    def leave(turn: tuple[int, int]) -> None:
        number, pieces = turn
        (_disconnect if number % 2 else _cancel)(triton, number, pieces)

    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(leave, leaves[:_WARM_UP]))
        _wait_until_free(triton)
        before = triton.memory_bytes()
        list(pool.map(leave, leaves[_WARM_UP:]))
    return {"requests": count, "running": _wait_until_free(triton), "before_bytes": before,
            "after_bytes": triton.memory_bytes()}


def _cancel(triton: GenerationTriton, number: int, pieces: int) -> None:
    connection = TritonConnection(triton.grpc_address)
    key = str(number)
    answer = connection.results(_question(number), streams=True, key=key, max_tokens=_LEAVERS_TOKENS, ignore_eos=True)
    for _ in range(pieces + 1):
        next(answer)
    connection.cancel(key)
    with suppress(AnswerError):
        list(answer)
    connection.close()


def _disconnect(triton: GenerationTriton, number: int, pieces: int) -> None:
    connection = http.client.HTTPConnection(triton.http_address, timeout=ANSWER_TIMEOUT_S)
    body = {"text_input": _question(number), "stream": True, "max_tokens": _LEAVERS_TOKENS, "ignore_eos": True}
    connection.request("POST", f"/v2/models/{MODEL}/generate_stream", json.dumps(body))
    response = connection.getresponse()
    for _ in range(2 * pieces):  # An empty line follows each piece.
        response.readline()
    response.close()
    connection.close()


def _question(number: int) -> str:
    return f"{number} times did the landlord ask; tell me what he wanted to know."


def _wait_until_free(triton: GenerationTriton) -> int:
    """Return 0 once no sequence is in a slot, or how many are when the time is up."""
    deadline_s = time.monotonic() + _FREED_TIMEOUT_S
    while (running := triton.running()) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return running
