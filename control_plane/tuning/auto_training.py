"""Begins a training when enough new labels are there; the controller runs it. Knows nothing of trainings."""

import logging
import threading

from control_plane.errors import DatabaseUnavailableError
from control_plane.tuning.batch_service import BatchService
from export.contract import ConchError

POLL_S = 10.0
_LOG = logging.getLogger(__name__)


class AutoTraining:
    """Looks now and then until it is stopped; several controllers may do so at once."""

    def __init__(self, batches: BatchService, new_labels: int) -> None:
        self._batches, self._new_labels = batches, new_labels

    def run(self, stop: threading.Event) -> None:
        """Look, wait, look again; what goes wrong is logged, and the next look tries again."""
        while not stop.wait(POLL_S):
            try:
                job = self._batches.begin_automatically(self._new_labels)
                if job is not None:
                    _LOG.info("%d new labels: job %s trains on them", self._new_labels, job["id"])
            except DatabaseUnavailableError:
                pass  # Others have said so already.
            except ConchError as error:
                _LOG.warning("no training begins by itself: %s", error)
            except Exception:
                _LOG.exception("looking for new labels failed")
