"""Writes refusals to the audit log, a flood of them as a few lines. Knows nothing of HTTP.

The first refusal of a sort from an address is written at once. Those that follow within WINDOW_S are counted, and
written as one line with the count; a process that ends meanwhile loses the count, never the first line.
"""

import logging
import threading
from dataclasses import dataclass, replace

from control_plane.access.audit import AuditEntry, AuditLog
from control_plane.errors import DatabaseError

WINDOW_S = 60.0
# Sorts and addresses told apart within one window; whoever comes from more addresses than that is counted as one.
MAX_SORTS = 100
_LOG = logging.getLogger(__name__)
_Sort = tuple[str, str | None, str | None]
_THE_REST: _Sort = ("", None, None)


@dataclass
class _Repeated:
    entry: AuditEntry
    count: int = 0  # of refusals after the first


class Denials:
    """The refusals of one process."""

    def __init__(self, audit: AuditLog, window_s: float = WINDOW_S) -> None:
        self._audit, self._window_s = audit, window_s
        self._window: dict[_Sort, _Repeated] = {}
        self._lock = threading.Lock()

    def add(self, entry: AuditEntry, reason: str) -> None:
        """Keep one refusal; `reason` is a name of ours and nothing that the caller chose."""
        sort = (reason, entry.key_id, entry.remote_address)
        with self._lock:
            if sort not in self._window and len(self._window) >= MAX_SORTS:
                sort = _THE_REST
            repeated = self._window.get(sort)
            if repeated is not None:
                repeated.count += 1
                return
            if not self._window:
                self._start_window()
            self._window[sort] = _Repeated(replace(entry, detail={**(entry.detail or {}), "reason": reason}))
            first = self._window[sort].entry
        self._write(first)

    def flush(self) -> None:
        """Write what was counted, and begin anew."""
        with self._lock:
            window, self._window = self._window, {}
        for repeated in window.values():
            if repeated.count:
                entry = repeated.entry
                self._write(replace(entry, detail={**entry.detail, "repeated": repeated.count}))

    def _start_window(self) -> None:
        timer = threading.Timer(self._window_s, self.flush)
        timer.daemon = True
        timer.start()

    def _write(self, entry: AuditEntry) -> None:
        try:
            self._audit.append(entry)
        except DatabaseError as error:
            _LOG.warning("a refusal is not in the audit log: %s; it was %s %s from %s", error, entry.detail,
                         entry.key_id, entry.remote_address)
