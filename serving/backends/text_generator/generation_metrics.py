"""What the backend adds to Triton's /metrics (Triton: python_backend, "Custom Metrics").

Its histograms are counters by bucket: the metrics API for backends in Python has counters and gauges only.
"""

from serving.generator.statistics import DurationCounts, GenerationStatistics

_COUNTERS = {
    "prompt_tokens": "Tokens of prompts that got a slot",
    "reused_tokens": "Tokens of prompts that were computed before",
    "output_tokens": "Tokens generated",
    "finished": "Sequences that ended, however they did",
    "cancelled": "Sequences whose client left",
    "failed": "Sequences that ended with an error",
}
_GAUGES = {
    "waiting": "Sequences that wait for a slot",
    "running": "Sequences in a slot",
    "cached_tokens": "Tokens whose keys and values the slots hold",
}
_DURATIONS = {
    "first_token": "Time from a request's arrival to its first token",
    "inter_token": "Time between two tokens of a sequence",
}


class GenerationMetrics:
    """The metrics of one model version."""

    def __init__(self, pb_utils, model: str, version: str, slots: int) -> None:
        self._pb_utils = pb_utils
        self._labels = {"model": model, "version": version}
        self._families: list = []  # Triton drops a family with its last reference.
        self._told: dict[str, float] = {}
        self._counters = {name: self._metric(f"{name}_total", text) for name, text in _COUNTERS.items()}
        self._gauges = {name: self._metric(name, text, is_gauge=True) for name, text in _GAUGES.items()}
        self._metric("slots", "Sequences that may run at once", is_gauge=True).set(slots)
        self._sums = {name: self._metric(f"{name}_seconds_sum", text) for name, text in _DURATIONS.items()}
        self._counts = {name: self._metric(f"{name}_seconds_count", text) for name, text in _DURATIONS.items()}
        self._buckets = {name: self._bucket_metrics(name, text) for name, text in _DURATIONS.items()}

    def report(self, statistics: GenerationStatistics) -> None:
        """Bring the metrics up to date."""
        for name, counter in self._counters.items():
            self._raise_to(counter, name, getattr(statistics, name))
        for name, gauge in self._gauges.items():
            gauge.set(getattr(statistics, name))
        for name in _DURATIONS:
            self._report_durations(name, getattr(statistics, name))

    def _report_durations(self, name: str, durations: DurationCounts) -> None:
        counts = list(durations.counts)
        self._raise_to(self._sums[name], f"{name}_sum", durations.sum_s)
        self._raise_to(self._counts[name], f"{name}_count", sum(counts))
        for place, metric in enumerate(self._buckets[name]):
            self._raise_to(metric, f"{name}_{place}", sum(counts[:place + 1]))

    def _raise_to(self, counter, key: str, value: float) -> None:
        """Triton's counters take increments only."""
        if value > self._told.get(key, 0):
            counter.increment(value - self._told.get(key, 0))
            self._told[key] = value

    def _metric(self, name: str, description: str, is_gauge: bool = False):
        return self._family(name, description, is_gauge).Metric(labels=self._labels)

    def _bucket_metrics(self, name: str, description: str) -> list:
        """Return a counter for each upper bound, +Inf included; a bucket counts what is below, too (Prometheus)."""
        family = self._family(f"{name}_seconds_bucket", description, is_gauge=False)
        bounds = [*map(str, getattr(GenerationStatistics(), name).bounds_s), "+Inf"]
        return [family.Metric(labels={**self._labels, "le": bound}) for bound in bounds]

    def _family(self, name: str, description: str, is_gauge: bool):
        families = self._pb_utils.MetricFamily
        family = families(name=f"conch_generator_{name}", description=description,
                          kind=families.GAUGE if is_gauge else families.COUNTER)
        self._families.append(family)
        return family
