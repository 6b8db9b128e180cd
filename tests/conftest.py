"""What several folders share: small exported models, and databases. Heavy packages load with the first use."""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

# The models of these tests are so small that torch's threads would spend their time waiting for each other. Where
# training asks for all cores they do, but asleep: several tests run at once, and a thread that spins keeps one of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No example database: tests write nothing outside their own folder, and a failure prints how to repeat it.
hypothesis.settings.register_profile("conch", database=None, deadline=None, derandomize=True)
hypothesis.settings.load_profile("conch")

# What is imported stays: to look through it for garbage, again and again, was a fifth of the time that imports take.
gc.disable()
_NEW_OBJECTS_TO_COLLECT = 20_000  # Python's own default is 700.

PROMPTS = {"query": "query: ", "passage": "passage: "}


def pytest_collection_finish() -> None:
    """Collect garbage from here on, but not what was imported, and less often: a tenth of the tests' time was its."""
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS_TO_COLLECT)
    gc.enable()
    atexit.register(gc.unfreeze)  # At the very end all of it goes: extensions complain of what outlives them.


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
def float32_graph(tmp_path_factory, worker_id) -> Callable[[str], Path]:
    """Return a function that gives the graph of one of tests.export.decoders.FAMILIES; not to be changed.

    It is built for all test processes: the model builder takes ten seconds for the smallest.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def graph_of(family: str) -> Path:
        from tests.export.decoders import build_graph_of
        built = shared / f"decoder-{family}"
        with FileLock(shared / f"decoder-{family}.lock"):
            if not built.exists():
                build_graph_of(family, Path(tempfile.mkdtemp(dir=shared))).rename(built)
        return built / "model.onnx"

    return graph_of


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory):
    """A private MariaDB; started by the first test that needs it."""
    from tests.databases import running_mariadb
    with running_mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request, tmp_path):
    """The URL of a database, on SQLite and on MariaDB: with every table where a test asks for `database`, else none."""
    is_migrated, file = "database" in request.fixturenames, tmp_path / "test.db"
    if request.param == "sqlite":
        from tests.databases import create_migrated_file
        yield create_migrated_file(file) if is_migrated else f"sqlite:///{file}"
        return
    server = request.getfixturevalue("mariadb")
    with server.migrated_database() if is_migrated else server.database() as url:
        yield url


@pytest.fixture
def empty_database(database_url):
    """A database without tables."""
    yield from _open(database_url)


@pytest.fixture
def database(database_url):
    """A database with the schema of this program."""
    yield from _open(database_url)


@pytest.fixture
def sqlite_database(tmp_path):
    """A database with the schema of this program, where what is tested does not depend on its kind."""
    from tests.databases import create_migrated_file
    yield from _open(create_migrated_file(tmp_path / "conch.db"))


@pytest.fixture
def redis_server(tmp_path):
    """A private Redis that runs; a test may stop it, and start it again."""
    from tests.redis_server import RedisServer
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def _open(url: str):
    from control_plane.database.database import Database
    database = Database(url)
    yield database
    database.dispose()
