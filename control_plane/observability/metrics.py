"""Every metric that the control plane exports, defined here and nowhere else. Knows nothing of who records them.

Label values are names of models that exist, of problem types, of routes and of targets: never what a caller made up,
since every value is a series that a Prometheus keeps. What Triton and its backends export is theirs.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# From a cache-warm single text to the longest wait that CONCH_INFERENCE_TIMEOUT_S allows by default.
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# Gauges that are read when somebody scrapes, by name: what they mean, and their labels.
STATE_METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "conch_model_desired": ("Whether the model should be loaded now (1) or not (0)", ("model",)),
    "conch_model_ready": ("Whether the active version is loaded and proven on the target", ("model", "target")),
    "conch_model_active_version": ("Version that requests without a version get", ("model",)),
    "conch_model_load_seconds": ("How long the last load of the model took, its golden request included",
                                 ("model", "target")),
    "conch_model_memory_bytes": ("Resident memory of the model's processes on this machine", ("model",)),
    "conch_jobs": ("Jobs in the database", ("kind", "state")),
    "conch_target_up": ("Whether the Triton answers the control plane", ("target",)),
    "conch_database_up": ("Whether the database answers; without it the state of models is not known", ()),
}

# A series that tells when each counter began doubles the scrape and says nothing here.
disable_created_metrics()


class ModelMetrics:
    """The series of one model."""

    def __init__(self, metrics: "Metrics", model: str) -> None:
        self.requests = metrics.requests.labels(model)
        self.duration = metrics.duration.labels(model)
        self.texts = metrics.texts.labels(model)
        self.characters = metrics.characters.labels(model)
        self.tokens = metrics.tokens.labels(model)
        self.active = metrics.active.labels(model)


class Metrics:
    """The metrics of one process; with PROMETHEUS_MULTIPROC_DIR set they are kept in files of that directory."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("conch_requests", "Inference requests, answered or not", "model")
        self.errors = self._counter("conch_request_errors", "Inference requests that failed, by type of problem",
                                    "model", "type")
        self.duration = Histogram("conch_request_duration_seconds", "Time to answer an inference request", ["model"],
                                  registry=self.registry, buckets=LATENCY_BUCKETS_S)
        self.texts = self._counter("conch_texts", "Texts of answered requests", "model")
        self.characters = self._counter("conch_characters", "Characters of answered requests", "model")
        self.tokens = self._counter("conch_tokens", "Tokens of answered requests, special tokens included", "model")
        self.active = Gauge("conch_active_requests", "Inference requests under way", ["model"],
                            registry=self.registry, multiprocess_mode="livesum")
        self.responses = self._counter("conch_http_responses", "HTTP answers, by route and status", "route", "status")
        self.questions_lost = self._counter(
            "conch_questions_lost", "Questions that could not be written to the question log, such as on a full disk")
        self._of_models: dict[str, ModelMetrics] = {}

    def of_model(self, model: str) -> ModelMetrics:
        """Return the series of a model that exists."""
        found = self._of_models.get(model)
        if found is None:  # Two threads may both come here; what they make is the same.
            found = self._of_models[model] = ModelMetrics(self, model)
        return found

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)
