"""The small interface behind which the engines sit, and the one place that picks an engine. Knows nothing of texts.

Every engine runs as many micro-batches at once as it has threads, one thread each: on two cores that embeds more
texts a second than giving both cores to one micro-batch after the other (docs/decisions/0004).
"""

import importlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from export.contract import (
    INPUT_IDS,
    MODEL_FILE,
    POOLING_MASK,
    POSITION_IDS,
    SEGMENT_IDS,
    TOKEN_INDEX,
)
from serving.encoder.packing import MicroBatch
from serving.errors import VersionLoadError

Outputs = dict[str, np.ndarray]  # what was asked of the graph, by name (export.contract), each float32 [texts, width]

# Imported by name, so that a server process loads only the runtime that its manifest asks for.
_ENGINE_MODULES = {
    "openvino": "serving.encoder.openvino_engine",
    "onnxruntime": "serving.encoder.onnxruntime_engine",
}


class Engine(Protocol):
    """Runs micro-batches; the i-th result belongs to the i-th micro-batch."""

    streams: int  # micro-batches that run at once

    def run(self, batches: Sequence[MicroBatch]) -> list[Outputs]:
        """Compute the outputs of every micro-batch."""


def load_engine(version_dir: Path, engine: str, precision: str, threads: int, outputs: Sequence[str]) -> Engine:
    """Load the graph of `version_dir` to compute `outputs`.

    Raises VersionLoadError naming the file and the engine's own reason.
    """
    path = version_dir / MODEL_FILE
    if engine not in _ENGINE_MODULES:
        raise VersionLoadError(f"{version_dir}: unknown engine {engine!r}; known: {', '.join(_ENGINE_MODULES)}")
    module = importlib.import_module(_ENGINE_MODULES[engine])
    try:
        return module.load(path, precision, threads, outputs)
    except Exception as error:  # each runtime has its own error types, all of them mean: this graph does not load
        raise VersionLoadError(f"{path} cannot be loaded by {engine}: {error}") from error


def check_outputs(wanted: Sequence[str], known: Iterable[str]) -> None:
    """Raise VersionLoadError when a graph whose outputs are `known` cannot compute those that are wanted."""
    missing = set(wanted).difference(known)
    if missing:
        raise VersionLoadError(f"the graph has no output {', '.join(sorted(missing))}")


def engine_inputs(batch: MicroBatch) -> dict[str, np.ndarray]:
    """Return the graph's inputs for `batch`, by name."""
    return {INPUT_IDS: batch.input_ids, POSITION_IDS: batch.position_ids, SEGMENT_IDS: batch.segment_ids,
            TOKEN_INDEX: batch.token_index, POOLING_MASK: batch.pooling_mask}
