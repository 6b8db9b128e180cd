"""The experiment that a worker takes part in: a copy of the database's, a second old at most. Knows no requests."""

import logging
import math
import threading
import time
from collections.abc import Callable

from control_plane.errors import DatabaseError
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.experiments.tables import ExperimentRow

MAX_AGE_S = 1.0
_LOG = logging.getLogger(__name__)


class LiveExperiment:
    """What runs on one model, as one worker knows it. While the database is away it stays as it was."""

    def __init__(self, store: ExperimentStore, model: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._store, self._model, self._clock = store, model, clock
        self._checked_at = -math.inf
        self._running: ExperimentRow | None = None
        self._lock = threading.Lock()

    def current(self) -> ExperimentRow | None:
        """Return the experiment that runs, None where none does or where nothing is known yet."""
        # One thread looks; the others go on with what there is, but for the first ones, for whom there is nothing.
        if self._is_old() and self._lock.acquire(blocking=self._checked_at == -math.inf):
            try:
                if self._is_old():
                    self._check()
            finally:
                self._lock.release()
        return self._running

    def _is_old(self) -> bool:
        return self._clock() - self._checked_at > MAX_AGE_S

    def _check(self) -> None:
        try:
            self._running = self._store.running(self._model)
        except DatabaseError as error:
            _LOG.warning("the experiment stays as it is: %s", error)
        finally:
            self._checked_at = self._clock()
