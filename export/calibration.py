"""Runs calibration texts through an encoder's graph and notes what its matrices are multiplied with.

Knows nothing of quantisation. The texts of ours stand in calibration.txt, one a line; they are none of the golden ones,
so that the parity gate proves an export on texts that it was not made with. Each text counts as much as any other,
however many tokens it has: its embedding is mostly the mean of its tokens', and of few tokens each matters more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from export.contract import INPUT_IDS, POOLING_MASK, POSITION_IDS, SEGMENT_IDS, TOKEN_INDEX
from export.errors import UnsupportedModelError

# Of a text; longer ones would say little more and take as long as many short ones.
CALIBRATION_TOKENS = 128
_TEXTS = Path(__file__).with_name("calibration.txt")


@dataclass(frozen=True)
class SeenInputs:
    """What the inputs of a matrix were over all calibration tokens."""

    gram: np.ndarray   # float64 [channels, channels], the sum over the texts of their tokens' mean of x xᵀ
    peaks: np.ndarray  # float64 [channels], the largest absolute value
    texts: int

    @property
    def root_mean_squares(self) -> np.ndarray:
        """Return float64 [channels]."""
        return np.sqrt(np.diag(self.gram) / self.texts)


def read_calibration_texts(path: Path | None = None) -> list[str]:
    """Return the lines of `path`, without it those of ours; raises UnsupportedModelError when there are none."""
    try:
        lines = (path or _TEXTS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnsupportedModelError(f"the calibration texts in {path} cannot be read: {error}") from error
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise UnsupportedModelError(f"{path} has no calibration texts; write one a line")
    return texts


def observe_inputs(model: onnx.ModelProto, names: Sequence[str], token_ids: Sequence[Sequence[int]]) -> \
        dict[str, SeenInputs]:
    """Return what the tensors `names` of a packed encoder graph hold for texts of `token_ids`, by name."""
    session = _session_with_outputs(model, names)
    seen: dict[str, SeenInputs] = {}
    for ids in token_ids:
        for name, values in zip(names, session.run(list(names), _inputs(ids)), strict=True):
            seen[name] = _added(seen.get(name), values.reshape(-1, values.shape[-1]).astype(np.float64))
    return seen


def _session_with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnxruntime.InferenceSession:
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    return onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])


def _inputs(ids: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the graph's inputs for one text in one row (export.contract describes them)."""
    positions = np.arange(len(ids), dtype=np.int64)[None]
    return {INPUT_IDS: np.array([ids], np.int64), POSITION_IDS: positions, SEGMENT_IDS: np.zeros_like(positions),
            TOKEN_INDEX: positions, POOLING_MASK: np.ones_like(positions)}


def _added(seen: SeenInputs | None, rows: np.ndarray) -> SeenInputs:
    """Return `seen` and the inputs of one more text, float64 [tokens, channels], together."""
    gram, peaks = rows.T @ rows / len(rows), np.abs(rows).max(axis=0)
    if seen is None:
        return SeenInputs(gram, peaks, 1)
    return SeenInputs(seen.gram + gram, np.maximum(seen.peaks, peaks), seen.texts + 1)
