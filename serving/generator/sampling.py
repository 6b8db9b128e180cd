"""Chooses a token from logits. Knows nothing of what the token means.

Every sequence has a generator of its own and uses one number for each token, so the same seed gives the same text
whatever else is in the batch.
"""

import secrets
from dataclasses import dataclass

import numpy as np

from serving.generator.sampling_parameters import SamplingParameters


@dataclass(frozen=True)
class TokenLogprob:
    """A token and the logarithm of its probability before temperature, penalties and limits."""

    token: int
    logprob: float
    rank: int       # 1 is the likeliest


class TokenSampler:
    """Chooses the tokens of one sequence."""

    def __init__(self, parameters: SamplingParameters, index: int) -> None:
        self._parameters = parameters
        seed = secrets.randbits(64) if parameters.seed is None else parameters.seed
        # A Philox generator has a key of 128 bits; sequences of a request differ in the upper half.
        self._random = np.random.Generator(np.random.Philox(key=(index << 64) + seed % (1 << 64)))

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always the one."""
        return self._parameters.temperature == 0

    def choose(self, logits: np.ndarray) -> int:
        """Return a token for logits, float32 [vocab]; tokens at minus infinity are never chosen."""
        if self.is_greedy:
            return int(logits.argmax())
        scaled = (logits - logits.max()) / np.float32(self._parameters.temperature)
        weights = np.exp(scaled)
        tokens, weights = _limit(weights, self._parameters)
        cumulative = np.cumsum(weights, dtype=np.float64)
        place = np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right")
        return int(tokens[min(place, len(tokens) - 1)])


def _limit(weights: np.ndarray, parameters: SamplingParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and weights that min_p, then top_k, then top_p leave (the order of vLLM)."""
    tokens = np.flatnonzero(weights >= max(parameters.min_p, np.finfo(np.float32).tiny))
    if 0 < parameters.top_k < len(tokens):
        tokens = tokens[np.argpartition(-weights[tokens], parameters.top_k - 1)[:parameters.top_k]]
        tokens.sort()  # argpartition's order is not defined, and the draw goes by order.
    if parameters.top_p < 1:
        tokens = _nucleus(tokens, weights[tokens], parameters.top_p)
    return tokens, weights[tokens]


def _nucleus(tokens: np.ndarray, weights: np.ndarray, top_p: float) -> np.ndarray:
    """Return the fewest likeliest tokens that hold `top_p` of the weight (Holtzman et al. 2020)."""
    total = weights.sum(dtype=np.float64)
    # All tokens at or below this weight together hold at most 1 - top_p, so none of them is among those sought, and
    # only a few are left to sort. The likeliest always stays.
    few = weights > min((1 - top_p) * total / len(weights), weights.max() * (1 - 1e-6))
    tokens, weights = tokens[few], weights[few]
    order = np.argsort(-weights, kind="stable")
    cumulative = np.cumsum(weights[order], dtype=np.float64)
    return tokens[order[:np.searchsorted(cumulative, top_p * total) + 1]]


def likeliest(logits: np.ndarray, token: int, count: int) -> list[TokenLogprob]:
    """Return the chosen token and the `count` likeliest ones, without repeating it, for logits float32 [vocab]."""
    shifted = logits.astype(np.float64) - logits.max()
    normalizer = np.log(np.exp(shifted).sum())
    top = np.argpartition(-logits, count)[:count] if count else np.empty(0, dtype=np.int64)
    top = top[np.argsort(-logits[top], kind="stable")]
    chosen = TokenLogprob(token, float(shifted[token] - normalizer), int((logits > logits[token]).sum()) + 1)
    others = [TokenLogprob(int(other), float(shifted[other] - normalizer), rank)
              for rank, other in enumerate(top, start=1) if other != token]
    return [chosen, *others]
