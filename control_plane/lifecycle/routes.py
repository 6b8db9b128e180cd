"""Where a worker sends a request: which version, on which targets. A short-lived copy of the database."""

import logging
import math
import threading
import time
from dataclasses import dataclass

from control_plane.errors import DatabaseError, DatabaseUnavailableError
from control_plane.lifecycle.store import ModelState, ModelStore, group_by_model
from export.contract import MAX_BATCH_SIZE

# Half a second old at most, so that a switch is known everywhere long before the old version goes (store.DRAIN_S).
MAX_AGE_S = 0.5
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Route:
    """Where requests for one model go."""

    state: ModelState
    targets: tuple[str, ...]  # on which the active version is ready and proven

    @property
    def max_batch_size(self) -> int:
        """Rows that one request to Triton may carry."""
        return self.state.configuration.get("max_batch_size", MAX_BATCH_SIZE)


class Routes:
    """The routes of one worker. While the database is away the last ones known go on."""

    def __init__(self, store: ModelStore, max_age_s: float = MAX_AGE_S) -> None:
        self._store = store
        self._max_age_s = max_age_s
        self._routes: dict[str, Route] | None = None
        self._read_at = -math.inf
        self._lock = threading.Lock()

    def find(self, model: str) -> Route | None:
        """Return the route of a model; None where nobody ever loaded it.

        Raises DatabaseUnavailableError while nothing is known yet.
        """
        return self._known().get(model)

    def states(self) -> list[ModelState]:
        """Return the desired states of all models; raises DatabaseUnavailableError while nothing is known yet."""
        return [route.state for route in self._known().values()]

    def ready_count(self) -> int | None:
        """Return how many models are ready on some target, None while nothing is known yet."""
        try:
            return sum(bool(route.targets) for route in self._known().values())
        except DatabaseUnavailableError:
            return None

    def refresh(self) -> None:
        """Read anew: somebody found a route to be out of date. Those who ask at once share what one of them reads."""
        asked_at = time.monotonic()
        with self._lock:
            if self._read_at <= asked_at:
                self._read()

    def _known(self) -> dict[str, Route]:
        # One thread reads; the others need not wait for it once there is something to go by.
        if (self._routes is None or self._is_old()) and self._lock.acquire(blocking=self._routes is None):
            try:
                if self._is_old():
                    self._read()
            finally:
                self._lock.release()
        if self._routes is None:
            raise DatabaseUnavailableError("what should be live is not known yet: the database does not answer")
        return self._routes

    def _is_old(self) -> bool:
        return time.monotonic() - self._read_at > self._max_age_s

    def _read(self) -> None:
        self._read_at = time.monotonic()
        try:
            seen = group_by_model(self._store.observations())
            self._routes = {name: Route(state, tuple(
                row.target for row in seen.get(name, [])
                if state.active_version in row.versions and state.is_placed_on(row.target)))
                for name, state in self._store.all().items()}
        except DatabaseError as error:
            _LOG.warning("routes stay as they are: %s", error)
