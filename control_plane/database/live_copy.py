"""What a process knows of something in the database: a copy, a second old at most. Knows nothing of what it copies."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from control_plane.errors import DatabaseError

MAX_AGE_S = 1.0
_LOG = logging.getLogger(__name__)
Value = TypeVar("Value")


class LiveCopy(Generic[Value]):
    """A value that is looked at anew when it is old. While the database is away it stays as it was."""

    def __init__(self, first: Value, look: Callable[[Value], Value], name: str,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """`first` is what is known before the database was reached; `look` gets what is known and returns what is true.

        `look` raises DatabaseError; `name` is what the log calls the value, `clock` gives seconds.
        """
        self._known, self._look, self._name, self._clock = first, look, name, clock
        self._checked_at = -math.inf
        self._lock = threading.Lock()

    def get(self) -> Value:
        """Return the value."""
        # One thread looks; the others go on with what there is, but for the first ones, for whom there is nothing.
        if self._is_old() and self._lock.acquire(blocking=self._checked_at == -math.inf):
            try:
                if self._is_old():
                    self._check()
            finally:
                self._lock.release()
        return self._known

    def _is_old(self) -> bool:
        return self._clock() - self._checked_at > MAX_AGE_S

    def _check(self) -> None:
        try:
            self._known = self._look(self._known)
        except DatabaseError as error:
            _LOG.warning("%s: what was known before holds on: %s", self._name, error)
        finally:
            self._checked_at = self._clock()
