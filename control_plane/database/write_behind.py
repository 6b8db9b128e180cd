"""Sums up in memory and has it written down every few seconds, away from the request path. Knows no table."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from control_plane.errors import DatabaseError

FLUSH_S = 5.0
_LOG = logging.getLogger(__name__)
Key = TypeVar("Key")
Value = TypeVar("Value")


class WriteBehind(Generic[Key, Value]):
    """Sums by key since they were last written down; a database that is away makes them wait, not go."""

    def __init__(self, write: Callable[[Mapping[Key, Value]], None], plus: Callable[[Value, Value], Value],
                 waiting: str, flush_s: float = FLUSH_S) -> None:
        """`write` raises DatabaseError where nothing was written; `waiting` then tells the log how many (%d) wait."""
        self._write, self._plus, self._waiting, self._flush_s = write, plus, waiting, flush_s
        self._pending: dict[Key, Value] = {}
        self._timer: threading.Timer | None = None
        self._is_closed = False
        self._lock = threading.Lock()      # over the fields above
        self._flushing = threading.Lock()  # one writes at a time

    def add(self, items: Mapping[Key, Value]) -> None:
        """Add to what is pending."""
        with self._lock:
            for key, item in items.items():
                self._pending[key] = self._plus(self._pending[key], item) if key in self._pending else item
            if self._pending and self._timer is None and not self._is_closed:
                # A timer and not a thread that runs for ever: an application that counts nothing has none.
                self._timer = threading.Timer(self._flush_s, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write down what is pending. While the database is away it stays pending and is tried again."""
        with self._flushing:
            with self._lock:
                pending, self._pending, self._timer = self._pending, {}, None
            if pending:
                self._try(pending)

    def close(self) -> None:
        """Write down what is pending, for the last time."""
        with self._lock:
            self._is_closed = True
        self.flush()

    def _try(self, pending: Mapping[Key, Value]) -> None:
        try:
            self._write(pending)
        except DatabaseError as error:
            _LOG.warning("%s: %s", self._waiting % len(pending), error)
            self.add(pending)
