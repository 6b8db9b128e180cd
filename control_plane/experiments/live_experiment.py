"""The experiment that a worker takes part in: a copy of the database's, a second old at most. Knows no requests."""

import time
from collections.abc import Callable

from control_plane.database.live_copy import LiveCopy
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.experiments.tables import ExperimentRow


class LiveExperiment:
    """What runs on one model, as one worker knows it. While the database is away it stays as it was."""

    def __init__(self, store: ExperimentStore, model: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._running: LiveCopy[ExperimentRow | None] = LiveCopy(
            None, lambda _: store.running(model), "the experiment", clock)

    def current(self) -> ExperimentRow | None:
        """Return the experiment that runs, None where none does or where nothing is known yet."""
        return self._running.get()
