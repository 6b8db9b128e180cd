"""Where requests go: only to proven targets, a moment old at most; without a database to the last ones known."""

import threading
from contextlib import contextmanager

import pytest

from control_plane.database.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.lifecycle.routes import Routes
from control_plane.lifecycle.store import Change, ModelStore
from export.contract import MAX_BATCH_SIZE

TEST = Change("tester")
LIMIT_S = 30
LONG_S = 1e9


class Outage(Database):
    """A database that can be taken away, and counts who asks it."""

    is_away = False
    reads = 0

    @contextmanager
    def read(self):
        self.reads += 1
        if self.is_away:
            raise DatabaseUnavailableError("gone")
        with super().read() as session:
            yield session


@pytest.fixture
def outage(database, database_url):
    outage = Outage(database_url)
    yield outage
    outage.dispose()


@pytest.fixture
def store(outage):
    """`tiny` has version 2 active."""
    store = ModelStore(outage)
    store.change(store.find("tiny"), "load", TEST, is_wanted=True, active_version=2,
                 targets=("one:1", "two:1", "four:1"))
    return store


def test_a_model_that_nobody_loaded_has_no_route(store):
    assert Routes(store).find("other") is None


def test_only_targets_on_which_the_active_version_is_ready_and_placed_are_named(store):
    store.observe("tiny", "one:1", (1, 2))
    store.observe("tiny", "two:1", (1,))
    store.observe("tiny", "three:1", (2,))  # not one of the model's
    store.observe("tiny", "four:1", (), "gone")
    store.observe("other", "two:1", (2,))
    route = Routes(store).find("tiny")
    assert (route.state.active_version, route.targets) == (2, ("one:1",))


def test_a_route_says_how_large_a_request_may_be(store):
    routes = Routes(store, max_age_s=0)
    assert routes.find("tiny").max_batch_size == MAX_BATCH_SIZE
    store.note(store.find("tiny"), configuration={"max_batch_size": 4})
    assert routes.find("tiny").max_batch_size == 4


def test_what_is_fresh_is_not_read_again_and_what_is_old_is(store, outage):
    fresh, old = Routes(store, max_age_s=LONG_S), Routes(store, max_age_s=-1)
    for routes in (fresh, old):
        assert routes.find("tiny").targets == ()
    store.observe("tiny", "one:1", (2,))
    reads = outage.reads
    assert fresh.find("tiny").targets == ()
    assert outage.reads == reads
    assert old.find("tiny").targets == ("one:1",)
    fresh.refresh()
    assert fresh.find("tiny").targets == ("one:1",)


def test_while_the_database_is_away_the_last_routes_go_on(store, outage):
    routes = Routes(store, max_age_s=-1)
    store.observe("tiny", "one:1", (2,))
    assert routes.ready_count() == 1
    outage.is_away = True
    routes.refresh()
    assert routes.find("tiny").targets == ("one:1",)
    assert routes.ready_count() == 1
    assert [state.name for state in routes.states()] == ["tiny"]
    outage.is_away = False
    store.observe("tiny", "one:1", ())
    assert routes.find("tiny").targets == ()


def test_while_nothing_was_ever_known_nothing_is_claimed(store, outage):
    routes = Routes(store, max_age_s=-1)
    outage.is_away = True
    for ask in (lambda: routes.find("tiny"), routes.states):
        with pytest.raises(DatabaseUnavailableError, match="is not known yet"):
            ask()
    assert routes.ready_count() is None
    outage.is_away = False
    assert routes.find("tiny").state.active_version == 2


def test_who_asks_while_the_first_routes_are_read_waits_for_them(store):
    routes = Routes(store, max_age_s=LONG_S)
    reading, go_on = threading.Event(), threading.Event()
    all_states = store.all

    def slow():
        reading.set()
        assert go_on.wait(LIMIT_S)
        return all_states()

    store.all = slow
    found = []
    threads = [threading.Thread(target=lambda: found.append(routes.find("tiny"))) for _ in range(4)]
    threads[0].start()
    assert reading.wait(LIMIT_S)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(LIMIT_S)
    assert [route.state.active_version for route in found] == [2] * 4


def test_who_asks_at_once_shares_what_one_reads(store, outage):
    """Requests that find a route out of date come in crowds, and a database that is away is asked in turn."""
    routes = Routes(store, max_age_s=LONG_S)
    routes.find("tiny")
    reading, go_on = threading.Event(), threading.Event()
    all_states = store.all

    def slow():
        reading.set()
        assert go_on.wait(LIMIT_S)
        return all_states()

    store.all = slow
    first = threading.Thread(target=routes.refresh)
    first.start()
    assert reading.wait(LIMIT_S)
    reads = outage.reads
    crowd = [threading.Thread(target=routes.refresh) for _ in range(8)]
    for thread in crowd:
        thread.start()
    go_on.set()
    for thread in (first, *crowd):
        thread.join(LIMIT_S)
    assert outage.reads - reads < 8
