"""Decoders' graphs in float32, for all test processes: the model builder takes ten seconds for the smallest."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from export.contract import MODEL_FILE


@pytest.fixture(scope="session")
def float32_graph(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str], Path]:
    """Return a function that gives the graph of one of tests.export.decoders.FAMILIES; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def graph_of(family: str) -> Path:
        built = shared / f"decoder-{family}"
        with FileLock(shared / f"decoder-{family}.lock"):
            if not built.exists():
                _build(family, Path(tempfile.mkdtemp(dir=shared))).rename(built)
        return built / MODEL_FILE

    return graph_of


def _build(family: str, folder: Path) -> Path:
    from export.decoder_builder import CPU, build_graph
    from export.decoder_checkpoint import open_checkpoint
    from tests.export.decoders import build_decoder

    checkpoint = open_checkpoint(build_decoder(folder / "checkpoint", family), folder / "opened")
    return build_graph(checkpoint, folder / "graph", "fp32", CPU).parent
