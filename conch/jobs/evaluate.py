"""The job `evaluate`: what models are worth on labelled texts, and what they cost, side by side."""

import time

import numpy as np

from control_plane.errors import ControlPlaneError
from control_plane.evaluation import best_threshold_accuracy, nearest_neighbour_accuracy, spearman
from control_plane.jobs.kinds import EvaluateArguments
from control_plane.jobs.worker import Report
from control_plane.observability.model_memory import processor_s, resident_bytes
from control_plane.services import Services, build_services
from control_plane.settings import load_settings
from export.contract import NORMALIZE_PARAMETER

_BATCH = 32            # texts a request, as a client with many texts would send them
_LATENCY_TEXTS = 100   # texts that are sent one by one


def run(arguments: EvaluateArguments, report: Report) -> dict:
    """Return the figures of every model, by name. Raises ControlPlaneError for a model that does not answer."""
    services = build_services(load_settings())
    figures = {}
    for number, name in enumerate(arguments.models):
        report(number / len(arguments.models), f"evaluate {name}")
        figures[name] = _evaluate(services, name, arguments)
    services.database.dispose()
    return {"models": figures}


def _evaluate(services: Services, name: str, arguments: EvaluateArguments) -> dict:
    texts = arguments.texts()
    cpu_before, started = _processor_s(services, name), time.perf_counter()
    vectors = np.concatenate([_embed(services, name, texts[start:start + _BATCH])
                              for start in range(0, len(texts), _BATCH)])
    took_s, cpu_after = time.perf_counter() - started, _processor_s(services, name)
    cost_s = None if cpu_before is None or cpu_after is None else (cpu_after - cpu_before) / len(texts) * 1000
    return {**_describe(services, name), **_quality(vectors, arguments), **_latency(services, name, texts),
            "texts_per_s": round(len(texts) / took_s, 1), "processor_s_per_1000_texts": cost_s and round(cost_s, 3),
            "memory_bytes": resident_bytes(services.settings.home, services.settings.model_repository).get(
                services.models.name_of(name))}


def _describe(services: Services, name: str) -> dict:
    listed = services.models.versions(name)
    active = [version for version in listed["versions"] if version["version"] == listed["active_version"]]
    if not active:
        raise ControlPlaneError(f"model {name!r} has no active version; load it first")
    return {key: active[0].get(key) for key in ("version", "engine", "precision", "dimension")}


def _quality(vectors: np.ndarray, arguments: EvaluateArguments) -> dict:
    if arguments.labelled is not None:
        labels = [item.label for item in arguments.labelled]
        return {"spearman": None, "accuracy": nearest_neighbour_accuracy(vectors, labels)}
    similarities = np.sum(vectors[0::2] * vectors[1::2], axis=1)
    scores = np.array([pair.score for pair in arguments.pairs])
    binary = set(scores.tolist()) <= {0.0, 1.0}
    return {"spearman": spearman(similarities, scores),
            "accuracy": best_threshold_accuracy(similarities, scores == 1.0) if binary else None}


def _latency(services: Services, name: str, texts: list[str]) -> dict:
    """Time texts that are sent one by one, as a client with one question at a time would."""
    latencies_ms = []
    for text in texts[:_LATENCY_TEXTS]:
        started = time.perf_counter()
        _embed(services, name, [text])
        latencies_ms.append((time.perf_counter() - started) * 1000)
    p50, p95 = np.percentile(latencies_ms, [50, 95])
    return {"latency_p50_ms": round(float(p50), 2), "latency_p95_ms": round(float(p95), 2)}


def _embed(services: Services, name: str, texts: list[str]) -> np.ndarray:
    return services.models.embed(name, texts, {NORMALIZE_PARAMETER: True})[1].vectors


def _processor_s(services: Services, name: str) -> float | None:
    return processor_s(services.settings.home, services.settings.model_repository).get(services.models.name_of(name))
