"""Judges an exported version: as Triton will serve it, on the frozen test set, against the version that answers now."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from control_plane.tuning.tables import ModelVersionRow
from export.manifest import read_manifest
from serving.encoder.encoder import TextEncoder
from serving.encoder.options import DEFAULT_OPTIONS
from training.dataset import TEST, Dataset
from training.gate import GateRules, Scored, Verdict, judge
from training.report import write_report

_BATCH = 64
_LATENCY_TEXTS = 100


def judge_version(version_dir: Path, dataset: Dataset, splits: Mapping[str, str], champion: ModelVersionRow | None,
                  report_dir: Path) -> tuple[Verdict, dict[str, float]]:
    """Return the gate's verdict and the version's figures; writes the report. Raises GateError, VersionLoadError."""
    test = [example for example in dataset.examples if splits.get(example.id) == TEST]
    texts, truth = [example.text for example in test], [example.labels for example in test]
    challenger = _score(version_dir, texts)
    champion_dir = version_dir.parent / str(champion.triton_version) if champion else None
    incumbent = _score(champion_dir, texts) if champion_dir and champion_dir.exists() else None
    verdict = judge(truth, challenger, incumbent, GateRules())
    against = f"against {champion.version}" if incumbent else "the first version"
    manifest = read_manifest(version_dir)
    write_report(report_dir, f"{manifest.model}-{manifest.version}, {against}", verdict, challenger, truth)
    return verdict, {**verdict.challenger, "latency_p95_ms": challenger.latency_ms}


def _score(version_dir: Path, texts: Sequence[str]) -> Scored:
    """Score texts with the code that Triton runs, and time some of them one by one."""
    encoder = TextEncoder.load(version_dir, len(os.sched_getaffinity(0)))
    encoder.warm()
    manifest = encoder.manifest
    rows = [encoder.encode(texts[start:start + _BATCH], [DEFAULT_OPTIONS] * len(texts[start:start + _BATCH])).vectors
            for start in range(0, len(texts), _BATCH)]
    scores = np.concatenate(rows) if rows else np.zeros((0, len(manifest.labels)))
    return Scored(manifest.labels, np.array(manifest.thresholds), scores, _latency_p95_ms(encoder, texts))


def _latency_p95_ms(encoder: TextEncoder, texts: Sequence[str]) -> float | None:
    took_ms = []
    for text in texts[:_LATENCY_TEXTS]:
        started = time.perf_counter()
        encoder.encode([text], [DEFAULT_OPTIONS])
        took_ms.append((time.perf_counter() - started) * 1000)
    return float(np.percentile(took_ms, 95)) if took_ms else None
