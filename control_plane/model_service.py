"""The use cases around models that change nothing: list, describe, embed, readiness. Knows nothing of HTTP."""

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np

from control_plane.errors import InvalidRequestError
from control_plane.inference import Inference
from control_plane.lifecycle.routes import Routes
from control_plane.lifecycle.store import ModelState, ModelStore, group_by_model
from control_plane.lifecycle.tables import ModelTargetRow
from control_plane.model_registry import KnownModel, ModelRegistry
from control_plane.observability.inference_observer import InferenceObserver
from control_plane.triton_gateway import Embeddings
from export.contract import EMBEDDING, INTENT, TEXT_GENERATION, ConchError

_CANARY_TEXT = "ready?"
_CANARIES: dict[str, Callable[[Inference, str], object]] = {
    EMBEDDING: lambda inference, name: inference.embed(name, [_CANARY_TEXT]),
    INTENT: lambda inference, name: inference.classify(name, [_CANARY_TEXT]),
    TEXT_GENERATION: lambda inference, name: inference.write(name, _CANARY_TEXT),
}
_FACTS = ("hub_id", "task", "family", "dimension", "size_mb", "max_tokens", "languages", "use_case", "licence",
          "unsupported")
# Fields of a manifest that only the programs that load and prove a version need.
_INTERNAL = {"model", "pad_token_id", "pools_prompt", "golden_text", "golden_embedding", "golden_scores",
             "golden_token_ids", "prompt_prefix", "built_with", "files"}


class ModelService:
    """Puts together what is known (registry), what should be live (store) and what answers (inference)."""

    def __init__(self, registry: ModelRegistry, store: ModelStore, routes: Routes, inference: Inference,
                 observer: InferenceObserver) -> None:
        self._registry, self._store, self._routes = registry, store, routes
        self._inference, self._observer = inference, observer

    def is_for_vllm(self, name: str) -> bool:
        """Return whether a model was exported for NVIDIA's vLLM backend."""
        return self._registry.is_for_vllm(self._registry.find(name).name)

    def describe_all(self) -> list[dict]:
        """Describe every model that there is, and those that are wanted although their files are gone."""
        states, seen = self._store.all(), group_by_model(self._store.observations())
        models = {model.name: model for model in self._registry.all()}
        lost = [name for name, state in sorted(states.items()) if state.is_wanted and name not in models]
        return [self._describe(model, states.get(model.name, ModelState(model.name)), seen.get(model.name, []))
                for model in [*models.values(), *map(self._registry.find, lost)]]

    def describe(self, name: str) -> dict:
        """Describe one model, its newest version's manifest included."""
        model = self._registry.find(name)
        seen = group_by_model(self._store.observations()).get(model.name, [])
        description = self._describe(model, self._store.find(model.name), seen)
        if model.versions:
            description["newest_version"] = self._describe_version(model, model.versions[-1])
        return description

    def versions(self, name: str) -> dict:
        """Describe every version of a model, and which one is active."""
        model = self._registry.find(name)
        state = self._store.find(model.name)
        return {"name": model.name, "active_version": state.active_version, "previous_version": state.previous_version,
                "revision": state.revision,
                "versions": [self._describe_version(model, version) for version in model.versions]}

    def history(self, name: str, limit: int) -> list[dict]:
        """Return who changed a model, when, why, from which version to which; newest first."""
        rows = self._store.history(self._registry.find(name).name, limit)
        return [{"at": _iso(row.at), "action": row.action, "actor": row.actor, "reason": row.reason,
                 "from_version": row.from_version, "to_version": row.to_version, "detail": row.detail} for row in rows]

    def embed(self, name: str, texts: Sequence[str], parameters: dict[str, str | bool] | None = None,
              dimensions: int | None = None) -> tuple[str, Embeddings]:
        """Embed `texts` and return the model's name with the answer.

        `dimensions` keeps the first so many numbers of each vector and scales them to length 1, as OpenAI's API does.
        """
        model = self._registry.servable(name, EMBEDDING)
        with self._observer.observe(model.name, texts) as observation:
            answer = self._inference.embed(model.name, texts, parameters)
            observation.tokens = int(answer.token_counts.sum())
        if dimensions is not None:
            answer = Embeddings(_shorten(answer.vectors, dimensions), answer.token_counts, answer.model_version)
        return model.name, answer

    def name_of(self, name: str) -> str:
        """Return the name in the repository of the model that goes by an alias, that name or a hub id."""
        return self._registry.find(name).name

    def check_exportable(self, name: str) -> None:
        """Raise ModelNotFoundError or ModelNotServableError for a model whose export cannot even begin."""
        self._registry.check_exportable(name)

    def readiness(self) -> dict[str, str]:
        """Return "ready" or the reason why not for every model that should be loaded; each answers a real inference."""
        return {state.name: self._probe(state.name) for state in self._routes.states() if state.should_be_loaded}

    def loaded_count(self) -> int | None:
        """Return how many models are ready somewhere, None when that is not known."""
        return self._routes.ready_count()

    def _probe(self, name: str) -> str:
        try:
            _CANARIES[self._registry.task(name) or EMBEDDING](self._inference, name)
        except ConchError as error:
            return str(error)
        return "ready"

    def _describe_version(self, model: KnownModel, version: int) -> dict:
        try:
            manifest = self._registry.manifest(model, version)
        except ConchError as error:
            return {"version": version, "error": str(error)}
        return {name: value for name, value in vars(manifest).items() if name not in _INTERNAL}

    def _describe(self, model: KnownModel, state: ModelState, seen: list[ModelTargetRow]) -> dict:
        # A model that the catalog does not list is described by its newest version, which has some of the facts.
        stated = model.entry or self._registry.newest_manifest(model)
        ready = sorted({version for row in seen for version in row.versions})
        return {"name": model.name, **{key: getattr(stated, key, None) for key in _FACTS},
                "state": _state(model, ready), "versions": model.versions,
                "loaded_versions": ready, "wanted": state.is_wanted, "policy": state.policy,
                "active_version": state.active_version, "previous_version": state.previous_version,
                "configuration": state.configuration, "revision": state.revision,
                "targets": {row.target: {"versions": row.versions, "error": row.error,
                                         "checked_at": _iso(row.checked_at)} for row in seen}}


def _state(model: KnownModel, ready_versions: list[int]) -> str:
    if ready_versions:
        return "loaded"
    if model.entry and model.entry.unsupported:
        return "unsupported"
    if model.entry and model.entry.remote:
        return "remote"
    return "exported" if model.versions else "not_exported"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _shorten(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    if dimensions > vectors.shape[1]:
        raise InvalidRequestError("dimensions", f"{dimensions} is more than the model's {vectors.shape[1]}")
    short = vectors[:, :dimensions]
    lengths = np.linalg.norm(short, axis=1, keepdims=True)
    return short / np.maximum(lengths, np.finfo(np.float32).tiny)
