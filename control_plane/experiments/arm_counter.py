"""Sums up in memory what the arms do and writes it down every few seconds, away from the request path."""

import logging
import threading
from datetime import datetime

from control_plane.database.schema import utc_now
from control_plane.errors import DatabaseError
from control_plane.experiments.arm_counts import ArmCounts
from control_plane.experiments.experiment_store import CountsByHour, ExperimentStore
from control_plane.observability.usage_store import hour_of

FLUSH_S = 5.0
_LOG = logging.getLogger(__name__)


class ArmCounter:
    """The counts of one process since they were last written down; a database that is away makes them wait, not go."""

    def __init__(self, store: ExperimentStore, flush_s: float = FLUSH_S) -> None:
        self._store, self._flush_s = store, flush_s
        self._pending: dict[tuple[str, str, datetime], ArmCounts] = {}
        self._timer: threading.Timer | None = None
        self._is_closed = False
        self._lock = threading.Lock()      # over the fields above
        self._flushing = threading.Lock()  # one writes at a time

    def add(self, experiment_id: str, arm: str, counts: ArmCounts) -> None:
        """Add what an arm just did."""
        self._add({(experiment_id, arm, hour_of(utc_now())): counts})

    def flush(self) -> None:
        """Write down what is pending. While the database is away it stays pending and is tried again."""
        with self._flushing:
            with self._lock:
                pending, self._pending, self._timer = self._pending, {}, None
            if pending:
                self._write(pending)

    def close(self) -> None:
        """Write down what is pending, for the last time."""
        with self._lock:
            self._is_closed = True
        self.flush()

    def _write(self, pending: CountsByHour) -> None:
        try:
            self._store.add_counts(pending)
        except DatabaseError as error:
            _LOG.warning("the counts of %d arms are kept until the database takes them: %s", len(pending), error)
            self._add(pending)

    def _add(self, counts: CountsByHour) -> None:
        with self._lock:
            for key, item in counts.items():
                self._pending[key] = self._pending.get(key, ArmCounts()).plus(item)
            if self._timer is None and not self._is_closed:
                # A timer and not a thread that runs for ever: an application without experiments has none.
                self._timer = threading.Timer(self._flush_s, self.flush)
                self._timer.daemon = True
                self._timer.start()
