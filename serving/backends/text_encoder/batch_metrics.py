"""What the backend adds to Triton's /metrics (Triton: python_backend, "Custom Metrics")."""

import threading

_COUNTERS = {
    "texts": "Texts embedded or classified",
    "tokens": "Tokens in them, padding left out",
    "padded_tokens": "Tokens computed, padding included",
    "batches": "Batches that Triton formed",
}
_REPORT_S = 0.25


class BatchMetrics:
    """Counters of one model version. Triton answers /metrics itself; there is nothing to serve here.

    Telling Triton is a call that waits for the server and keeps Python's lock meanwhile, so a thread tells what came
    together instead of each batch what it was.
    """

    def __init__(self, pb_utils, model: str, version: str) -> None:
        self._families = [  # Triton drops a family with its last reference.
            pb_utils.MetricFamily(name=f"conch_encoder_{name}_total", description=description,
                                  kind=pb_utils.MetricFamily.COUNTER) for name, description in _COUNTERS.items()]
        labels = {"model": model, "version": version}
        self._metrics = {name: family.Metric(labels=labels)
                         for name, family in zip(_COUNTERS, self._families, strict=True)}
        self._counted, self._told = dict.fromkeys(_COUNTERS, 0), dict.fromkeys(_COUNTERS, 0)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="metrics", daemon=True)
        self._thread.start()

    def observe(self, texts: int, tokens: int, padded_tokens: int) -> None:
        """Count one batch. Mean batch size is texts / batches, padding waste is 1 - tokens / padded_tokens."""
        for name, count in zip(_COUNTERS, (texts, tokens, padded_tokens, 1), strict=True):
            self._counted[name] += count

    def close(self) -> None:
        """Tell what is left and end the thread."""
        self._ends.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._ends.wait(_REPORT_S):
            self._report()
        self._report()

    def _report(self) -> None:
        for name, metric in self._metrics.items():
            counted = self._counted[name]
            if counted > self._told[name]:
                metric.increment(counted - self._told[name])
                self._told[name] = counted
