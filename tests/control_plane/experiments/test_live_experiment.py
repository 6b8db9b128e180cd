"""What a worker knows of the experiment that runs: a second old at most, and the last state without a database."""

from control_plane.errors import DatabaseUnavailableError
from control_plane.experiments.live_experiment import LiveExperiment
from tests.clock import Clock


class Running:
    """Stands for the table; counts who asks, and fails while `is_away`."""

    running_now, is_away, asked = "one", False, 0

    def running(self, model: str):
        assert model == "intent"
        self.asked += 1
        if self.is_away:
            raise DatabaseUnavailableError("away")
        return self.running_now


def test_an_end_is_known_within_a_second_and_the_database_is_asked_once_in_it():
    store, clock = Running(), Clock()
    live = LiveExperiment(store, "intent", clock)
    assert [live.current() for _ in range(5)] == ["one"] * 5
    assert store.asked == 1
    store.running_now = None
    clock.pass_second()
    assert live.current() is None


def test_without_a_database_it_stays_as_it_was(caplog):
    store, clock = Running(), Clock()
    live = LiveExperiment(store, "intent", clock)
    live.current()
    store.is_away = True
    clock.pass_second()
    assert live.current() == "one"
    assert "the experiment: what was known before holds on" in caplog.text


def test_a_worker_that_never_reached_the_database_takes_part_in_nothing():
    store = Running()
    store.is_away = True
    assert LiveExperiment(store, "intent", Clock()).current() is None
