import threading
from collections.abc import Mapping

import pytest

from control_plane.errors import DatabaseUnavailableError
from control_plane.intents.rule_store import RuleStore
from control_plane.intents.rule_usage import UsageCounter

NEVER_S = 3600.0


class WrittenCounts:
    """Stands for the table; fails while `is_away`."""

    def __init__(self) -> None:
        self.written: list[Mapping[int, tuple[int, int]]] = []
        self.is_away = False
        self.arrived = threading.Event()

    def add_counts(self, counts: Mapping[int, tuple[int, int]]) -> None:
        if self.is_away:
            raise DatabaseUnavailableError("away")
        self.written.append(counts)
        self.arrived.set()


@pytest.fixture
def store():
    return WrittenCounts()


def test_a_question_counts_once_for_each_rule_and_is_written_later(store):
    counter = UsageCounter(store, NEVER_S)
    counter.note_use([1, 2, 1])
    counter.note_use([1])
    counter.note_success({2})
    assert store.written == []
    counter.flush()
    counter.flush()
    assert store.written == [{1: (2, 0), 2: (1, 1)}]


def test_it_writes_by_itself_again_and_again(store):
    counter = UsageCounter(store, 0.01)
    for _ in range(2):
        store.arrived.clear()
        counter.note_use([1])
        assert store.arrived.wait(10)
    assert store.written == [{1: (1, 0)}] * 2


def test_a_database_that_is_away_loses_nothing(store, caplog):
    counter = UsageCounter(store, 0.01)
    store.is_away = True
    counter.note_use([1])
    counter.flush()
    counter.note_success([1])
    assert "are kept until the database takes them" in caplog.text
    store.is_away = False
    assert store.arrived.wait(10)
    counter.close()
    assert [sum(item[1][side] for item in store.written) for side in (0, 1)] == [1, 1]


def test_closing_writes_what_is_pending_and_starts_no_timer(store):
    counter = UsageCounter(store, NEVER_S)
    counter.note_use([1])
    counter.close()
    assert store.written == [{1: (1, 0)}]
    before = threading.active_count()
    counter.note_use([1])
    assert threading.active_count() == before


def test_a_question_without_rules_starts_nothing(store):
    before = threading.active_count()
    UsageCounter(store, NEVER_S).note_use([])
    assert threading.active_count() == before


def test_counts_reach_the_table(database):
    store = RuleStore(database)
    rule = store.add("财运", "wealth", 0.5, "ann")
    counter = UsageCounter(store, NEVER_S)
    counter.note_use([rule.id])
    counter.note_success([rule.id])
    counter.close()
    assert (store.find(rule.id).usage_count, store.find(rule.id).success_count) == (1, 1)
