"""A database that all tests of the question log share, since giving one its schema takes longer than a test."""

import pytest
from sqlalchemy import delete

from control_plane.questions.tables import (
    ErasureRow,
    QuestionDayRow,
    QuestionIntentDayRow,
    QuestionLatencyDayRow,
    QuestionRow,
    QuestionSegmentRow,
)
from tests.databases import migrated_database

TABLES = (ErasureRow, QuestionDayRow, QuestionIntentDayRow, QuestionLatencyDayRow, QuestionRow, QuestionSegmentRow)


@pytest.fixture
def folder(tmp_path):
    """Where the spool is; made by the first line."""
    return tmp_path / "spool" / "questions"


@pytest.fixture(scope="package")
def shared_sqlite(tmp_path_factory):
    with migrated_database(f"sqlite:///{tmp_path_factory.mktemp('questions') / 'test.db'}") as database:
        yield database


@pytest.fixture(scope="package")
def shared_mariadb(mariadb):
    with mariadb.database() as url, migrated_database(url) as database:
        yield database


@pytest.fixture(params=["sqlite", "mariadb"])
def database(request):
    """A database with the schema of this program and no questions."""
    database = request.getfixturevalue(f"shared_{request.param}")
    with database.write() as session:
        for table in TABLES:
            session.execute(delete(table))
    return database
