import threading
from datetime import datetime, timedelta, timezone

import pytest

from control_plane.errors import DatabaseUnavailableError
from control_plane.observability import usage
from control_plane.observability.usage import UsageRecorder
from control_plane.observability.usage_store import Usage, UsageByHour, UsageStore

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
ONE = Usage(requests=1, duration_ms=2.0, texts=3)
NEVER_S = 3600.0


class WrittenUsage:
    """Stands for the table; fails while `is_away`."""

    def __init__(self) -> None:
        self.written: list[UsageByHour] = []
        self.is_away = False
        self.arrived = threading.Event()

    def add(self, pending: UsageByHour) -> None:
        if self.is_away:
            raise DatabaseUnavailableError("away")
        self.written.append(pending)
        self.arrived.set()


@pytest.fixture(autouse=True)
def noon(monkeypatch):
    """A clock that stands still."""
    monkeypatch.setattr(usage, "utc_now", lambda: NOON + timedelta(minutes=20))


@pytest.fixture
def store():
    return WrittenUsage()


def test_requests_add_up_until_they_are_written_down_once(store):
    recorder = UsageRecorder(store, NEVER_S)
    for model in ("tiny", "tiny", "other"):
        recorder.add(model, ONE)
    assert store.written == []
    recorder.flush()
    recorder.flush()
    assert store.written == [{("tiny", NOON): ONE.plus(ONE), ("other", NOON): ONE}]


def test_it_writes_by_itself_after_a_while_again_and_again(store):
    recorder = UsageRecorder(store, 0.01)
    for _ in range(2):
        store.arrived.clear()
        recorder.add("tiny", ONE)
        assert store.arrived.wait(10)
    assert store.written == [{("tiny", NOON): ONE}] * 2


def test_an_hour_that_begins_meanwhile_is_another_row(store, monkeypatch):
    recorder = UsageRecorder(store, NEVER_S)
    recorder.add("tiny", ONE)
    monkeypatch.setattr(usage, "utc_now", lambda: NOON + timedelta(minutes=60))
    recorder.add("tiny", ONE)
    recorder.flush()
    assert store.written == [{("tiny", NOON): ONE, ("tiny", NOON + timedelta(hours=1)): ONE}]


def test_a_database_that_is_away_loses_nothing(store, caplog):
    recorder = UsageRecorder(store, 0.01)
    store.is_away = True
    recorder.add("tiny", ONE)
    recorder.flush()
    recorder.add("tiny", ONE)
    assert "kept until the database takes it" in caplog.text
    store.is_away = False
    assert store.arrived.wait(10)
    recorder.flush()
    assert sum(item.requests for written in store.written for item in written.values()) == 2


def test_models_are_noted_as_used_and_a_failure_there_counts_nothing_twice(store, caplog):
    noted = []

    def note(models: set[str]) -> None:
        noted.append(models)
        raise DatabaseUnavailableError("away")

    recorder = UsageRecorder(store, NEVER_S, note)
    recorder.add("tiny", ONE)
    recorder.flush()
    recorder.flush()
    assert noted == [{"tiny"}]
    assert store.written == [{("tiny", NOON): ONE}]
    assert "is not noted" in caplog.text


def test_closing_writes_what_is_pending_and_starts_no_timer_for_what_fails(store):
    recorder = UsageRecorder(store, NEVER_S)
    recorder.add("tiny", ONE)
    recorder.close()
    assert store.written == [{("tiny", NOON): ONE}]
    store.is_away = True
    before = threading.active_count()
    recorder.add("tiny", ONE)
    recorder.close()
    assert threading.active_count() == before


def test_sums_have_what_this_process_has_not_written_yet(database):
    recorder = UsageRecorder(UsageStore(database), NEVER_S)
    recorder.add("tiny", ONE)
    assert recorder.sums(NOON, NOON + timedelta(hours=1)) == {"tiny": ONE}


def test_many_threads_lose_nothing(store):
    recorder = UsageRecorder(store, 0.001)

    def work() -> None:
        for _ in range(500):
            recorder.add("tiny", ONE)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    assert sum(item.requests for written in store.written for item in written.values()) == 4000
