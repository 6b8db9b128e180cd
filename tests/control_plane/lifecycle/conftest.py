"""A fleet of three fake Tritons over a database, with three versions of the model `tiny`."""

import pytest

from tests.control_plane.fakes import publish
from tests.control_plane.lifecycle.world import World


@pytest.fixture
def repository(tmp_path):
    """`tiny` in three versions, `other` in one."""
    repository = tmp_path / "repository"
    for version in (1, 2, 3):
        publish(repository, "tiny", version)
    publish(repository, "other")
    return repository


@pytest.fixture
def world(database, repository):
    """A platform with nothing loaded."""
    return World(database, repository)


@pytest.fixture
def live(world):
    """The platform with version 1 of `tiny` live, loaded before any other version was there to be preferred."""
    world.activate(1)
    return world
