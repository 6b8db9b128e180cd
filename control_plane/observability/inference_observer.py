"""Counts and times every inference on its way through. Knows nothing of what is inferred, nor of HTTP."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from control_plane.observability.metrics import Metrics, ModelMetrics
from control_plane.observability.request_context import note_model
from control_plane.observability.usage import UsageRecorder
from control_plane.observability.usage_store import Usage
from control_plane.problems import problem_name


@dataclass
class Observation:
    """What only the answer tells; the observed block fills it in."""

    tokens: int = 0


class InferenceObserver:
    """Feeds the metrics, the usage and the log of one process."""

    def __init__(self, metrics: Metrics, usage: UsageRecorder) -> None:
        self._metrics, self._usage = metrics, usage

    @contextmanager
    def observe(self, model: str, texts: Sequence[str]) -> Iterator[Observation]:
        """Observe one request for a model that exists, while the block runs; an exception is its error."""
        series, observation = self._metrics.of_model(model), Observation()
        note_model(model)
        series.active.inc()
        started = time.perf_counter()
        try:
            yield observation
        except Exception as error:
            self._metrics.errors.labels(model, problem_name(error)).inc()
            self._count(series, model, Usage(1, 1, _since_ms(started)))
            raise
        else:
            self._count(series, model, Usage(1, 0, _since_ms(started), len(texts), sum(map(len, texts)),
                                             observation.tokens))
        finally:
            series.active.dec()

    def _count(self, series: ModelMetrics, model: str, usage: Usage) -> None:
        series.requests.inc()
        series.duration.observe(usage.duration_ms / 1000)
        if not usage.errors:
            series.texts.inc(usage.texts)
            series.characters.inc(usage.characters)
            series.tokens.inc(usage.tokens)
        self._usage.add(model, usage)


def _since_ms(started_s: float) -> float:
    return (time.perf_counter() - started_s) * 1000
