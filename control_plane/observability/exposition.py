"""Writes the metrics of all workers as one page for Prometheus. Knows nothing of HTTP but the page's content type."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from control_plane.observability.metrics import Metrics
from control_plane.observability.platform_state import PlatformState

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Exposition:
    """What /metrics answers."""

    def __init__(self, metrics: Metrics, state: PlatformState, workers_dir: Path | None) -> None:
        """`workers_dir` is where the workers keep their metrics (PROMETHEUS_MULTIPROC_DIR), None where one is alone."""
        self._metrics, self._state, self._workers_dir = metrics, state, workers_dir

    def page(self) -> bytes:
        """Return the page; any worker gives the same one."""
        state = CollectorRegistry()
        state.register(self._state)
        return generate_latest(self._recorded()) + generate_latest(state)

    def _recorded(self) -> CollectorRegistry:
        if self._workers_dir is None:
            return self._metrics.registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._workers_dir))
        return registry
