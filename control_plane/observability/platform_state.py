"""Reads what should be and what is, when somebody scrapes. Knows nothing of requests, nor of metrics of workers."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from control_plane.errors import DatabaseError
from control_plane.fleet import Fleet
from control_plane.jobs.store import JobStore
from control_plane.jobs.tables import STATES
from control_plane.lifecycle.store import ModelState, ModelStore
from control_plane.lifecycle.tables import ModelTargetRow
from control_plane.observability.metrics import STATE_METRICS
from control_plane.observability.model_memory import resident_bytes

_LOG = logging.getLogger(__name__)

Sample = tuple[str, tuple[str, ...], float]  # name of the metric, label values, value


class PlatformState(Collector):
    """The gauges of STATE_METRICS."""

    def __init__(self, store: ModelStore, jobs: JobStore, fleet: Fleet, home: Path, repository: Path) -> None:
        self._store, self._jobs, self._fleet = store, jobs, fleet
        self._home, self._repository = home, repository

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return every gauge; those of a database that is away have no series."""
        families = {name: GaugeMetricFamily(name, meaning, labels=labels)
                    for name, (meaning, labels) in STATE_METRICS.items()}
        for name, labels, value in self._samples():
            families[name].add_metric(labels, value)
        return families.values()

    def _samples(self) -> Iterator[Sample]:
        yield from self._database_samples()
        answers = self._fleet.on_each(self._fleet.names, lambda gateway: gateway.is_live())
        for target, answer in answers.items():
            yield "conch_target_up", (target,), answer is True
        for model, memory_bytes in resident_bytes(self._home, self._repository).items():
            yield "conch_model_memory_bytes", (model,), memory_bytes

    def _database_samples(self) -> list[Sample]:
        try:
            states, seen, jobs = self._store.all().values(), self._store.observations(), self._jobs.counts()
        except DatabaseError as error:
            _LOG.warning("the state of models and jobs is left out of the metrics: %s", error)
            return [("conch_database_up", (), 0)]
        return [("conch_database_up", (), 1), *_job_samples(jobs),
                *(sample for state in states for sample in _desired_samples(state)),
                *(sample for state in states for target in self._fleet.names if state.is_placed_on(target)
                  for sample in _actual_samples(state, target, seen.get((state.name, target))))]


def _job_samples(counts: dict[tuple[str, str], int]) -> Iterator[Sample]:
    """Every state has a series from the first job of a kind on, so that the first failure is seen as a change."""
    for kind in sorted({kind for kind, _ in counts}):
        for job_state in STATES:
            yield "conch_jobs", (kind, job_state), counts.get((kind, job_state), 0)


def _desired_samples(state: ModelState) -> Iterator[Sample]:
    yield "conch_model_desired", (state.name,), state.should_be_loaded
    if state.active_version is not None:
        yield "conch_model_active_version", (state.name,), state.active_version


def _actual_samples(state: ModelState, target: str, seen: ModelTargetRow | None) -> Iterator[Sample]:
    is_ready = seen is not None and state.active_version in seen.versions
    yield "conch_model_ready", (state.name, target), is_ready
    if seen is not None and seen.load_s is not None:
        yield "conch_model_load_seconds", (state.name, target), seen.load_s
