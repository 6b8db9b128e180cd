"""The parity gate: a staged version must compute what sentence-transformers computes in float32.

The staged version is run by the serving code in a process of its own (`python -m serving.encode`), so that what is
proven is what will serve. Knows nothing of how the version was made, nor of heads (export.intent_parity).
"""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from export.errors import ParityError
from export.golden import GoldenBatch, golden_batches, golden_texts

# The project's promise; bf16 reaches 0.99997 on all-MiniLM-L6-v2.
MIN_COSINE = 0.9999
# Cosine does not see length. Embeddings that are not normalised must also have the right length.
MAX_NORM_ERROR = 0.01

Reference = Callable[[list[str], str | None], np.ndarray]  # texts, prompt name -> float32 [texts, width]


@dataclass(frozen=True)
class GoldenRows:
    """Every row of every batch composition, as the original computes it and as the staged version does."""

    texts: list[str]        # of each row
    expected: np.ndarray    # float32 [rows, width]
    found: np.ndarray       # float32 [rows, width]
    batches: int


@dataclass(frozen=True)
class ParityFigures:
    """How close the export is to the original, over every row of every batch composition."""

    min_cosine: float
    max_norm_error: float     # largest relative difference of lengths
    max_abs_difference: float
    rows: int                 # rows compared
    batches: int              # batch compositions
    required_cosine: float
    worst_text: str           # the text with the lowest cosine, shortened


def prove_parity(model: SentenceTransformer, version_dir: Path, required_cosine: float) -> ParityFigures:
    """Compare the staged version with `model`; raises ParityError with the figures when it is not equal enough."""
    rows = run_golden(model, version_dir, lambda texts, prompt_name: _embed(model, texts, prompt_name))
    figures = _compare(rows, required_cosine)
    if not figures.min_cosine >= required_cosine:  # also catches NaN
        raise ParityError(f"lowest cosine to sentence-transformers is {figures.min_cosine:.6f} but {required_cosine} "
                          f"is required (worst text: {figures.worst_text!r}); the repository is unchanged")
    if not figures.max_norm_error <= MAX_NORM_ERROR:
        raise ParityError(f"embedding lengths differ by up to {figures.max_norm_error:.2%} from sentence-transformers "
                          f"but {MAX_NORM_ERROR:.0%} is allowed; the repository is unchanged")
    return figures


def run_golden(model: SentenceTransformer, version_dir: Path, reference: Reference) -> GoldenRows:
    """Run the golden texts of `model` through the staged version, in every composition and with every prompt.

    Raises ParityError when the version does not run, or answers in another shape than `reference`.
    """
    texts = golden_texts(model.max_seq_length)
    batches = golden_batches(len(texts), sorted(name for name, prompt in model.prompts.items() if prompt))
    references = {name: reference(texts, name) for name in {batch.prompt_name for batch in batches}}
    expected = [references[batch.prompt_name][list(batch.indices)] for batch in batches]
    found = _run_staged(version_dir, texts, batches)
    for batch_found, batch_expected in zip(found, expected, strict=True):
        if batch_found.shape != batch_expected.shape:
            raise ParityError(f"the exported model gives shape {batch_found.shape}, the original "
                              f"{batch_expected.shape}")
    return GoldenRows([texts[index] for batch in batches for index in batch.indices], np.concatenate(expected),
                      np.concatenate(found), len(batches))


def shorten(text: str) -> str:
    """Return as much of a text as an error and a manifest need to name it."""
    return text[:40]


def _run_staged(version_dir: Path, texts: list[str], batches: list[GoldenBatch]) -> list[np.ndarray]:
    """Encode every batch with the serving code; returns float32 [rows, width] for each."""
    job = {"batches": [{"texts": [texts[index] for index in batch.indices], "prompt_name": batch.prompt_name}
                       for batch in batches]}
    run = subprocess.run([sys.executable, "-m", "serving.encode", str(version_dir)],
                         input=json.dumps(job).encode(), capture_output=True)
    if run.returncode != 0:
        reason = run.stderr.decode(errors="replace").strip().splitlines()
        raise ParityError(f"the exported model does not run: {reason[-1] if reason else run.returncode}")
    with np.load(io.BytesIO(run.stdout)) as arrays:
        return [arrays[str(index)] for index in range(len(batches))]


def _compare(rows: GoldenRows, required_cosine: float) -> ParityFigures:
    lengths, found_lengths = np.linalg.norm(rows.expected, axis=1), np.linalg.norm(rows.found, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # A zero vector gives NaN, which is no parity.
        cosines = np.sum(rows.expected * rows.found, axis=1, dtype=np.float64) / (lengths * found_lengths)
        norm_errors = np.abs(found_lengths / lengths - 1)
    worst = int(np.argmin(cosines))
    return ParityFigures(
        min_cosine=float(cosines[worst]), max_norm_error=float(np.max(norm_errors)),
        max_abs_difference=float(np.max(np.abs(rows.expected - rows.found))), rows=len(rows.texts),
        batches=rows.batches, required_cosine=required_cosine, worst_text=shorten(rows.texts[worst]))


def _embed(model: SentenceTransformer, texts: list[str], prompt_name: str | None) -> np.ndarray:
    """Embed each text alone, so that no padding is involved; float32 [texts, dimension]."""
    return model.encode(texts, prompt_name=prompt_name, batch_size=1, convert_to_numpy=True, show_progress_bar=False)
