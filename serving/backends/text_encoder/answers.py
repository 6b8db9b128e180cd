"""Rows of an encoded batch to the output tensors of one request. Knows nothing of Triton's API."""

import numpy as np

from export.contract import EMBEDDING_OUTPUT, LABELS_OUTPUT, SCORES_OUTPUT, TOKEN_COUNT_OUTPUT
from export.manifest import EncoderManifest, IntentManifest
from serving.encoder.encoder import EncodedTexts


class AnswerShaper:
    """Shapes the answers of one version, whose manifest says what its rows are."""

    def __init__(self, manifest: EncoderManifest) -> None:
        self._labels = None
        if isinstance(manifest, IntentManifest):
            self._labels = np.array([[label.encode() for label in manifest.labels]], dtype=object)

    def shape(self, encoded: EncodedTexts, start: int, stop: int) -> dict[str, np.ndarray]:
        """Return the tensors of the rows from `start` up to `stop`, by name; export.contract describes them."""
        vectors, token_counts = encoded.vectors[start:stop], encoded.token_counts[start:stop, None]
        if self._labels is None:
            return {EMBEDDING_OUTPUT: vectors, TOKEN_COUNT_OUTPUT: token_counts}
        # Every row names the labels, because Triton's outputs have as many rows as its inputs.
        return {SCORES_OUTPUT: vectors, LABELS_OUTPUT: self._labels.repeat(stop - start, axis=0),
                TOKEN_COUNT_OUTPUT: token_counts}
