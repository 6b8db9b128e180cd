"""What was counted of an arm. A value, nothing more."""

from collections import Counter
from dataclasses import dataclass, field

from control_plane.questions.daily_figures import bucket_of, percentile_ms

COUNTS = ("requests", "errors", "fallbacks", "llm_calls", "agreements", "dropped")


@dataclass(frozen=True)
class ArmCounts:
    """Sums as ExperimentHourRow has them, and the histogram of the latencies: bucket -> requests."""

    requests: int = 0
    errors: int = 0
    fallbacks: int = 0
    llm_calls: int = 0
    agreements: int = 0
    dropped: int = 0
    latencies: Counter = field(default_factory=Counter)

    @property
    def error_share(self) -> float:
        """Errors among the requests, 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0

    def latency_ms(self, share: float) -> float | None:
        """Return the latency that `share` of the requests do not exceed, to within 9 %; None without requests."""
        return percentile_ms(self.latencies, share)

    def plus(self, other: "ArmCounts") -> "ArmCounts":
        """Return both together."""
        return ArmCounts(*(getattr(self, name) + getattr(other, name) for name in COUNTS),
                         self.latencies + other.latencies)


def count_request(latency_ms: float, is_error: bool = False, is_fallback: bool = False, called_llm: bool = False,
                  agrees: bool = False) -> ArmCounts:
    """Return the counts of one request."""
    return ArmCounts(1, int(is_error), int(is_fallback), int(called_llm), int(agrees), 0,
                     Counter([bucket_of(latency_ms)]))
