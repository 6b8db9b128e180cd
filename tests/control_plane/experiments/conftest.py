"""A database that all tests of experiments share, and a platform whose intent model has three versions."""

import pytest
from sqlalchemy import delete

from control_plane.database.database import Database
from control_plane.database.leases import LeaseRow
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.experiments.tables import ExperimentHourRow, ExperimentLatencyRow, ExperimentRow
from control_plane.lifecycle.tables import ModelEventRow, ModelRow, ModelTargetRow
from control_plane.questions.tables import QuestionRow
from control_plane.tuning.tables import ModelVersionRow, TrainingBatchRow
from tests.control_plane.experiments.platform import Platform
from tests.databases import migrated_database

TABLES = (ExperimentRow, ExperimentHourRow, ExperimentLatencyRow, ModelEventRow, ModelRow, ModelTargetRow, QuestionRow,
          ModelVersionRow, TrainingBatchRow, LeaseRow)


@pytest.fixture(scope="package")
def shared_sqlite(tmp_path_factory):
    with migrated_database(f"sqlite:///{tmp_path_factory.mktemp('experiments') / 'test.db'}") as database:
        yield database


@pytest.fixture(scope="package")
def shared_mariadb(mariadb):
    with mariadb.database() as url, migrated_database(url) as database:
        yield database


@pytest.fixture(params=["sqlite", "mariadb"])
def database(request):
    """A database with the schema of this program and no experiments."""
    return _emptied(request.getfixturevalue(f"shared_{request.param}"))


@pytest.fixture
def store(database):
    """The experiments of that database."""
    return ExperimentStore(database)


@pytest.fixture
def platform(shared_sqlite, tmp_path):
    """Version 1 is active; 1 and 2 came from batches and passed the gate. What differs by database is tested apart."""
    return Platform(_emptied(shared_sqlite), tmp_path / "repository")


def _emptied(database: Database) -> Database:
    with database.write() as session:
        for table in TABLES:
            session.execute(delete(table))
    return database
