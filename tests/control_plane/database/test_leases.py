"""Leases: one holder at a time, whatever dies, sleeps or loses the database."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import psutil
import pytest

from control_plane.database.database import Database
from control_plane.database.leases import LEASE_S, LeaseRow, Leases
from control_plane.database.schema import utc_now
from control_plane.errors import BusyError, DatabaseUnavailableError

SHORT_S = 0.4
LIMIT_S = 30


@pytest.fixture
def leases(database):
    return Leases(database)


def wait_until(condition) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _row(database) -> LeaseRow | None:
    with database.read() as session:
        return session.get(LeaseRow, "a")


def _put(database, owner: str, seconds: float) -> None:
    with database.write() as session:
        session.merge(LeaseRow(name="a", owner=owner, expires_at=utc_now() + timedelta(seconds=seconds)))


def test_one_holds_and_the_other_is_told_that_it_is_busy_until_it_is_released(leases, database):
    other = Leases(database)
    with leases.hold("model:fast"):
        with pytest.raises(BusyError, match=r"^another operation on fast is under way; try again when it is done$"), \
                other.hold("model:fast"):
            pass
        assert other.try_acquire("model:fast") is None
    with other.hold("model:fast") as lease:
        assert lease.is_held


def test_leases_of_other_names_are_held_side_by_side(leases):
    with leases.hold("model:a") as a, leases.hold("model:b") as b, leases.hold("model:A") as other_case:
        assert a.is_held
        assert b.is_held
        assert other_case.is_held


def test_an_exception_releases_it(leases, database):
    with pytest.raises(ZeroDivisionError), leases.hold("a"):
        raise ZeroDivisionError
    assert _row(database) is None


def test_who_waits_gets_it_when_it_is_released(leases):
    first, got = leases.try_acquire("a"), threading.Event()

    def wait() -> None:
        with leases.hold("a", wait_s=LIMIT_S):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.is_set()
    first.release()
    waiting.join(LIMIT_S)
    assert got.is_set()


def test_of_many_who_ask_at_once_one_gets_it(database):
    barrier, got = threading.Barrier(6), []

    def ask() -> None:
        barrier.wait(LIMIT_S)
        got.append(Leases(database).try_acquire("a"))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    holders = [lease for lease in got if lease is not None]
    assert (len(got), len(holders)) == (6, 1)
    holders[0].release()


def test_it_is_renewed_while_it_is_held(database):
    lease = Leases(database, lease_s=SHORT_S).try_acquire("a")
    first_end = _row(database).expires_at
    wait_until(lambda: _row(database).expires_at > first_end + timedelta(seconds=SHORT_S))
    assert lease.is_held
    assert Leases(database).try_acquire("a") is None
    lease.release()
    assert _row(database) is None


def test_one_that_nobody_renews_runs_out(leases, database):
    _put(database, "another-host/1/1/abc", SHORT_S)
    assert leases.try_acquire("a") is None
    wait_until(lambda: (lease := leases.try_acquire("a")) is not None and lease.release() is None)


def test_one_of_a_dead_process_of_this_host_is_taken_over_at_once(leases, database):
    program = "import os, psutil; print(os.getpid(), psutil.Process().create_time())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    pid, started = done.stdout.split()
    _put(database, f"{socket.gethostname()}/{pid}/{float(started):.0f}/abc", LEASE_S * 100)
    with leases.hold("a") as lease:
        assert lease.is_held


def test_a_process_that_got_the_id_of_a_dead_one_is_not_its_heir(leases, database):
    started = psutil.Process().create_time() - 1000
    _put(database, f"{socket.gethostname()}/{os.getpid()}/{started:.0f}/abc", LEASE_S * 100)
    with leases.hold("a") as lease:
        assert lease.is_held


def test_clocks_that_are_set_by_a_second_make_nobody_dead(leases, database):
    """Linux tells when a process started by a clock that is corrected now and then."""
    started = psutil.Process().create_time() + 1
    _put(database, f"{socket.gethostname()}/{os.getpid()}/{started:.0f}/abc", LEASE_S * 100)
    assert leases.try_acquire("a") is None


@pytest.mark.parametrize("owner", ["another-host/1/1/abc", "another/host/1/1/abc"])
def test_nobody_can_tell_whether_a_process_of_another_host_lives(leases, database, owner):
    _put(database, owner, LEASE_S)
    assert leases.try_acquire("a") is None


def test_a_holder_learns_that_another_took_it_and_leaves_the_others_alone(database):
    lease = Leases(database, lease_s=SHORT_S).try_acquire("a")
    _put(database, "another-host/1/1/abc", LEASE_S)
    wait_until(lambda: not lease.is_held)
    lease.release()
    assert _row(database).owner == "another-host/1/1/abc"


class Outage(Database):
    """A database that can be taken away."""

    is_away = False

    @contextmanager
    def write(self):
        if self.is_away:
            raise DatabaseUnavailableError("gone")
        with super().write() as session:
            yield session


def test_without_a_database_it_is_held_no_longer_than_it_was_written_down_for_and_then_again(database, database_url):
    outage = Outage(database_url)
    lease = Leases(outage, lease_s=SHORT_S).try_acquire("a")
    outage.is_away = True
    wait_until(lambda: not lease.is_held)
    outage.is_away = False
    wait_until(lambda: lease.is_held)
    outage.is_away = True
    lease.release()  # fails quietly: the row runs out by itself
    outage.dispose()
    wait_until(lambda: _row(database).expires_at < utc_now())
