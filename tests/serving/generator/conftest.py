"""A version of a tiny random decoder, a generator that serves it, and int8 decoders as the export makes them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.generator.generator import TextGenerator
from serving.generator.limits import EngineSettings
from tests.serving.generator.decoders import write_version


@pytest.fixture(scope="session")
def tiny_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version directory; not to be changed."""
    return write_version(tmp_path_factory.mktemp("decoders") / "tiny" / "1")


@pytest.fixture(scope="module")
def generator(tiny_version: Path) -> Iterator[TextGenerator]:
    """A generator with four slots."""
    loaded = TextGenerator.load(tiny_version, EngineSettings(slots=4, queue_length=64), threads=1)
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def int8_graph(float32_graph, tmp_path_factory) -> Callable[[str], Path]:
    """Return a function that gives the int8 graph of one of tests.export.decoders.FAMILIES; not to be changed."""
    from export.contract import MODEL_FILE
    from export.decoder_export import RECIPES
    from export.decoder_quantization import quantize_decoder

    graphs: dict[str, Path] = {}

    def graph_of(family: str) -> Path:
        if family not in graphs:
            graphs[family] = tmp_path_factory.mktemp(f"int8-{family}") / MODEL_FILE
            seen = [np.eye(64)] * 5   # of two norms in each of two layers, and the last
            quantize_decoder(float32_graph(family), graphs[family], RECIPES["int8"][0], seen)
        return graphs[family]

    return graph_of
