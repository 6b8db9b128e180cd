import threading
from datetime import datetime, timedelta, timezone

import pytest

from control_plane.database.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.observability.usage_store import Usage, UsageStore, hour_of

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
ONE = Usage(requests=1, errors=0, duration_ms=1.5, texts=2, characters=3, tokens=4)


@pytest.fixture
def store(database):
    return UsageStore(database)


def test_usage_adds_up_by_model(store):
    store.add({("tiny", NOON): ONE, ("other", NOON): ONE})
    store.add({("tiny", NOON): ONE, ("tiny", NOON + HOUR): ONE})
    assert store.sums(NOON, NOON + 2 * HOUR) == {
        "other": ONE, "tiny": Usage(requests=3, errors=0, duration_ms=4.5, texts=6, characters=9, tokens=12)}


def test_a_period_has_the_hours_that_begin_in_it(store):
    for hours in range(3):
        store.add({("tiny", NOON + hours * HOUR): ONE})
    assert store.sums(NOON + HOUR, NOON + 2 * HOUR) == {"tiny": ONE}
    assert store.sums(NOON + 3 * HOUR, NOON + 9 * HOUR) == {}


def test_one_model_can_be_asked_for(store):
    store.add({("tiny", NOON): ONE, ("Tiny", NOON): ONE})
    assert store.sums(NOON, NOON + HOUR, "tiny") == {"tiny": ONE}


def test_large_sums_and_fractions_survive(store):
    large = Usage(requests=1, errors=2**40, duration_ms=123456789.125, texts=2**40, characters=2**52, tokens=2**40 + 1)
    store.add({("tiny", NOON): large})
    assert store.sums(NOON, NOON + HOUR) == {"tiny": large}


def test_workers_that_write_the_same_rows_at_once_lose_nothing(store):
    def work(models: list[str]) -> None:
        for _ in range(20):
            store.add({(model, NOON): ONE for model in models})

    threads = [threading.Thread(target=work, args=(models,)) for models in (["a", "b"], ["b", "a"], ["a"], ["b"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: usage.requests for name, usage in store.sums(NOON, NOON + HOUR).items()} == {"a": 60, "b": 60}


def test_a_database_without_the_table_says_that_it_cannot(tmp_path):
    with pytest.raises(DatabaseUnavailableError):
        UsageStore(Database(f"sqlite:///{tmp_path / 'empty.db'}")).add({("tiny", NOON): ONE})


@pytest.mark.parametrize(("moment", "hour"), [
    (NOON, NOON), (NOON + timedelta(minutes=59, seconds=59, microseconds=999999), NOON),
    (datetime(2024, 5, 1, 18, 10, tzinfo=timezone(timedelta(hours=5, minutes=30))), NOON)])
def test_hours_are_those_of_utc(moment, hour):
    assert hour_of(moment) == hour
    assert hour_of(moment).utcoffset() == timedelta(0)
