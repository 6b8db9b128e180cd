"""The use cases around models: list, describe, load, unload, embed, readiness. Knows nothing of HTTP."""

from collections.abc import Sequence

import numpy as np

from control_plane.errors import InvalidRequestError, ModelNotLoadedError, TritonUnavailableError
from control_plane.model_registry import KnownModel, ModelRegistry
from control_plane.triton_gateway import Embeddings, TritonGateway
from export.catalog import EMBEDDING
from export.contract import ConchError

_CANARY_TEXT = "ready?"


class ModelService:
    """Puts what is known (registry) and what is loaded (Triton) together."""

    def __init__(self, registry: ModelRegistry, gateway: TritonGateway, preload: Sequence[str]) -> None:
        self._registry = registry
        self._gateway = gateway
        self._preload = tuple(preload)

    def describe_all(self) -> list[dict]:
        """Describe every known model; without Triton no model counts as loaded."""
        try:
            ready = self._gateway.ready_versions()
        except TritonUnavailableError:
            ready = {}
        return [_describe(model, ready.get(model.name, [])) for model in self._registry.all()]

    def describe(self, name: str) -> dict:
        """Describe one model, its newest version's manifest included."""
        model = self._registry.find(name)
        description = _describe(model, self._gateway.ready_versions().get(model.name, []))
        if model.versions:
            manifest = self._registry.manifest(model, model.versions[-1])
            description["newest_version"] = {
                key: getattr(manifest, key) for key in (
                    "version", "source", "revision", "engine", "precision", "dimension", "max_tokens", "pooling",
                    "normalized", "prompts", "default_prompt", "parity", "created_at")}
        return description

    def load(self, name: str) -> dict:
        """Load the newest version and prove it with an inference; returns the description."""
        model = self._registry.servable(name)
        self._gateway.load(model.name, self._registry.triton_config(model))
        self._canary(model.name)
        return self.describe(model.name)

    def unload(self, name: str) -> dict:
        """Unload a model; raises ModelNotLoadedError when there is nothing to unload."""
        model = self._registry.find(name)
        if model.name not in self._gateway.ready_versions():
            raise ModelNotLoadedError(model.name)
        self._gateway.unload(model.name)
        return self.describe(model.name)

    def embed(self, name: str, texts: Sequence[str], parameters: dict[str, str | bool] | None = None,
              dimensions: int | None = None) -> tuple[str, Embeddings]:
        """Embed `texts` and return the model's name with the answer.

        `dimensions` keeps the first so many numbers of each vector and scales them to length 1, as OpenAI's API does.
        """
        model = self._registry.servable(name, EMBEDDING)
        answer = self._gateway.embed(model.name, texts, parameters)
        if dimensions is not None:
            answer = Embeddings(_shorten(answer.vectors, dimensions), answer.token_counts, answer.model_version)
        return model.name, answer

    def readiness(self) -> dict[str, str]:
        """Return "ready" or the reason why not for every loaded model and every one that should be loaded at start.

        Each loaded model answers a real inference. Raises TritonUnavailableError when there is no Triton to ask.
        """
        loaded = self._gateway.ready_versions()
        return {name: self._probe(name) if name in loaded else "not loaded"
                for name in sorted({*loaded, *self._preload})}

    def loaded_count(self) -> int | None:
        """Return how many models are loaded, None when Triton cannot be asked."""
        try:
            return len(self._gateway.ready_versions())
        except TritonUnavailableError:
            return None

    def _probe(self, name: str) -> str:
        try:
            self._canary(name)
        except ConchError as error:
            return str(error)
        return "ready"

    def _canary(self, name: str) -> None:
        self._gateway.embed(name, [_CANARY_TEXT])


def _describe(model: KnownModel, ready_versions: list[int]) -> dict:
    entry = model.entry
    facts = {key: getattr(entry, key) if entry else None for key in (
        "hub_id", "task", "family", "dimension", "size_mb", "max_tokens", "languages", "use_case", "licence",
        "unsupported")}
    return {"name": model.name, **facts, "state": _state(model, ready_versions), "versions": model.versions,
            "loaded_versions": ready_versions}


def _state(model: KnownModel, ready_versions: list[int]) -> str:
    if ready_versions:
        return "loaded"
    if model.entry and model.entry.unsupported:
        return "unsupported"
    return "exported" if model.versions else "not_exported"


def _shorten(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    if dimensions > vectors.shape[1]:
        raise InvalidRequestError("dimensions", f"{dimensions} is more than the model's {vectors.shape[1]}")
    short = vectors[:, :dimensions]
    lengths = np.linalg.norm(short, axis=1, keepdims=True)
    return short / np.maximum(lengths, np.finfo(np.float32).tiny)
