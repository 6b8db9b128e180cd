"""The local model of the cascade: scores from Triton, thresholds from the manifest of the version that answered."""

import time
from functools import lru_cache

from control_plane.errors import ControlPlaneError
from control_plane.inference import Inference
from control_plane.model_registry import ModelRegistry
from control_plane.observability.inference_observer import InferenceObserver
from control_plane.observability.request_context import current_request_id
from control_plane.recognition.recognition import Scores
from export.contract import INTENT
from export.manifest import IntentManifest


class IntentModel:
    """One intent model by its name, whichever of its versions is active or asked for."""

    def __init__(self, registry: ModelRegistry, inference: Inference, observer: InferenceObserver, name: str,
                 timeout_s: float) -> None:
        self._registry, self._inference, self._observer = registry, inference, observer
        self._name, self._timeout_s = name, timeout_s
        self._thresholds = lru_cache(maxsize=16)(self._read_thresholds)

    def score(self, question: str, version: int | None = None) -> Scores:
        """Return the calibrated score of every label from the active version, or from the one that is named.

        Raises what Inference.ask and TritonGateway.classify raise.
        """
        started = time.perf_counter()
        model = self._registry.servable(self._name, INTENT)
        with self._observer.observe(model.name, [question]) as observation:
            answer = self._inference.ask(model.name, lambda gateway, route: gateway.classify(
                model.name, [question], version=version or route.state.active_version, request_id=current_request_id(),
                timeout_s=self._timeout_s))
            observation.tokens = int(answer.token_counts.sum())
        scores = dict(zip(answer.labels, answer.scores[0].tolist(), strict=True))
        return Scores(scores, self._thresholds(int(answer.model_version)), answer.model_version,
                      (time.perf_counter() - started) * 1000)

    def _read_thresholds(self, version: int) -> dict[str, float]:
        """A version never changes, so that its manifest is read once."""
        manifest = self._registry.manifest(self._registry.find(self._name), version)
        if not isinstance(manifest, IntentManifest):
            raise ControlPlaneError(f"version {version} of {self._name!r} has no labels; export an intent model")
        return dict(zip(manifest.labels, manifest.thresholds, strict=True))
