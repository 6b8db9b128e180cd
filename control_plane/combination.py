"""Several embedding models as one: a weighted combination, and similarities between texts. Knows nothing of HTTP.

The vectors of the models are scaled to length 1, weighted with the square roots of the weights and laid one after
another. The cosine of two combined vectors is then the weighted mean of the models' cosines, and each has length 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from control_plane.errors import InvalidRequestError
from control_plane.model_service import ModelService
from export.contract import NORMALIZE_PARAMETER


@dataclass(frozen=True)
class CombinedEmbeddings:
    """The answer of a combination."""

    vectors: np.ndarray        # float32 [texts, sum of the models' dimensions], length 1
    versions: dict[str, str]   # model -> the version that answered


class Combination:
    """Models by name, each with its share; the shares sum to 1."""

    def __init__(self, models: ModelService, weights: Mapping[str, float]) -> None:
        """Raises InvalidRequestError when no weight is above 0 or one is below."""
        total = sum(weights.values())
        if not total > 0 or min(weights.values()) < 0 or not np.isfinite(total):
            raise InvalidRequestError("models", "every weight must be 0 or more, and one of them above 0")
        self._models = models
        self._shares = {name: weight / total for name, weight in weights.items() if weight > 0}

    def embed(self, texts: Sequence[str], parameters: Mapping[str, str | bool] | None = None) -> CombinedEmbeddings:
        """Embed `texts` with every model of the combination."""
        parts, versions = [], {}
        for name, share in self._shares.items():
            canonical, answer = self._models.embed(name, texts, {**(parameters or {}), NORMALIZE_PARAMETER: True})
            if canonical in versions:
                raise InvalidRequestError("models", f"{name!r} is another name of a model that is named already")
            parts.append(answer.vectors * np.float32(np.sqrt(share)))
            versions[canonical] = answer.model_version
        return CombinedEmbeddings(np.concatenate(parts, axis=1), versions)

    def pair_similarities(self, pairs: Sequence[tuple[str, str]]) -> tuple[np.ndarray, dict[str, str]]:
        """Return float32 [pairs], the cosine of each pair, and the versions that answered."""
        answer = self.embed([text for pair in pairs for text in pair])
        return np.sum(answer.vectors[0::2] * answer.vectors[1::2], axis=1), answer.versions

    def similarity_matrix(self, rows: Sequence[str], columns: Sequence[str]) -> tuple[np.ndarray, dict[str, str]]:
        """Return float32 [rows, columns], every cosine, and the versions that answered."""
        answer = self.embed([*rows, *columns])
        return answer.vectors[:len(rows)] @ answer.vectors[len(rows):].T, answer.versions
