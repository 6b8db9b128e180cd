"""Puts versions of the intent model into service, through the lifecycle as any model's. Trains and judges nothing."""

import re

from control_plane.lifecycle.lifecycle import Lifecycle
from control_plane.lifecycle.store import Change, ModelState, ModelStore
from control_plane.tuning.batch_store import BatchStore
from control_plane.tuning.tables import PASS, ModelVersionRow
from control_plane.tuning_errors import ModelVersionNotFoundError, PromotionError


class Deployment:
    """Activation and rollback of one model's versions by what the gate found."""

    def __init__(self, batches: BatchStore, models: ModelStore, lifecycle: Lifecycle, model: str) -> None:
        self._batches, self._models, self._lifecycle, self._model = batches, models, lifecycle, model

    def activate(self, version: str, change: Change, keep_warm: bool = True) -> ModelState:
        """Switch to a version. One that no batch made or that did not pass the gate needs a reason, for the history.

        With `keep_warm` the version that was active stays loaded, so that a rollback need not load anything; it goes
        when its memory is needed, and with the next activation.
        Raises PromotionError, ModelVersionNotFoundError for what is no name of a version, and what Lifecycle.activate
        raises.
        """
        number, verdict = self._judged(version)
        if verdict != PASS and not change.reason:
            raise PromotionError(version, verdict)
        return self._marked(self._lifecycle.activate(self._model, number, change, keep_warm=keep_warm))

    def roll_back(self, change: Change) -> ModelState:
        """Switch to the version that was active before; raises what Lifecycle.roll_back raises."""
        return self._marked(self._lifecycle.roll_back(self._model, change))

    def versions(self, limit: int) -> list[ModelVersionRow]:
        """Return the newest versions; one may have been switched to over the lifecycle's own routes."""
        self._batches.mark_active(self._models.find(self._model).active_version)
        return self._batches.versions(limit)

    def _judged(self, version: str) -> tuple[int, str | None]:
        """Return a version as Triton numbers it, with the gate's verdict; None for one that was exported by hand."""
        try:
            row = self._batches.find_version(version)
            return row.triton_version, row.verdict
        except ModelVersionNotFoundError:
            number = version.removeprefix(f"{self._model}-")
            if version == number or not re.fullmatch("[1-9][0-9]{0,8}", number):
                raise
            self._lifecycle.require_version(self._model, int(number))
            return int(number), None

    def _marked(self, state: ModelState) -> ModelState:
        self._batches.mark_active(state.active_version)
        return state
