"""What several folders share: small exported models, and databases. Heavy packages load with the first use."""

import os
import shutil

import hypothesis
import pytest

# The models of these tests are so small that torch's threads would spend their time waiting for each other. Where
# training asks for all cores they do, but asleep: several tests run at once, and a thread that spins keeps one of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No example database: tests write nothing outside their own folder, and a failure prints how to repeat it.
hypothesis.settings.register_profile("conch", database=None, deadline=None, derandomize=True)
hypothesis.settings.load_profile("conch")

PROMPTS = {"query": "query: ", "passage": "passage: "}


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory):
    """Return a BERT checkpoint with mean pooling, normalisation and prompts."""
    from tests.export.checkpoints import Normalize, build_checkpoint
    return build_checkpoint(tmp_path_factory.mktemp("small"), heads=[Normalize], prompts=PROMPTS)


@pytest.fixture(scope="session")
def small_versions(small_checkpoint, tmp_path_factory):
    """Return {engine: version directory} of the small checkpoint; not to be changed."""
    from tests.export.checkpoints import export_to
    repository = tmp_path_factory.mktemp("small_repository")
    return {engine: export_to(repository, small_checkpoint, engine=engine, name=engine)
            for engine in ("openvino", "onnxruntime")}


@pytest.fixture(params=["openvino", "onnxruntime"])
def version_dir(request, small_versions, tmp_path):
    """Return a copy of the small model's version, one for each engine, for a test to damage."""
    return shutil.copytree(small_versions[request.param], tmp_path / "repository" / "small" / "1")


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory):
    """A private MariaDB; started by the first test that needs it."""
    from tests.databases import running_mariadb
    with running_mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request, tmp_path):
    """The URL of a database without tables, on SQLite and on MariaDB."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    with request.getfixturevalue("mariadb").database() as url:
        yield url


@pytest.fixture
def empty_database(database_url):
    """A database without tables."""
    from control_plane.database.database import Database
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def database(empty_database):
    """A database with the schema of this program."""
    from control_plane.database.migration import upgrade
    upgrade(empty_database)
    return empty_database
