"""Transactions: all or nothing, side by side, and every failure as an error of ours that says what to do."""

import socket
import threading
from datetime import datetime, timezone

import pytest
from sqlalchemy import select, text

from control_plane.database.database import Database
from control_plane.database.leases import LeaseRow
from control_plane.errors import DatabaseError, DatabaseUnavailableError, DuplicateRowError
from control_plane.settings import SettingsError

MOMENT = datetime(2030, 1, 1, tzinfo=timezone.utc)
LIMIT_S = 30


def _row(name: str, owner: str = "somebody") -> LeaseRow:
    return LeaseRow(name=name, owner=owner, expires_at=MOMENT)


def _add(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(_row(name))


def _names(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.scalars(select(LeaseRow.name)))


@pytest.fixture
def counter(database):
    """A database with one row, whose owner is a number."""
    with database.write() as session:
        session.add(_row("counter", "0"))
    return database


def test_a_transaction_is_committed_at_its_end(database):
    _add(database, "a")
    assert _names(database) == ["a"]


def test_an_exception_takes_everything_back_and_goes_on_up(database):
    def fail() -> None:
        with database.write() as session:
            session.add(_row("a"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert _names(database) == []


def test_a_second_row_with_a_key_is_told_apart_and_nothing_of_its_transaction_stays(database):
    _add(database, "a")
    with pytest.raises(DuplicateRowError, match="exists already"), database.write() as session:
        session.add_all([_row("b"), _row("a")])
    assert _names(database) == ["a"]


def test_rows_stay_usable_after_their_transaction(database):
    _add(database, "a")
    with database.read() as session:
        row = session.get(LeaseRow, "a")
    assert (row.name, row.owner, row.expires_at) == ("a", "somebody", MOMENT)


def test_two_writers_wait_for_each_other_and_lose_nothing(counter):
    """Each adds one to what it reads, many times; a transaction that read beside another's write would lose one."""
    failures: list[Exception] = []

    def add() -> None:
        try:
            for _ in range(25):
                with counter.write() as session:
                    row = session.get(LeaseRow, "counter", with_for_update=True)
                    row.owner = str(int(row.owner) + 1)
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=add) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(LIMIT_S)
    assert not failures
    with counter.read() as session:
        assert session.get(LeaseRow, "counter").owner == "100"


def test_an_open_reader_keeps_no_writer_waiting_and_a_new_reader_sees_the_write(counter):
    with counter.read() as reader:
        assert reader.get(LeaseRow, "counter").owner == "0"
        with counter.write() as session:  # would wait for ever on a lock of the reader's
            session.get(LeaseRow, "counter", with_for_update=True).owner = "1"
    with counter.read() as session:
        assert session.get(LeaseRow, "counter").owner == "1"


def test_an_open_writer_keeps_no_reader_waiting_and_shows_it_nothing_unfinished(counter):
    with counter.write() as session:
        session.get(LeaseRow, "counter", with_for_update=True).owner = "1"
        session.flush()
        with counter.read() as reader:
            assert reader.get(LeaseRow, "counter").owner == "0"


def test_sqlite_has_a_write_ahead_log_a_busy_timeout_and_foreign_keys(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.read() as session:
        pragmas = {name: session.execute(text(f"PRAGMA {name}")).scalar()
                   for name in ("journal_mode", "busy_timeout", "foreign_keys")}
    database.dispose()
    assert pragmas == {"journal_mode": "wal", "busy_timeout": 5000, "foreign_keys": 1}


def test_a_folder_that_is_missing_is_made_for_a_sqlite_file(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'new' / 'deep' / 'a.db'}")
    with database.read() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
    database.dispose()


@pytest.mark.parametrize("url", ["", "conch.db", "mysql+nodriver://host/conch", "nothing://host/conch", "://"])
def test_a_url_that_is_none_is_refused_with_the_setting_and_examples(url):
    with pytest.raises(SettingsError, match=r"CONCH_DATABASE_URL is not .*mysql\+pymysql://"):
        Database(url)


def test_a_password_is_not_in_the_refusal():
    with pytest.raises(SettingsError) as caught:
        Database("nothing://user:hunter2@host/conch")
    assert "hunter2" not in str(caught.value)


def test_making_a_database_connects_to_nothing():
    Database("mysql+pymysql://user:password@host.invalid/conch").dispose()


@pytest.mark.parametrize("action", ["read", "write"])
def test_a_database_that_is_away_is_unavailable(action):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, not listening: nothing answers, and nobody else gets the port
        database = Database(f"mysql+pymysql://user:password@127.0.0.1:{bound.getsockname()[1]}/conch")
        with pytest.raises(DatabaseUnavailableError, match="does not answer") as caught, \
                getattr(database, action)() as session:
            session.execute(text("SELECT 1"))
        database.dispose()
    assert "password" not in str(caught.value)


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "a.db").write_text("not a database at all, but long enough to be looked at" * 20, encoding="utf-8")
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(DatabaseUnavailableError, match="not a database"), database.read() as session:
        session.execute(text("SELECT 1"))
    database.dispose()


def test_what_sqlalchemy_itself_refuses_is_an_error_of_the_database_too(database):
    with pytest.raises(DatabaseError), database.read() as session:
        session.execute(select(LeaseRow)).scalar_one()
