"""Puts versions of the intent model into service, through the lifecycle as any model's. Trains and judges nothing."""

from control_plane.lifecycle.lifecycle import Lifecycle
from control_plane.lifecycle.store import Change, ModelState, ModelStore
from control_plane.tuning.batch_store import BatchStore
from control_plane.tuning.tables import PASS, ModelVersionRow
from control_plane.tuning_errors import PromotionError


class Deployment:
    """Activation and rollback of one model's versions by what the gate found."""

    def __init__(self, batches: BatchStore, models: ModelStore, lifecycle: Lifecycle, model: str) -> None:
        self._batches, self._models, self._lifecycle, self._model = batches, models, lifecycle, model

    def activate(self, version: str, change: Change) -> ModelState:
        """Switch to a version. One that did not pass the gate needs a reason, which the history keeps.

        Raises ModelVersionNotFoundError, PromotionError, and what Lifecycle.activate raises.
        """
        row = self._batches.find_version(version)
        if row.verdict != PASS and not change.reason:
            raise PromotionError(version, row.verdict)
        return self._marked(self._lifecycle.activate(self._model, row.triton_version, change))

    def roll_back(self, change: Change) -> ModelState:
        """Switch to the version that was active before; raises what Lifecycle.roll_back raises."""
        return self._marked(self._lifecycle.roll_back(self._model, change))

    def versions(self, limit: int) -> list[ModelVersionRow]:
        """Return the newest versions; one may have been switched to over the lifecycle's own routes."""
        self._batches.mark_active(self._models.find(self._model).active_version)
        return self._batches.versions(limit)

    def _marked(self, state: ModelState) -> ModelState:
        self._batches.mark_active(state.active_version)
        return state
