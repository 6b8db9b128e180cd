"""Who waits for a slot, how long, and how much of a prompt is computed at once. Computes nothing."""

from collections import deque

from serving.generator.events import GenerationRequest
from serving.generator.limits import EngineLimits
from serving.generator.prefix_cache import MIN_COMPUTED_TOKENS
from serving.generator.sequence import Sequence

# Of a prompt that keeps nobody waiting; larger chunks are not faster and their logits take more memory.
IDLE_CHUNK_TOKENS = 128


class WaitingQueue:
    """Sequences in the order in which they came; for one thread."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._sequences: deque[Sequence] = deque()

    def __len__(self) -> int:
        return len(self._sequences)

    def add(self, sequence: Sequence) -> None:
        """Add a sequence at the end."""
        self._sequences.append(sequence)

    def next(self) -> Sequence:
        """Take the first."""
        return self._sequences.popleft()

    def take_expired(self, now_s: float) -> list[Sequence]:
        """Take those that have waited too long."""
        return self._take(lambda sequence: now_s - sequence.arrived_s > self._timeout_s)

    def take_of(self, requests: set[GenerationRequest]) -> list[Sequence]:
        """Take those of some requests."""
        return self._take(lambda sequence: sequence.request in requests)

    def _take(self, is_meant) -> list[Sequence]:
        taken = [sequence for sequence in self._sequences if is_meant(sequence)]
        if taken:
            self._sequences = deque(sequence for sequence in self._sequences if sequence not in taken)
        return taken


def chunk_tokens(remaining: int, limits: EngineLimits, others_run: bool) -> int:
    """Return how many of a prompt's remaining tokens to compute now; never so that a single one remains.

    A single token would be computed by other kernels than the rest, see prefix_cache.
    """
    chunk = min(remaining, max(MIN_COMPUTED_TOKENS, limits.prefill_chunk_tokens if others_run else IDLE_CHUNK_TOKENS))
    return chunk + 1 if remaining - chunk == 1 else chunk
