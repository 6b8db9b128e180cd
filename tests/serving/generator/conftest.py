"""A version of a tiny random decoder and a generator that serves it."""

from collections.abc import Iterator
from pathlib import Path

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
