"""What the controller does for the question log: moves the spool, and now and then applies the retention."""

import logging
import threading
import time
from pathlib import Path

from control_plane.database.database import Database
from control_plane.questions.question_mover import NoteArrivals, QuestionMover
from control_plane.questions.question_store import QuestionStore
from export.contract import ConchError

POLL_S = 0.5
RETRY_S = 2.0
RETENTION_EVERY_S = 3600.0
_LOG = logging.getLogger(__name__)


class QuestionUpkeep:
    """Keeps the question log going until it is stopped; several controllers may do so at once."""

    def __init__(self, database: Database, spool_folder: Path, retention_days: int,
                 note_arrivals: NoteArrivals) -> None:
        self._mover = QuestionMover(database, spool_folder, note_arrivals)
        self._store = QuestionStore(database)
        self._retention_days = retention_days
        self._next_retention = 0.0
        self._is_failing = False

    def run(self, stop: threading.Event) -> None:
        """Pass after pass; what goes wrong in one is logged once, and the next one tries again."""
        while not stop.is_set():
            try:
                self.run_once(stop)
                self._is_failing = False
            except (ConchError, OSError) as error:
                self._tell_once(error)
            except Exception:
                _LOG.exception("pass over the question log failed")
            stop.wait(RETRY_S if self._is_failing else POLL_S)

    def run_once(self, stop: threading.Event | None = None) -> None:
        """Do what is due now, less of it once `stop` is set.

        Raises DatabaseError or OSError when it has to be tried again; nothing is lost then.
        """
        self._mover.run_once(stop)
        if time.monotonic() >= self._next_retention:
            deleted = self._store.apply_retention(self._retention_days)
            if deleted:
                _LOG.info("deleted %d questions that are older than %d days", deleted, self._retention_days)
            self._next_retention = time.monotonic() + RETENTION_EVERY_S

    def _tell_once(self, error: Exception) -> None:
        if not self._is_failing:
            _LOG.warning("questions wait in the spool until this ends: %s", error)
        self._is_failing = True
