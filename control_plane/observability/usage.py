"""Sums up in memory what models do and writes it down every few seconds, away from the request path."""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from control_plane.database.schema import utc_now
from control_plane.errors import DatabaseError
from control_plane.observability.usage_store import Usage, UsageByHour, UsageStore, hour_of

FLUSH_S = 5.0
_LOG = logging.getLogger(__name__)


class UsageRecorder:
    """The usage of one process since it was last written down; a database that is away makes it wait, not go."""

    def __init__(self, store: UsageStore, flush_s: float = FLUSH_S,
                 note_use: Callable[[set[str]], None] = lambda models: None) -> None:
        """`note_use` is told which models were used whenever their usage is written down."""
        self._store, self._note_use = store, note_use
        self._flush_s = flush_s
        self._pending: dict[tuple[str, datetime], Usage] = {}
        self._timer: threading.Timer | None = None
        self._is_closed = False
        self._lock = threading.Lock()      # over the fields above
        self._flushing = threading.Lock()  # one writes at a time

    def add(self, model: str, usage: Usage) -> None:
        """Add what one request did."""
        self._add({(model, hour_of(utc_now())): usage})

    def flush(self) -> None:
        """Write down what is pending. While the database is away it stays pending and is tried again."""
        with self._flushing:
            with self._lock:
                pending, self._pending, self._timer = self._pending, {}, None
            if pending:
                self._write(pending)

    def sums(self, begin: datetime, end: datetime, model: str | None = None) -> dict[str, Usage]:
        """Return the sums by model over the hours that begin in [`begin`, `end`), this process's newest included."""
        self.flush()
        return self._store.sums(begin, end, model)

    def close(self) -> None:
        """Write down what is pending, for the last time."""
        with self._lock:
            self._is_closed = True
        self.flush()

    def _write(self, pending: UsageByHour) -> None:
        try:
            self._store.add(pending)
        except DatabaseError as error:
            _LOG.warning("the usage of %d hours is kept until the database takes it: %s", len(pending), error)
            self._add(pending)
            return
        try:
            self._note_use({model for model, _ in pending})
        except DatabaseError as error:  # What was written down must not be written again; the next use is noted.
            _LOG.warning("the last use of %d models is not noted: %s", len({model for model, _ in pending}), error)

    def _add(self, usage: Mapping[tuple[str, datetime], Usage]) -> None:
        with self._lock:
            for key, item in usage.items():
                self._pending[key] = self._pending.get(key, Usage()).plus(item)
            if self._timer is None and not self._is_closed:
                # A timer and not a thread that runs for ever: an application without requests has none.
                self._timer = threading.Timer(self._flush_s, self.flush)
                self._timer.daemon = True
                self._timer.start()
