"""Runs an exported decoder with plain ONNX Runtime: `python -m export.decoder_run VERSION_DIR < job > result`.

The quality gate compares an export through this program, so that the graph runs from its files, in a process without
torch. The job is JSON {"sequences": [{"token_ids", "prompt_tokens", "reference"}], "golden_token_ids", "golden_tokens",
"provider"}; `reference` names a .npy file of float32 [tokens, vocabulary], the original's logits. The
result is JSON, one entry for each sequence, and the greedy continuation of the golden text.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

from export.contract import MODEL_FILE
from export.decoder_head import LOGITS, LOGITS_FROM

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class DecoderGraph:
    """A graph with its keys and values, for one row at a time."""

    def __init__(self, path: Path, provider: str = "CPUExecutionProvider") -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # An export runs beside what serves; threads that spin would take its cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if provider not in ort.get_available_providers():
            raise RuntimeError(f"this onnxruntime has no {provider}, only {', '.join(ort.get_available_providers())}")
        self._session = ort.InferenceSession(str(path), options, providers=[provider])
        self._caches = [item for item in self._session.get_inputs() if item.name.startswith("past_key_values.")]
        self._outputs = [LOGITS, *(item.name.replace("past_key_values", "present") for item in self._caches)]
        self._named = {item.name for item in self._session.get_inputs()}
        self._named |= {item.name for item in self._session.get_overridable_initializers()}
        self.reset()

    def reset(self) -> None:
        """Forget the row."""
        self.length = 0
        self._past = {item.name: np.zeros((1, item.shape[1], 0, item.shape[3]), _TYPES[item.type])
                      for item in self._caches}

    def append(self, token_ids: list[int]) -> np.ndarray:
        """Add tokens to the row; returns float32 [tokens, vocabulary], the logits after each."""
        past, self.length = self.length, self.length + len(token_ids)
        feeds = {"input_ids": np.array([token_ids], np.int64),
                 "attention_mask": np.ones((1, self.length), np.int64),
                 "position_ids": np.arange(past, self.length, dtype=np.int64)[None],
                 LOGITS_FROM: np.array([0])}
        logits, *present = self._session.run(
            self._outputs, {name: value for name, value in feeds.items() if name in self._named} | self._past)
        self._past = {item.name: value for item, value in zip(self._caches, present, strict=True)}
        return logits[0].astype(np.float32)

    def continue_greedily(self, token_ids: list[int], count: int) -> list[int]:
        """Return the `count` most likely next tokens, one after another."""
        self.reset()
        found = [int(self.append(token_ids)[-1].argmax())]
        while len(found) < count:
            found.append(int(self.append([found[-1]])[-1].argmax()))
        return found


def run_job(version_dir: Path, job: dict) -> dict:
    """Compare every sequence with its reference, then continue the golden text."""
    graph = DecoderGraph(version_dir / MODEL_FILE, job["provider"])
    rows = [_compare(graph, sequence) for sequence in job["sequences"]]
    started = time.perf_counter()
    golden = graph.continue_greedily(job["golden_token_ids"], job["golden_tokens"])
    elapsed_s = time.perf_counter() - started
    return {"sequences": rows, "golden_token_ids": golden, "tokens_per_s": job["golden_tokens"] / elapsed_s}


def _compare(graph: DecoderGraph, sequence: dict) -> dict[str, float]:
    """Run one sequence: the prompt in two chunks, then its continuation token by token, as serving does."""
    token_ids, prompt_tokens = sequence["token_ids"], sequence["prompt_tokens"]
    half = max(1, prompt_tokens // 2)
    graph.reset()
    pieces = [token_ids[:half], token_ids[half:prompt_tokens], *([token] for token in token_ids[prompt_tokens:])]
    found = np.concatenate([graph.append(piece) for piece in pieces if piece])
    expected = np.load(sequence["reference"], mmap_mode="r")
    if found.shape != expected.shape:
        raise RuntimeError(f"the exported graph gives logits of shape {found.shape}, the original {expected.shape}")
    return measure(np.asarray(expected), found, token_ids)


def measure(expected: np.ndarray, found: np.ndarray, token_ids: list[int]) -> dict[str, float]:
    """Return sums over positions: agreements of the most likely token, divergence in nats, losses of the next token.

    Both logits are float32 [tokens, vocabulary]; the last position predicts no token of the sequence.
    """
    original, exported = _log_softmax(expected), _log_softmax(found)
    divergence = np.sum(np.exp(original) * (original - exported), axis=1)
    following = np.array(token_ids[1:], np.int64)
    before = np.arange(len(following))
    return {"positions": len(token_ids), "agreements": int(np.sum(expected.argmax(1) == found.argmax(1))),
            "divergence": float(divergence.sum()), "max_difference": float(np.max(np.abs(expected - found))),
            "predicted": len(following), "original_loss": -float(original[before, following].sum()),
            "exported_loss": -float(exported[before, following].sum())}


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the probabilities, float64 [tokens, vocabulary]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def main() -> None:
    """Read the job from standard input, write the result to standard output."""
    try:
        json.dump(run_job(Path(sys.argv[1]), json.load(sys.stdin)), sys.stdout)
    except Exception as error:  # ONNX Runtime raises types of its own, and the caller wants one line
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
