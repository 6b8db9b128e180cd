"""Asks a shadow version what users were answered by another, behind their backs. Knows nothing of requests."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from control_plane.experiments.arm_counter import ArmCounter
from control_plane.experiments.arm_counts import ArmCounts, count_request
from control_plane.experiments.tables import TREATMENT, ExperimentRow
from control_plane.recognition.recognition import Scores
from export.contract import ConchError

CAPACITY = 64  # Questions that wait in one process; a shadow that is slower than its traffic sees a part of it.
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Shown:
    experiment: ExperimentRow
    question: str
    control: Scores


class Shadow:
    """The questions of one process that a shadow is still to see; a thread works on them while there are any."""

    def __init__(self, score: Callable[[str, int], Scores], counter: ArmCounter, capacity: int = CAPACITY) -> None:
        """`score` asks one version of the model and raises ConchError when that fails."""
        self._score, self._counter, self._capacity = score, counter, capacity
        self._waiting: deque[_Shown] = deque()
        self._is_working = False
        self._lock = threading.Lock()  # over the fields above

    def show(self, experiment: ExperimentRow, question: str, control: Scores) -> None:
        """Have the treatment asked what the control answered with `control`, later; dropped and counted when full."""
        with self._lock:
            is_full = len(self._waiting) >= self._capacity
            if not is_full:
                self._waiting.append(_Shown(experiment, question, control))
                if not self._is_working:
                    self._is_working = True
                    threading.Thread(target=self._work, name="shadow", daemon=True).start()
        if is_full:
            self._counter.add(experiment.id, TREATMENT, ArmCounts(dropped=1))

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_working = False
                    return
                shown = self._waiting.popleft()
            self._counter.add(shown.experiment.id, TREATMENT, self._ask(shown))

    def _ask(self, shown: _Shown) -> ArmCounts:
        started = time.perf_counter()
        try:
            held = self._score(shown.question, shown.experiment.treatment_version).held().keys()
        except ConchError:
            return count_request((time.perf_counter() - started) * 1000, is_error=True, is_fallback=True)
        except Exception:
            _LOG.exception("asking the shadow failed")
            return count_request((time.perf_counter() - started) * 1000, is_error=True, is_fallback=True)
        return count_request((time.perf_counter() - started) * 1000, is_fallback=not held,
                             agrees=held == shown.control.held().keys())
