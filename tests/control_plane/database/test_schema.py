"""Columns mean the same on SQLite and on MariaDB: moments keep their microseconds, names their case."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_mock_engine
from sqlalchemy.dialects import mysql, sqlite

from control_plane.database.leases import LeaseRow
from control_plane.database.schema import Base, UtcDateTime, utc_now
from control_plane.errors import DatabaseError
from control_plane.lifecycle.tables import ModelRow

MOMENT = datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=timezone.utc)


def _keep(database, name: str, moment: datetime) -> datetime:
    with database.write() as session:
        session.merge(LeaseRow(name=name, owner="somebody", expires_at=moment))
    with database.read() as session:
        return session.get(LeaseRow, name).expires_at


@pytest.mark.parametrize("moment", [
    MOMENT, MOMENT.replace(microsecond=0), MOMENT.replace(microsecond=1), datetime(2000, 1, 1, tzinfo=timezone.utc)])
def test_a_moment_comes_back_to_the_microsecond_and_says_that_it_is_utc(database, moment):
    kept = _keep(database, "a", moment)
    assert kept == moment
    assert kept.tzinfo is timezone.utc


def test_a_moment_of_another_zone_is_the_same_moment(database):
    local = MOMENT.astimezone(timezone(timedelta(hours=-5, minutes=-30)))
    assert _keep(database, "a", local) == MOMENT


def test_a_moment_without_a_zone_is_refused_and_nothing_is_written(database):
    with pytest.raises(DatabaseError, match="has no time zone"), database.write() as session:
        session.add(LeaseRow(name="a", owner="somebody", expires_at=MOMENT.replace(tzinfo=None)))
    with database.read() as session:
        assert session.get(LeaseRow, "a") is None


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(1971, 1, 1)))
def test_any_moment_survives_the_way_there_and_back(moment):
    kind = UtcDateTime()
    for dialect in (sqlite.dialect(), mysql.dialect()):
        kept = kind.process_bind_param(moment, dialect)
        assert kept.tzinfo is None
        assert kind.process_result_value(kept, dialect) == moment.astimezone(timezone.utc)


def test_no_moment_stays_none(database):
    with database.write() as session:
        session.add(ModelRow(name="a", configuration={}))
    with database.read() as session:
        assert session.get(ModelRow, "a").activated_at is None


def test_names_are_told_apart_by_case_and_accent(database):
    names = {"fast", "Fast", "FAST", "fást", "ｆast"}
    with database.write() as session:
        session.add_all(LeaseRow(name=name, owner="somebody", expires_at=MOMENT) for name in names)
    with database.read() as session:
        assert {name for name in names if session.get(LeaseRow, name).name == name} == names


@pytest.mark.parametrize("url", ["mysql+pymysql://", "mariadb+pymysql://"])
def test_every_table_is_transactional_and_compares_byte_by_byte_under_either_name_of_the_dialect(url):
    statements = []
    engine = create_mock_engine(url, lambda statement, *_, **__: statements.append(
        str(statement.compile(dialect=engine.dialect))))
    Base.metadata.create_all(engine, checkfirst=False)
    tables = [statement for statement in statements if "CREATE TABLE" in statement]
    assert len(tables) == len(Base.metadata.tables)
    for table in tables:
        assert "InnoDB" in table, table
        assert "utf8mb4_" in table, table
        assert "DATETIME(6)" in table or "DATETIME" not in table, table


def test_now_is_aware():
    assert utc_now().utcoffset() == timedelta(0)
