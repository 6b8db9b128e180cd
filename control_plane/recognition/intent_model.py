"""The local model of the cascade: scores from Triton, thresholds from the manifest of the version that answered.

Its labels are those of its training; what they are called now says the taxonomy.
"""

import time
from datetime import datetime, timezone
from functools import lru_cache

from control_plane.errors import ControlPlaneError
from control_plane.inference import Inference
from control_plane.labelling.live_taxonomy import LiveTaxonomy
from control_plane.model_registry import ModelRegistry
from control_plane.observability.inference_observer import InferenceObserver
from control_plane.observability.request_context import current_request_id
from control_plane.recognition.recognition import Scores
from export.contract import INTENT
from export.manifest import IntentManifest

_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


class IntentModel:
    """One intent model by its name, whichever of its versions is active or asked for."""

    def __init__(self, registry: ModelRegistry, inference: Inference, observer: InferenceObserver,
                 taxonomy: LiveTaxonomy, name: str, timeout_s: float) -> None:
        self._registry, self._inference, self._observer, self._taxonomy = registry, inference, observer, taxonomy
        self._name, self._timeout_s = name, timeout_s
        self._manifest = lru_cache(maxsize=16)(self._read_manifest)

    def score(self, question: str, version: int | None = None) -> Scores:
        """Return the calibrated score of every label, as it is called now, from the active or the named version.

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
        manifest = self._manifest(int(answer.model_version))
        thresholds = dict(zip(manifest.labels, manifest.thresholds, strict=True))
        return Scores(scores, thresholds, answer.model_version, (time.perf_counter() - started) * 1000).under(
            self._taxonomy.names_now(manifest.labels, _made_at(manifest)))

    def _read_manifest(self, version: int) -> IntentManifest:
        """A version never changes, so that its manifest is read once."""
        manifest = self._registry.manifest(self._registry.find(self._name), version)
        if not isinstance(manifest, IntentManifest):
            raise ControlPlaneError(f"version {version} of {self._name!r} has no labels; export an intent model")
        return manifest


def _made_at(manifest: IntentManifest) -> datetime:
    """Return when a version was exported; long ago where its manifest does not say."""
    try:
        made_at = datetime.fromisoformat(manifest.created_at.replace("Z", "+00:00"))
    except ValueError:
        return _LONG_AGO
    return made_at if made_at.tzinfo else made_at.replace(tzinfo=timezone.utc)
