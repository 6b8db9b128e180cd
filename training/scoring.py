"""Scores questions with a trained checkpoint, in float32, as the exported model will. Knows nothing of training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.contract import ENCODER_FOLDER
from training.calibration import sigmoid
from training.checkpoint import read_card, read_head
from training.encoder import Encoder


class IntentClassifier:
    """A checkpoint in memory; `labels` and `thresholds` are those of its intent.json."""

    def __init__(self, directory: Path) -> None:
        """Load it; raises CheckpointError."""
        self._card, self._head = read_card(directory), read_head(directory)
        folder = directory / ENCODER_FOLDER
        self._encoder = Encoder(folder, self._card.prompt_name, max_tokens=None, precision="fp32")
        self.labels, self.thresholds = self._card.labels, np.array(self._card.thresholds)

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """Return how likely each label holds; float64 [texts, labels], 0 to 1."""
        logits = self._head.logits(self._encoder.embed(texts)).numpy().astype(np.float64)
        return sigmoid(logits / self._card.temperature)
