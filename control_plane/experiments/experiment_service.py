"""What people do with experiments: start, finish, abort, look. Counts nothing and splits nobody itself."""

from dataclasses import dataclass

from control_plane.database.leases import Leases
from control_plane.errors import InvalidRequestError
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.experiments.report import ExperimentReport, read_report
from control_plane.experiments.tables import AB, ABORTED, FINISHED, RUNNING, ExperimentRow
from control_plane.lifecycle.lifecycle import Lifecycle
from control_plane.lifecycle.store import Change, ModelStore
from control_plane.tuning.deployment import Deployment
from control_plane.tuning_errors import ExperimentStateError

_WAIT_S = 5.0


@dataclass(frozen=True)
class Plan:
    """What is to be tried, and what ends it."""

    name: str
    kind: str                  # one of tables.KINDS
    treatment_version: int     # as Triton numbers it
    share: float               # of subjects, above 0; an A/B needs a control and so less than 1
    max_error_share: float
    max_p95_ms: float | None
    min_samples: int
    min_difference: float


class ExperimentService:
    """The experiments on one model."""

    def __init__(self, store: ExperimentStore, models: ModelStore, lifecycle: Lifecycle, deployment: Deployment,
                 leases: Leases, model: str) -> None:
        self._store, self._models, self._lifecycle, self._deployment = store, models, lifecycle, deployment
        self._leases, self._model = leases, model

    def start(self, plan: Plan, change: Change) -> ExperimentRow:
        """Load the treatment beside the active version, prove it, and begin.

        Raises InvalidRequestError, ExperimentStateError, BusyError, and what Lifecycle.keep_beside raises.
        """
        if plan.kind == AB and plan.share >= 1:
            raise InvalidRequestError("share", "must be below 1 in an A/B, so that somebody gets the control")
        with self._leases.hold(lease_of(self._model), _WAIT_S):
            control = self._control(plan)
            self._lifecycle.keep_beside(self._model, {control, plan.treatment_version}, change)
            return self._store.add(self._model, change.actor, control_version=control, **vars(plan))

    def page(self, limit: int, before: str | None = None) -> list[ExperimentRow]:
        """Return the newest experiments, or those before the one named."""
        return self._store.page(limit, before)

    def report(self, experiment_id: str) -> tuple[ExperimentRow, ExperimentReport]:
        """Return an experiment and what it has shown; raises ExperimentNotFoundError."""
        row = self._store.find(experiment_id)
        return row, read_report(self._store, row)

    def finish(self, experiment_id: str, promote: bool, change: Change) -> ExperimentRow:
        """End an experiment; with `promote` the treatment becomes active before, and else the control stays.

        Raises ExperimentNotFoundError, ExperimentStateError, and what Deployment.activate raises; the experiment then
        goes on.
        """
        with self._leases.hold(lease_of(self._model), _WAIT_S):
            row = self._require_running(experiment_id)
            if promote:
                self._deployment.activate(f"{row.model}-{row.treatment_version}", change)
            return self._store.end(row.id, FINISHED, change.actor, change.reason)

    def abort(self, experiment_id: str, change: Change) -> ExperimentRow:
        """End an experiment at once, with the control for everybody; a treatment that has become active goes back.

        Raises ExperimentNotFoundError, ExperimentStateError, and what Deployment.roll_back raises; it then goes on.
        """
        with self._leases.hold(lease_of(self._model), _WAIT_S):
            row = self._require_running(experiment_id)
            state = self._models.find(row.model)
            if (state.active_version, state.previous_version) == (row.treatment_version, row.control_version):
                self._deployment.roll_back(change)
            return self._store.end(row.id, ABORTED, change.actor, change.reason)

    def _control(self, plan: Plan) -> int:
        state = self._models.find(self._model)
        if not state.should_be_loaded:
            raise ExperimentStateError(f"model {self._model!r} is not loaded, so there is nothing to compare with; "
                                       "activate a version first")
        running = self._store.running(self._model)
        if running is not None:
            raise ExperimentStateError(f"experiment {running.id} on {self._model!r} is running; finish or abort it "
                                       "first")
        if plan.treatment_version == state.active_version:
            raise ExperimentStateError(f"version {plan.treatment_version} is the active one, which is the control; "
                                       "name another one")
        return state.active_version

    def _require_running(self, experiment_id: str) -> ExperimentRow:
        row = self._store.find(experiment_id)
        if row.state != RUNNING:
            raise ExperimentStateError(f"experiment {row.id} is {row.state} already; start another one")
        return row


def lease_of(model: str) -> str:
    """Return the name of the lease that who changes which versions are kept for experiments holds."""
    return f"experiment:{model}"
