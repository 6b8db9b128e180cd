"""What the backend adds to Triton's /metrics (Triton: python_backend, "Custom Metrics")."""


class BatchMetrics:
    """Counters of one model version. Triton answers /metrics itself; there is nothing to serve here."""

    def __init__(self, pb_utils, model: str, version: str) -> None:
        labels = {"model": model, "version": version}
        self._families = []  # Triton drops a family with its last reference.
        self._texts = self._counter(pb_utils, labels, "conch_encoder_texts", "Texts embedded or classified")
        self._tokens = self._counter(pb_utils, labels, "conch_encoder_tokens", "Tokens in them, padding left out")
        self._padded = self._counter(pb_utils, labels, "conch_encoder_padded_tokens",
                                     "Tokens computed, padding included")
        self._batches = self._counter(pb_utils, labels, "conch_encoder_batches", "Batches that Triton formed")

    def observe(self, texts: int, tokens: int, padded_tokens: int) -> None:
        """Count one batch. Mean batch size is texts / batches, padding waste is 1 - tokens / padded_tokens."""
        self._batches.increment(1)
        self._texts.increment(texts)
        self._tokens.increment(tokens)
        self._padded.increment(padded_tokens)

    def _counter(self, pb_utils, labels: dict[str, str], name: str, description: str):
        family = pb_utils.MetricFamily(name=f"{name}_total", description=description,
                                       kind=pb_utils.MetricFamily.COUNTER)
        self._families.append(family)
        return family.Metric(labels=labels)
