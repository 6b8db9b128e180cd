"""Experiments, and a platform whose intent model has three versions."""

import pytest

from control_plane.experiments.experiment_store import ExperimentStore
from tests.control_plane.experiments.platform import Platform


@pytest.fixture
def store(database):
    """The experiments of that database."""
    return ExperimentStore(database)


@pytest.fixture
def platform(sqlite_database, tmp_path):
    """Version 1 is active; 1 and 2 came from batches and passed the gate. What differs by database is tested apart."""
    return Platform(sqlite_database, tmp_path / "repository")
