"""What goes into the engine and what comes out of it. Computes nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from serving.errors import GenerateError
from serving.generator.constraints import Constraint
from serving.generator.sampling import TokenLogprob
from serving.generator.sampling_parameters import SamplingParameters

# Why a sequence ended, in vLLM's words, and one of ours.
STOP, LENGTH, CANCELLED, FAILED = "stop", "length", "cancelled", "error"


@dataclass(frozen=True)
class GenerationEvent:
    """A piece of one sequence; the last has a finish reason, and an error where it failed."""

    index: int                                    # which of the request's n sequences
    text: str
    token_count: int                              # tokens of the answer so far
    logprobs: tuple[list[TokenLogprob], ...] = ()  # for each token since the event before: itself, then the likeliest
    cumulative_logprob: float = 0.0               # of the answer so far; 0 unless the request asks for logprobs
    finish_reason: str | None = None
    error: GenerateError | None = None


@dataclass(frozen=True, eq=False)
class GenerationRequest:
    """One request; `sink` is called from the engine's thread with every event and must return at once."""

    prompt: np.ndarray                            # int64 [tokens]
    parameters: SamplingParameters
    constraint: Constraint | None
    sink: Callable[["GenerationRequest", GenerationEvent], None]
