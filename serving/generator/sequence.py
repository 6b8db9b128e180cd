"""One answer in the making: chooses its tokens, makes its text, knows when it ends. Knows no slots."""

import time

import numpy as np

from serving.errors import ComputationError
from serving.generator.detokenizer import Detokenizer
from serving.generator.events import LENGTH, STOP, GenerationEvent, GenerationRequest
from serving.generator.logit_rules import LogitBias, MinimumLength
from serving.generator.penalties import Penalties
from serving.generator.sampling import TokenLogprob, TokenSampler, likeliest
from serving.generator.vocabulary import Vocabulary


class Sequence:
    """The sequence `index` of a request."""

    def __init__(self, request: GenerationRequest, index: int, vocabulary: Vocabulary, context_tokens: int) -> None:
        self.request = request
        self.index = index
        self.prompt = request.prompt
        self.length = 0                      # tokens in the slot
        self.answer: list[int] = []          # tokens
        self.arrived_s = self.last_token_s = time.monotonic()
        parameters = request.parameters
        self._parameters = parameters
        self._context_tokens = context_tokens
        self._stop_ids = {*parameters.stop_token_ids, *(() if parameters.ignore_eos else vocabulary.stop_token_ids)}
        self._sampler = TokenSampler(parameters, index)
        self._bias = LogitBias(parameters)
        self._penalties = Penalties(parameters, request.prompt)
        self._minimum = MinimumLength(parameters.min_tokens, self._stop_ids)
        self._constraint = request.constraint.copy() if request.constraint else None
        self._detokenizer = Detokenizer(vocabulary, parameters)
        self._logprobs: list[list[TokenLogprob]] = []
        self._cumulative_logprob = 0.0

    @property
    def token_count(self) -> int:
        """Tokens of the answer."""
        return len(self.answer)

    @property
    def held(self) -> np.ndarray:
        """The tokens that are in the slot, int64 [length]; of an answer the last one is not."""
        return np.concatenate([self.prompt, np.array(self.answer, np.int64)])[:self.length]

    def advance(self, logits: np.ndarray) -> GenerationEvent | None:
        """Choose the next token by logits, float32 [vocab]; returns what can be told of it, None when nothing can.

        Raises ComputationError when the logits are no numbers or the grammar fails.
        """
        token = self._choose(logits)
        self.answer.append(token)
        is_end = token in self._stop_ids
        text, is_stopped = ("", False) if is_end else self._detokenizer.add(token)
        reason = STOP if is_end or is_stopped or self._is_complete() else self._limit()
        if reason and not is_stopped:
            text += self._detokenizer.finish()
        if not (text or reason or self._logprobs):
            return None
        told, self._logprobs = tuple(self._logprobs), []
        return GenerationEvent(self.index, text, self.token_count, told, self._cumulative_logprob, reason)

    def _choose(self, logits: np.ndarray) -> int:
        first = int(logits.argmax())  # the likeliest, or the place of a NaN
        if not np.isfinite(logits[first]):
            raise ComputationError("the model computed no numbers for this request; export the model again")
        adjusted = self._adjusted(logits)
        token = first if self._sampler.is_greedy and adjusted is logits else self._sampler.choose(adjusted)
        if self._parameters.logprobs is not None:
            self._logprobs.append(likeliest(logits, token, self._parameters.logprobs))
            self._cumulative_logprob += self._logprobs[-1][0].logprob
        self._penalties.count(token)
        if self._constraint:
            self._constraint.accept(token)
        return token

    def _adjusted(self, logits: np.ndarray) -> np.ndarray:
        """Return the logits that the request's rules leave, in vLLM's order; the model's own stay as they are."""
        is_short = self._minimum.holds(self.token_count)
        if self._constraint is None and self._penalties.are_off and self._bias.is_off and not is_short:
            return logits
        logits = logits.copy()
        self._bias.apply(logits)
        self._penalties.apply(logits)
        if self._constraint:
            self._constraint.apply(logits)
        if is_short:
            self._minimum.apply(logits)
        return logits

    def _is_complete(self) -> bool:
        return self._constraint is not None and self._constraint.is_complete

    def _limit(self) -> str | None:
        is_full = self.token_count >= self._parameters.max_tokens or self.length >= self._context_tokens
        return LENGTH if is_full else None
