"""Reads a trained intent checkpoint: an encoder, a head, and what is said of its labels. Knows nothing of ONNX.

The directory is what training writes (export.contract names its parts). Everything is checked here, so that what comes
out can be exported as it is.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from export.checkpoint_model import load_sentence_transformer
from export.contract import ENCODER_FOLDER, HEAD_FILE, INTENT_FILE, INTENT_FORMAT
from export.errors import IntentCheckpointError


class IntentHead(torch.nn.Module):
    """Unit embeddings, float32 [texts, dimension], to calibrated scores, float32 [texts, labels].

    score = sigmoid((weight · embedding + bias) / temperature); source of the temperature: C. Guo et al., "On
    Calibration of Modern Neural Networks", 2017.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, temperature: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.temperature = temperature

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Score each label by itself: several may hold, or none."""
        return torch.sigmoid(torch.nn.functional.linear(embedding, self.weight, self.bias) / self.temperature)


@dataclass(frozen=True)
class IntentCheckpoint:
    """A trained classifier in float32; `model` puts the classifier's own prompt before every text by default."""

    model: SentenceTransformer
    head: IntentHead
    labels: tuple[str, ...]
    thresholds: tuple[float, ...]  # [labels]
    source: str                    # of the encoder that training began with
    revision: str | None
    dataset_sha256: str
    metrics: dict[str, float]      # on the frozen test set

    def scores(self, texts: list[str], prompt_name: str | None = None) -> np.ndarray:
        """Score each text alone, so that no padding is involved; float32 [texts, labels]."""
        embeddings = self.model.encode(texts, prompt_name=prompt_name, batch_size=1, convert_to_tensor=True,
                                       normalize_embeddings=True, show_progress_bar=False)
        with torch.no_grad():
            return self.head(embeddings).numpy()


def is_intent_checkpoint(path: Path) -> bool:
    """Return whether the directory at `path` calls itself a trained intent checkpoint."""
    return (path / INTENT_FILE).is_file()


def load_intent_checkpoint(path: Path) -> IntentCheckpoint:
    """Read the checkpoint at `path`; raises IntentCheckpointError naming file and field, or UnsupportedModelError."""
    facts = _Facts(path / INTENT_FILE)
    labels = facts.labels()
    model = load_sentence_transformer(path / ENCODER_FOLDER)
    model.default_prompt_name = facts.prompt_name(model.prompts)
    weight, bias = _read_head(path / HEAD_FILE, len(labels), model.get_embedding_dimension())
    source, revision = facts.base()
    return IntentCheckpoint(
        model, IntentHead(weight, bias, facts.temperature()), labels, facts.thresholds(len(labels)), source, revision,
        facts.text("dataset_sha256"), facts.metrics())


class _Facts:
    """intent.json, each field checked as it is read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._document = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise IntentCheckpointError(f"{file} cannot be read: {error}") from error
        if not isinstance(self._document, dict) or self._document.get("format") != INTENT_FORMAT:
            raise IntentCheckpointError(f"{file} is not a description of intents of format {INTENT_FORMAT}")

    def labels(self) -> tuple[str, ...]:
        labels = self._document.get("labels")
        if not isinstance(labels, list) or not labels or not all(isinstance(name, str) and name for name in labels):
            self._refuse("labels", "must be a list of names, at least one")
        twice = sorted({name for name in labels if labels.count(name) > 1})
        if twice:
            self._refuse("labels", f"names {', '.join(twice)} more than once")
        return tuple(labels)

    def thresholds(self, count: int) -> tuple[float, ...]:
        values = self._document.get("thresholds")
        if not isinstance(values, list) or len(values) != count or not all(
                _is_number(value) and 0 <= value <= 1 for value in values):
            self._refuse("thresholds", f"must be {count} numbers from 0 to 1, one for each label")
        return tuple(float(value) for value in values)

    def temperature(self) -> float:
        value = self._document.get("temperature")
        if not _is_number(value) or value <= 0:
            self._refuse("temperature", f"must be a number above 0, not {value!r}")
        return float(value)

    def prompt_name(self, prompts: dict[str, str]) -> str | None:
        name = self._document.get("prompt_name")
        if name is not None and name not in prompts:
            self._refuse("prompt_name", f"{name!r} is no prompt of the encoder; it has {', '.join(prompts) or 'none'}")
        return name

    def base(self) -> tuple[str, str | None]:
        base = self._document.get("base")
        if (not isinstance(base, dict) or not isinstance(base.get("source"), str)
                or not isinstance(base.get("revision"), str | None)):
            self._refuse("base", "must hold the source and the revision of the encoder that training began with")
        return base["source"], base.get("revision")

    def text(self, field: str) -> str:
        value = self._document.get(field)
        if not isinstance(value, str):
            self._refuse(field, "must be text")
        return value

    def metrics(self) -> dict[str, float]:
        """Return the figures; what is no number (a table, or what could not be computed) stays in the checkpoint."""
        metrics = self._document.get("metrics")
        if not isinstance(metrics, dict):
            self._refuse("metrics", "must be a table of figures by name")
        return {name: float(value) for name, value in metrics.items() if _is_number(value)}

    def _refuse(self, field: str, reason: str) -> None:
        raise IntentCheckpointError(f"{self._file}: field {field!r}: {reason}; train the classifier again")


def _read_head(file: Path, labels: int, dimension: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight, float32 [labels, dimension], and bias, float32 [labels]."""
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise IntentCheckpointError(f"{file} cannot be read: {error}") from error
    shapes = {"weight": (labels, dimension), "bias": (labels,)}
    for name, shape in shapes.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.dtype != torch.float32 or tuple(tensor.shape) != shape:
            found = "nothing" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}"
            raise IntentCheckpointError(f"{file}: {name!r} must be torch.float32 {shape}, as {INTENT_FILE} names "
                                        f"{labels} labels and the encoder gives {dimension} numbers; found {found}")
        if not torch.isfinite(tensor).all():
            raise IntentCheckpointError(f"{file}: {name!r} holds numbers that are not finite; train the classifier "
                                        "again")
    return tensors["weight"], tensors["bias"]


def _is_number(value: object) -> bool:
    """Return whether JSON gave a finite number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
