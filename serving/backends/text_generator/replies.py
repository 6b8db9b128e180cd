"""The events of one request to output tensors. Knows nothing of Triton's API but its tensors' names."""

import json
from collections.abc import Callable

import numpy as np

from export.contract import (
    CUMULATIVE_LOGPROB_OUTPUT,
    DROPPED_OUTPUT,
    FINISH_REASON_OUTPUT,
    INDEX_OUTPUT,
    INPUT_TOKENS_OUTPUT,
    LOGPROBS_OUTPUT,
    OUTPUT_TOKENS_OUTPUT,
    RETURN_CUMULATIVE_LOGPROB_INPUT,
    RETURN_FINISH_REASON_INPUT,
    RETURN_INPUT_TOKENS_INPUT,
    RETURN_OUTPUT_TOKENS_INPUT,
    TEXT_OUTPUT,
)
from serving.backends.text_generator.request_inputs import RequestInputs
from serving.generator.events import GenerationEvent
from serving.generator.sampling import TokenLogprob

Outputs = dict[str, np.ndarray]

NO_TEXT: Outputs = {TEXT_OUTPUT: np.array([b""], dtype=object)}


class StreamedReply:
    """A response for each event."""

    def __init__(self, inputs: RequestInputs, prompt_tokens: int, dropped: int, has_logprobs: bool, sequences: int,
                 token_text: Callable[[int], str]) -> None:
        self._told = inputs.told
        self._prompt_tokens, self._dropped = prompt_tokens, dropped
        self._has_logprobs = has_logprobs
        self._token_text = token_text
        self._left = sequences
        self._has_index = sequences > 1
        self._counted = [0] * sequences

    def add(self, event: GenerationEvent) -> tuple[Outputs | None, bool]:
        """Return the outputs of a response, None when there is nothing to say yet, and whether it is the last."""
        is_end = event.finish_reason is not None
        self._left -= is_end
        outputs = {TEXT_OUTPUT: _strings(event.text)}
        if self._has_index:
            outputs[INDEX_OUTPUT] = np.array([event.index], dtype=np.int32)
        if is_end or RETURN_FINISH_REASON_INPUT in self._told:
            outputs[FINISH_REASON_OUTPUT] = _strings(str(event.finish_reason))
        if is_end and self._dropped:
            outputs[DROPPED_OUTPUT] = np.array([self._dropped], dtype=np.uint32)
        if is_end or RETURN_INPUT_TOKENS_INPUT in self._told:
            outputs[INPUT_TOKENS_OUTPUT] = np.array([self._prompt_tokens], dtype=np.uint32)
        if is_end or RETURN_OUTPUT_TOKENS_INPUT in self._told:
            counted, self._counted[event.index] = self._counted[event.index], event.token_count
            outputs[OUTPUT_TOKENS_OUTPUT] = np.array([event.token_count - counted], dtype=np.uint32)
        if self._has_logprobs:
            outputs[LOGPROBS_OUTPUT] = _strings(_logprobs_json(event.logprobs, self._token_text))
            if is_end or RETURN_CUMULATIVE_LOGPROB_INPUT in self._told:
                outputs[CUMULATIVE_LOGPROB_OUTPUT] = np.array([event.cumulative_logprob], dtype=np.float32)
        return outputs, self._left == 0


class WholeReply:
    """One response when every sequence has ended."""

    def __init__(self, prompt: str, prompt_tokens: int, dropped: int, has_logprobs: bool, sequences: int,
                 token_text: Callable[[int], str]) -> None:
        self._prompt_tokens, self._dropped = prompt_tokens, dropped
        self._has_logprobs = has_logprobs
        self._token_text = token_text
        self._texts = [prompt] * sequences
        self._ends: list[GenerationEvent | None] = [None] * sequences
        self._logprobs: list[list[list[TokenLogprob]]] = [[] for _ in range(sequences)]

    def add(self, event: GenerationEvent) -> tuple[Outputs | None, bool]:
        """Return the outputs of the response once it is whole, None before."""
        self._texts[event.index] += event.text
        self._logprobs[event.index] += event.logprobs
        if event.finish_reason is not None:
            self._ends[event.index] = event
        if None in self._ends:
            return None, False
        outputs = {
            TEXT_OUTPUT: _strings(*self._texts),
            FINISH_REASON_OUTPUT: _strings(*(end.finish_reason for end in self._ends)),
            INPUT_TOKENS_OUTPUT: np.array([self._prompt_tokens], dtype=np.uint32),
            OUTPUT_TOKENS_OUTPUT: np.array([end.token_count for end in self._ends], dtype=np.uint32),
        }
        if self._dropped:
            outputs[DROPPED_OUTPUT] = np.array([self._dropped], dtype=np.uint32)
        if self._has_logprobs:
            told = (_logprobs_json(tokens, self._token_text) for tokens in self._logprobs)
            outputs[LOGPROBS_OUTPUT] = _strings(*told)
            outputs[CUMULATIVE_LOGPROB_OUTPUT] = np.array([end.cumulative_logprob for end in self._ends],
                                                          dtype=np.float32)
        return outputs, True


def _strings(*texts: str) -> np.ndarray:
    return np.array([text.encode() for text in texts], dtype=object)


def _logprobs_json(tokens, token_text: Callable[[int], str]) -> str:
    """Return vLLM's shape: for each token an object by token id."""
    return json.dumps([{str(item.token): {"logprob": item.logprob, "rank": item.rank,
                                          "decoded_token": token_text(item.token)} for item in told}
                       for told in tokens], ensure_ascii=False)
