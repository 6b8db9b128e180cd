"""One exported `fast` model and one running platform for the whole session; tests that break things start their own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from export.contract import version_numbers
from export.intent_export import export_intent
from tests.export.checkpoints import build_intent_checkpoint
from tests.functional.platform import CONCH, INTENTS, ServedPlatform


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A model repository with `fast`, exported by the command a user would type; read-only for tests.

    The processes of a parallel run share one (pytest-xdist: "making session-scoped fixtures execute only once").
    """
    own = tmp_path_factory.getbasetemp()
    home = (own if worker_id == "master" else own.parent) / "export-home"
    repository = home / "model_repository"
    with FileLock(f"{home}.lock"):
        if not version_numbers(repository / "fast"):
            environment = ServedPlatform(home, repository).environment
            run = subprocess.run([CONCH, "export", "fast"], env=environment, capture_output=True, text=True,
                                 timeout=300)
            assert run.returncode == 0, run.stderr
    return repository


@pytest.fixture(scope="session")
def checkpoint(exported: Path) -> Path:
    """The checkpoint that `fast` was exported from, for sentence-transformers."""
    return next(exported.parent.glob("checkpoints/**/modules.json")).parent


@pytest.fixture(scope="session")
def platform(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """A running platform that serves `fast`."""
    served = ServedPlatform(tmp_path_factory.mktemp("home"), exported).start()
    yield served
    served.stop()


@pytest.fixture(scope="session")
def intent_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with two versions of `intent`, of which the second has a label more; read-only for tests."""
    folder = tmp_path_factory.mktemp("intents")
    for seed, labels in enumerate((INTENTS[:-1], INTENTS)):
        checkpoint = build_intent_checkpoint(folder / str(seed), labels, seed=seed)
        export_intent(checkpoint, "intent", folder / "model_repository", "onnxruntime", "fp32")
    return folder / "model_repository"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is functional."""
    for item in items:
        if "tests/functional" in str(item.path):
            item.add_marker(pytest.mark.functional)
