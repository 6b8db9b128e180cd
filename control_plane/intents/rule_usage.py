"""Counts in memory which rules matched and were right, and writes it down every few seconds, off the request path."""

import logging
import threading
from collections.abc import Iterable, Mapping

from control_plane.errors import DatabaseError
from control_plane.intents.rule_store import RuleStore

FLUSH_S = 5.0
_LOG = logging.getLogger(__name__)


class UsageCounter:
    """The counts of one process since they were last written down; a database that is away makes them wait, not go."""

    def __init__(self, store: RuleStore, flush_s: float = FLUSH_S) -> None:
        self._store = store
        self._flush_s = flush_s
        self._pending: dict[int, tuple[int, int]] = {}
        self._timer: threading.Timer | None = None
        self._is_closed = False
        self._lock = threading.Lock()      # over the fields above
        self._flushing = threading.Lock()  # one writes at a time

    def note_use(self, rule_ids: Iterable[int]) -> None:
        """Count one question that these rules matched."""
        self._add(dict.fromkeys(rule_ids, (1, 0)))

    def note_success(self, rule_ids: Iterable[int]) -> None:
        """Count one question, whose use was noted before, as one that had the intents of these rules."""
        self._add(dict.fromkeys(rule_ids, (0, 1)))

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

    def _write(self, pending: Mapping[int, tuple[int, int]]) -> None:
        try:
            self._store.add_counts(pending)
        except DatabaseError as error:
            _LOG.warning("the counts of %d keyword rules are kept until the database takes them: %s", len(pending),
                         error)
            self._add(pending)

    def _add(self, counts: Mapping[int, tuple[int, int]]) -> None:
        with self._lock:
            for rule_id, (uses, successes) in counts.items():
                before = self._pending.get(rule_id, (0, 0))
                self._pending[rule_id] = (before[0] + uses, before[1] + successes)
            if self._pending and self._timer is None and not self._is_closed:
                # A timer and not a thread that runs for ever: an application without questions has none.
                self._timer = threading.Timer(self._flush_s, self.flush)
                self._timer.daemon = True
                self._timer.start()
