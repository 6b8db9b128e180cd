"""Prefers and forbids single tokens: logit_bias and min_tokens. Knows no text."""

from collections.abc import Collection

import numpy as np

from serving.generator.sampling_parameters import SamplingParameters


class LogitBias:
    """What a request adds to the logits of some tokens (source: OpenAI's API reference, "logit_bias")."""

    def __init__(self, parameters: SamplingParameters) -> None:
        self._tokens = np.array([token for token, _ in parameters.logit_bias], dtype=np.int64)
        self._biases = np.array([bias for _, bias in parameters.logit_bias], dtype=np.float32)
        self.is_off = not parameters.logit_bias

    def apply(self, logits: np.ndarray) -> None:
        """Change logits, float32 [vocab], in place."""
        logits[self._tokens] += self._biases


class MinimumLength:
    """Holds back the tokens that would end an answer too early (source: vLLM, "SamplingParams", min_tokens)."""

    def __init__(self, min_tokens: int, stop_ids: Collection[int]) -> None:
        self._min_tokens = min_tokens
        self._stop_ids = np.array(sorted(stop_ids), dtype=np.int64)

    def holds(self, token_count: int) -> bool:
        """Return whether an answer of so many tokens may not end yet."""
        return token_count < self._min_tokens and len(self._stop_ids) > 0

    def apply(self, logits: np.ndarray) -> None:
        """Set the ends in logits, float32 [vocab], to minus infinity, unless a grammar has left nothing else."""
        ends = logits[self._stop_ids]
        logits[self._stop_ids] = -np.inf
        if not np.isfinite(logits.max()):
            logits[self._stop_ids] = ends
