"""A copy is looked at once a second, by one thread, and stays as it was while the database is away."""

import threading

import pytest

from control_plane.database.live_copy import LiveCopy
from control_plane.errors import DatabaseUnavailableError
from tests.clock import Clock


class Counted:
    """Counts the looks; each finds one more than is known, and fails while `is_away`."""

    looks, is_away = 0, False

    def __call__(self, known: int) -> int:
        self.looks += 1
        if self.is_away:
            raise DatabaseUnavailableError("away")
        return known + 1


@pytest.fixture
def clock():
    return Clock()


def test_it_is_looked_at_once_in_a_second(clock):
    look = Counted()
    copy = LiveCopy(0, look, "it", clock)
    assert [copy.get() for _ in range(5)] == [1] * 5
    clock.pass_second()
    assert (copy.get(), look.looks) == (2, 2)


def test_while_the_database_is_away_it_stays_and_is_asked_for_once_in_a_second(clock, caplog):
    look = Counted()
    look.is_away = True
    copy = LiveCopy(7, look, "the weather", clock)
    assert [copy.get() for _ in range(3)] == [7] * 3
    assert (look.looks, "the weather: what was known before holds on: away" in caplog.text) == (1, True)
    look.is_away = False
    clock.pass_second()
    assert copy.get() == 8


def test_the_first_ones_wait_for_the_first_look_and_later_ones_for_none(clock):
    looking, may_end = threading.Event(), threading.Event()

    def look(known: int) -> int:
        looking.set()
        assert may_end.wait(10)
        return known + 1

    copy, found = LiveCopy(0, look, "it", clock), []
    threads = [threading.Thread(target=lambda: found.append(copy.get())) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert looking.wait(10)
    may_end.set()
    for thread in threads:
        thread.join(10)
    assert found == [1, 1, 1]
    looking.clear()
    may_end.clear()
    clock.pass_second()
    second = threading.Thread(target=copy.get)
    second.start()
    assert looking.wait(10)
    assert copy.get() == 1
    may_end.set()
    second.join(10)
    assert copy.get() == 2
