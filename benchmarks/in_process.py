"""Embeds without any server, in a process of its own: the engine behind Conch, and sentence-transformers.

`python -m benchmarks.in_process KIND PATH` reads one JSON job a line from standard input and prints one JSON result a
line. A job is {"mix": …, "duration_s": …}, answered with {"texts_per_s": …}, or {"probe_texts": […]}, answered with the
embeddings. KIND is "engine" or "engine-at-once" (PATH is a version directory of the model repository) or a torch dtype
(PATH is a checkpoint). The engine's figures are what a server around it is held against: all cores, all texts known in
advance and sorted by length, in batches of 32 or all in one batch.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.client import TEXTS_OF_A_MIX
from serving.cores import available_cores
from serving.sample_texts import sample_texts

ENGINE_BATCH_SIZES = {"engine": 32, "engine-at-once": sys.maxsize}
Embed = Callable[[list[str]], np.ndarray]  # texts to float32 [len(texts), dimension]


class InProcessWorker:
    """The child process, seen from the benchmark; a context manager that ends it."""

    def __init__(self, kind: str, path: Path, module: str = "benchmarks.in_process") -> None:
        self._command = [sys.executable, "-m", module, kind, str(path)]

    def __enter__(self) -> "InProcessWorker":
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def measure(self, mix: str, duration_s: float) -> float:
        """Return texts per second over whole passes through the mix, for at least `duration_s`."""
        return self.ask({"mix": mix, "duration_s": duration_s})["texts_per_s"]

    def probe(self, texts: list[str]) -> np.ndarray:
        """Return float32 [len(texts), dimension]."""
        return np.array(self.ask({"probe_texts": texts}), dtype=np.float32)

    def ask(self, job: dict) -> object:
        """Return the worker's answer to a job."""
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def load_engine(version_dir: Path, batch_size: int) -> Embed:
    """Load the encoder that Conch serves with, on all cores, to be given `batch_size` texts at a time."""
    # Each kind imports only what it measures: torch's threads have no place beside the engine's.
    from serving.encoder.encoder import TextEncoder

    encoder = TextEncoder.load(version_dir, available_cores())
    return lambda texts: np.concatenate([
        encoder.encode(texts[start:start + batch_size]).vectors for start in range(0, len(texts), batch_size)])


def load_sentence_transformers(checkpoint: Path, dtype: str) -> Embed:
    """Load sentence-transformers on all cores."""
    from benchmarks.peers.flask_app import embed, load_model

    model = load_model(str(checkpoint), dtype, available_cores())
    return lambda texts: embed(model, texts)


def measure(embed: Embed, mix: str, duration_s: float) -> float:
    """Return texts per second over whole passes through the texts of `mix`, after a short warm-up."""
    texts = sorted(sample_texts(mix, TEXTS_OF_A_MIX[mix]), key=len)
    embed(texts[:: len(texts) // 32])
    passes, start = 0, time.perf_counter()
    while time.perf_counter() - start < duration_s:
        embed(texts)
        passes += 1
    return passes * len(texts) / (time.perf_counter() - start)


def main() -> None:
    """Load what the command line names and answer jobs until standard input ends."""
    kind, path = sys.argv[1], Path(sys.argv[2])
    if kind in ENGINE_BATCH_SIZES:
        embed = load_engine(path, ENGINE_BATCH_SIZES[kind])
    else:
        embed = load_sentence_transformers(path, kind)
    for line in sys.stdin:
        job = json.loads(line)
        if "probe_texts" in job:
            answer: object = embed(job["probe_texts"]).tolist()
        else:
            answer = {"texts_per_s": measure(embed, job["mix"], job["duration_s"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
