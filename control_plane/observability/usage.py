"""Sums up in memory what models do and writes it down every few seconds, away from the request path."""

import logging
from collections.abc import Callable
from datetime import datetime

from control_plane.database.schema import utc_now
from control_plane.database.write_behind import FLUSH_S, WriteBehind
from control_plane.errors import DatabaseError
from control_plane.observability.usage_store import Usage, UsageByHour, UsageStore, hour_of

_LOG = logging.getLogger(__name__)


class UsageRecorder:
    """The usage of one process since it was last written down; a database that is away makes it wait, not go."""

    def __init__(self, store: UsageStore, flush_s: float = FLUSH_S,
                 note_use: Callable[[set[str]], None] = lambda models: None) -> None:
        """`note_use` is told which models were used whenever their usage is written down."""
        self._store, self._note_use = store, note_use
        self._sums = WriteBehind(self._write, Usage.plus,
                                 "the usage of %d hours is kept until the database takes it", flush_s)
        self.flush, self.close = self._sums.flush, self._sums.close

    def add(self, model: str, usage: Usage) -> None:
        """Add what one request did."""
        self._sums.add({(model, hour_of(utc_now())): usage})

    def sums(self, begin: datetime, end: datetime, model: str | None = None) -> dict[str, Usage]:
        """Return the sums by model over the hours that begin in [`begin`, `end`), this process's newest included."""
        self.flush()
        return self._store.sums(begin, end, model)

    def _write(self, pending: UsageByHour) -> None:
        self._store.add(pending)
        try:
            self._note_use({model for model, _ in pending})
        except DatabaseError as error:  # What was written down must not be written again; the next use is noted.
            _LOG.warning("the last use of %d models is not noted: %s", len({model for model, _ in pending}), error)
