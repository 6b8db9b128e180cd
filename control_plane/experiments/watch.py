"""Ends an experiment that costs too much, and lets its versions go once it is over; the controller runs it."""

import logging
import threading
from datetime import timedelta

from control_plane.database.leases import Leases
from control_plane.database.schema import utc_now
from control_plane.errors import BusyError, DatabaseUnavailableError
from control_plane.experiments.experiment_service import ExperimentService, lease_of
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.experiments.tables import TREATMENT, ExperimentRow
from control_plane.lifecycle.lifecycle import Lifecycle
from control_plane.lifecycle.reconciler import UNREACHABLE
from control_plane.lifecycle.store import DRAIN_S, Change, ModelStore
from control_plane.observability.usage_store import hour_of
from control_plane.tuning_errors import ExperimentStateError
from export.contract import ConchError

POLL_S = 2.0
# How long a target that is there may lack its versions: an experiment must not keep the active one from being loaded.
PATIENCE_S = 60.0
WATCHER = "conch"  # who ends the experiments that end by themselves
# What counts is the present hour and the one before: trouble of today must not drown in weeks without any.
_WINDOW = timedelta(hours=1)
_LOG = logging.getLogger(__name__)


class ExperimentWatch:
    """Looks every two seconds until it is stopped; several controllers may do so at once."""

    def __init__(self, store: ExperimentStore, service: ExperimentService, models: ModelStore, lifecycle: Lifecycle,
                 leases: Leases, model: str) -> None:
        self._store, self._service, self._models, self._lifecycle = store, service, models, lifecycle
        self._leases, self._model = leases, model

    def run(self, stop: threading.Event) -> None:
        """Look, wait, look again; what goes wrong is logged, and the next look tries again."""
        while not stop.wait(POLL_S):
            try:
                self.run_once()
            except (DatabaseUnavailableError, BusyError):
                pass  # Others have said so already, or are at it.
            except ConchError as error:
                _LOG.warning("the experiment could not be looked after: %s", error)
            except Exception:
                _LOG.exception("looking after the experiment failed")

    def run_once(self) -> None:
        """End the experiment that runs if there is reason to, or let go what the last one left."""
        running = self._store.running(self._model)
        if running is None:
            return self._let_go()
        reason = self._reason_to_end(running)
        if reason is None:
            return None
        try:
            self._service.abort(running.id, Change(WATCHER, reason))
        except ExperimentStateError:  # Somebody was faster.
            return None
        _LOG.warning("experiment %s is aborted: %s", running.id, reason)
        return None

    def _reason_to_end(self, experiment: ExperimentRow) -> str | None:
        return self._broken_budget(experiment) or self._trouble(experiment)

    def _broken_budget(self, experiment: ExperimentRow) -> str | None:
        counts = self._store.counts(experiment.id, hour_of(utc_now()) - _WINDOW)[TREATMENT]
        if counts.requests < experiment.min_samples:
            return None
        if counts.error_share > experiment.max_error_share:
            return (f"version {experiment.treatment_version} did not answer {counts.errors} of {counts.requests} "
                    f"questions, and {experiment.max_error_share:g} of them is the budget")
        p95_ms = counts.latency_ms(0.95)
        if experiment.max_p95_ms is not None and p95_ms > experiment.max_p95_ms:
            return (f"the 95th percentile of version {experiment.treatment_version} is {p95_ms:.1f} ms over "
                    f"{counts.requests} questions, and {experiment.max_p95_ms:g} ms is the budget")
        return None

    def _trouble(self, experiment: ExperimentRow) -> str | None:
        state = self._models.find(experiment.model)
        if state.active_version not in experiment.versions.values():
            return f"version {state.active_version} became active, which is no part of the experiment"
        latest = utc_now() - timedelta(seconds=PATIENCE_S)
        for (model, target), seen in self._models.observations().items():
            fails = seen.error not in (None, UNREACHABLE) and seen.checked_at < latest
            if model == experiment.model and fails:
                return f"{target} has not had its versions for {PATIENCE_S:g} s: {seen.error}"
        return None

    def _let_go(self) -> None:
        """The versions stay until every worker has learnt of the end, as after a switch."""
        if not self._models.find(self._model).extra_versions:
            return
        with self._leases.hold(lease_of(self._model)):
            if self._store.running(self._model) is not None:
                return
            last = next(iter(self._store.page(1)), None)
            if last is None or utc_now() - last.ended_at > timedelta(seconds=DRAIN_S):
                self._lifecycle.let_go(self._model, Change(WATCHER, "the experiment is over"))
