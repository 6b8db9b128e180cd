"""Reads tokens with an exported decoder, without a server: `python -m serving.decode VERSION_DIR < job > result`.

The export proves a version through this program, so that what is proven is what computes when it serves. The job is
JSON {"sequences": [{"token_ids", "prompt_tokens", "logits"}], "golden_token_ids", "golden_tokens", "provider"};
`logits` names the .npy file to write, float32 [tokens, vocabulary]. The result is JSON, the greedy continuation of the
golden text and how fast it was.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort

from export.contract import LOGITS_FROM, MODEL_FILE
from serving.cores import available_cores
from serving.generator.native.layout import Weights
from serving.generator.native.packing import read_weights

_CPU = "CPUExecutionProvider"
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class Row(Protocol):
    """A decoder with the keys and values of one row."""

    def reset(self) -> None:
        """Forget the row."""

    def append(self, token_ids: Sequence[int]) -> np.ndarray:
        """Add tokens to the row; returns float32 [tokens, vocabulary], the logits after each."""


class GraphRow:
    """A row of a graph that ONNX Runtime computes."""

    def __init__(self, path: Path, provider: str = _CPU) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # An export runs beside what serves; threads that spin would take its cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if provider not in ort.get_available_providers():
            raise RuntimeError(f"this onnxruntime has no {provider}, only {', '.join(ort.get_available_providers())}")
        self._session = ort.InferenceSession(str(path), options, providers=[provider])
        self._caches = [item for item in self._session.get_inputs() if item.name.startswith("past_key_values.")]
        self._outputs = ["logits", *(item.name.replace("past_key_values", "present") for item in self._caches)]
        self._named = {item.name for item in self._session.get_inputs()}
        self._named |= {item.name for item in self._session.get_overridable_initializers()}
        self.reset()

    def reset(self) -> None:
        """Forget the row."""
        self._length = 0
        self._past = {item.name: np.zeros((1, item.shape[1], 0, item.shape[3]), _TYPES[item.type])
                      for item in self._caches}

    def append(self, token_ids: Sequence[int]) -> np.ndarray:
        """Add tokens to the row; returns float32 [tokens, vocabulary], the logits after each."""
        past, self._length = self._length, self._length + len(token_ids)
        feeds = {"input_ids": np.array([token_ids], np.int64),
                 "attention_mask": np.ones((1, self._length), np.int64),
                 "position_ids": np.arange(past, self._length, dtype=np.int64)[None],
                 LOGITS_FROM: np.array([0])}
        logits, *present = self._session.run(
            self._outputs, {name: value for name, value in feeds.items() if name in self._named} | self._past)
        self._past = {item.name: value for item, value in zip(self._caches, present, strict=True)}
        return logits[0].astype(np.float32)


class NativeRow:
    """A row that our machine code computes."""

    def __init__(self, weights: Weights, longest: int) -> None:
        from serving.generator.native.session import NativeDecoder
        self._session = NativeDecoder(weights, available_cores(), spin_us=0).new_session(1, longest)
        self.reset()

    def reset(self) -> None:
        """Forget the row."""
        self._length = 0

    def append(self, token_ids: Sequence[int]) -> np.ndarray:
        """Add tokens to the row; returns float32 [tokens, vocabulary], the logits after each."""
        logits = self._session.read(0, token_ids, self._length)
        self._length += len(token_ids)
        return logits


def run_job(version_dir: Path, job: dict) -> dict:
    """Read every sequence, then continue the golden text."""
    longest = max(map(len, [*(item["token_ids"] for item in job["sequences"]), job["golden_token_ids"]]))
    row = open_row(version_dir / MODEL_FILE, longest + job["golden_tokens"], job["provider"])
    for sequence in job["sequences"]:
        np.save(sequence["logits"], _read(row, sequence["token_ids"], sequence["prompt_tokens"]))
    started = time.perf_counter()
    golden = continue_greedily(row, job["golden_token_ids"], job["golden_tokens"])
    elapsed_s = time.perf_counter() - started
    return {"golden_token_ids": golden, "tokens_per_s": job["golden_tokens"] / elapsed_s}


def open_row(model_file: Path, longest: int, provider: str = _CPU) -> Row:
    """Open what computes a graph when it serves, for a row of so many tokens; raises what says that it cannot."""
    weights = read_weights(model_file) if provider == _CPU else None
    if weights is None:
        return GraphRow(model_file, provider)
    return NativeRow(weights, longest)


def continue_greedily(row: Row, token_ids: list[int], count: int) -> list[int]:
    """Return the `count` most likely next tokens, one after another."""
    row.reset()
    found = [int(row.append(token_ids)[-1].argmax())]
    while len(found) < count:
        found.append(int(row.append([found[-1]])[-1].argmax()))
    return found


def _read(row: Row, token_ids: list[int], prompt_tokens: int) -> np.ndarray:
    """Return a sequence's logits: the prompt in two chunks, then its continuation token by token, as serving does."""
    half = max(1, prompt_tokens // 2)
    row.reset()
    pieces = [token_ids[:half], token_ids[half:prompt_tokens], *([token] for token in token_ids[prompt_tokens:])]
    return np.concatenate([row.append(piece) for piece in pieces if piece])


def main() -> None:
    """Read the job from standard input, write the result to standard output."""
    try:
        json.dump(run_job(Path(sys.argv[1]), json.load(sys.stdin)), sys.stdout)
    except Exception as error:  # ONNX Runtime raises types of its own, and the caller wants one line
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
