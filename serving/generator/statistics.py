"""What the engine counts, for whoever exports it. Knows no metrics system."""

from bisect import bisect_left
from dataclasses import dataclass, field

# Upper bounds in seconds; from a step of a small model to a long prompt on a busy machine.
FIRST_TOKEN_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
INTER_TOKEN_BOUNDS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0)


class DurationCounts:
    """How many durations fell into each bucket; the last is beyond every bound."""

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds_s, duration_s)] += 1
        self.sum_s += duration_s


@dataclass
class GenerationStatistics:
    """Counts since the start, written by the engine's thread alone, and the state of now."""

    prompt_tokens: int = 0
    reused_tokens: int = 0            # of the prompts' tokens, those that were computed before
    output_tokens: int = 0
    finished: int = 0                 # sequences, however they ended
    cancelled: int = 0
    failed: int = 0
    waiting: int = 0
    running: int = 0
    cached_tokens: int = 0
    first_token: DurationCounts = field(default_factory=lambda: DurationCounts(FIRST_TOKEN_BOUNDS_S))
    inter_token: DurationCounts = field(default_factory=lambda: DurationCounts(INTER_TOKEN_BOUNDS_S))
