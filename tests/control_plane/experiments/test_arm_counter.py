"""Counts of one process: written behind the requests' back, and never lost to a database that is away."""

import threading

from control_plane.errors import DatabaseUnavailableError
from control_plane.experiments.arm_counter import ArmCounter
from control_plane.experiments.arm_counts import ArmCounts, count_request
from control_plane.experiments.tables import CONTROL, TREATMENT

NEVER_S = 3600.0


class WrittenCounts:
    """Stands for the tables; fails while `is_away`."""

    def __init__(self) -> None:
        self.total = ArmCounts()
        self.is_away = False
        self.arrived = threading.Event()

    def add_counts(self, counts) -> None:
        if self.is_away:
            raise DatabaseUnavailableError("away")
        for item in counts.values():
            self.total = self.total.plus(item)
        self.arrived.set()


def test_what_is_counted_is_written_later_and_once():
    written = WrittenCounts()
    counter = ArmCounter(written, NEVER_S)
    counter.add("e", CONTROL, count_request(1.0))
    counter.add("e", CONTROL, count_request(1.0, is_error=True))
    assert written.total == ArmCounts()
    counter.flush()
    counter.flush()
    assert (written.total.requests, written.total.errors) == (2, 1)


def test_a_database_that_is_away_loses_nothing_and_it_writes_by_itself(caplog):
    written = WrittenCounts()
    counter = ArmCounter(written, 0.01)
    written.is_away = True
    counter.add("e", CONTROL, count_request(1.0))
    counter.flush()
    assert "are kept until the database takes them" in caplog.text
    written.is_away = False
    assert written.arrived.wait(10)
    counter.close()
    assert written.total.requests == 1


def test_counts_reach_the_tables_from_several_processes(store):
    for _ in range(2):
        counter = ArmCounter(store, NEVER_S)
        for latency_ms in (1.0, 100.0):
            counter.add("e", TREATMENT, count_request(latency_ms, called_llm=True))
        counter.add("e", CONTROL, count_request(5.0))
        counter.close()
    counts = store.counts("e")
    assert (counts[TREATMENT].requests, counts[TREATMENT].llm_calls, counts[CONTROL].requests) == (4, 4, 2)
    assert sum(counts[TREATMENT].latencies.values()) == 4
    assert len(counts[TREATMENT].latencies) == 2
