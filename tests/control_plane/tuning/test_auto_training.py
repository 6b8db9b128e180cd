"""Looking for new labels goes on whatever one look runs into."""

import threading

import pytest

from control_plane.errors import DatabaseUnavailableError
from control_plane.tuning import auto_training
from control_plane.tuning.auto_training import AutoTraining


class Batches:
    """Stands in for BatchService; does one thing a look, then stops the loop."""

    def __init__(self, stop: threading.Event, *outcomes) -> None:
        self.stop, self.outcomes, self.asked = stop, list(outcomes), []

    def begin_automatically(self, new_labels: int) -> dict | None:
        self.asked.append(new_labels)
        outcome = self.outcomes.pop(0)
        if not self.outcomes:
            self.stop.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.mark.parametrize("trouble", [DatabaseUnavailableError("away"), RuntimeError("bug"), None, {"id": "7"}])
def test_a_look_that_fails_is_not_the_last(monkeypatch, trouble):
    monkeypatch.setattr(auto_training, "POLL_S", 0.001)
    stop = threading.Event()
    batches = Batches(stop, trouble, {"id": "8"})
    AutoTraining(batches, 20).run(stop)
    assert batches.asked == [20, 20]
