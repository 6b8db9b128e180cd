"""The figures that Conch sets out to reach, and whether the results reach them. Pure: reads results, prints nothing."""

from dataclasses import dataclass

from benchmarks.contestants import (
    CONCH_GRPC,
    CONCH_HTTP,
    CONCH_HTTP_INT8,
    CONCH_PERF_ANALYZER,
    CONCH_REST_BASE64,
    CONCH_REST_INT8,
    LIMIT,
    LIMIT_AT_ONCE,
)
from benchmarks.results import Results, Spread, ratio_of

# An engine whose vectors are further than this from sentence-transformers' (infinity's int8: 0.98) trades quality for
# speed. It is shown, and compared, but only an engine of the same quality can be the best one, theirs or ours.
SAME_QUALITY_COSINE = 0.999
# Our ways in over HTTP, which is all that infinity has. The fastest is the one to judge by; every one is shown.
_LABELS = {CONCH_HTTP: "Triton's HTTP", CONCH_HTTP_INT8: "Triton's HTTP with int8",
           CONCH_REST_BASE64: "REST base64", CONCH_REST_INT8: "REST base64 with int8"}


@dataclass(frozen=True)
class Verdict:
    """One target with what was measured; `measured` is None where the run left a side out."""

    target: str
    bound: str  # e.g. "≥ 0.85"
    measured: Spread | None
    passed: bool | None


def verdicts(results: Results) -> list[Verdict]:
    """Judge every target by its median."""
    mixes = sorted({sample.mix for sample in results.samples}, reverse=True)
    return [
        *(verdict for mix in mixes for verdict in _against_limit(results, mix)),
        *(verdict for mix in mixes for ours in _LABELS
          for verdict in _against_infinity(results, mix, ours)),
        *(_rest_against_grpc(results, mix) for mix in mixes),
        *(_tail(results, contestant) for contestant in (CONCH_GRPC, CONCH_REST_BASE64, CONCH_REST_INT8)),
    ]


def fastest(results: Results, names: list[str], mix: str, scenario: str) -> str | None:
    """Return the contestant of `names` with the highest median throughput, None when none was measured."""
    medians = {name: spread.median for name in names if (spread := results.spread(name, mix, scenario))}
    return max(medians, key=medians.__getitem__, default=None)


def _against_limit(results: Results, mix: str) -> list[Verdict]:
    limits = (("in-process limit", LIMIT, {"32x1": 0.85, "4x32": 0.95}),
              ("in-process limit with all texts at once", LIMIT_AT_ONCE, {"32x1": None, "4x32": None}))
    return [
        _at_least(f"gRPC with perf_analyzer / {label}, {scenario}, {mix}", bound,
                  ratio_of(results.values(CONCH_PERF_ANALYZER, mix, scenario),
                           results.values(limit, mix, scenario)))
        for label, limit, bounds in limits for scenario, bound in bounds.items()
    ]


def _against_infinity(results: Results, mix: str, ours: str) -> list[Verdict]:
    if ours != CONCH_REST_BASE64 and ours not in results.min_cosines:
        return []
    is_exact = results.min_cosines.get(ours, 1) >= SAME_QUALITY_COSINE
    measured = [name for name in results.min_cosines if name.startswith("infinity")]
    torch = [name for name in measured if "torch" in name]
    same_quality = [name for name in measured if results.min_cosines[name] >= SAME_QUALITY_COSINE]
    lower_quality = [name for name in measured if name not in same_quality]
    groups = (
        ("infinity's torch engine", torch, 3.0),
        ("infinity's torch engine at its default", ["infinity-torch-fp32"], None),
        ("infinity's best engine of the same quality", same_quality, 2.0),
        ("infinity's best engine of lower quality", lower_quality, None),
    )
    return [
        _against_fastest(results, ours, label, names, bound if is_exact else None, mix, scenario)
        for scenario in ("32x1", "4x32") for label, names, bound in groups
    ]


def _against_fastest(
    results: Results, ours: str, label: str, names: list[str], bound: float | None, mix: str, scenario: str
) -> Verdict:
    rival = fastest(results, names, mix, scenario)
    target = f"{_LABELS[ours]} / {label}, {scenario}, {mix}"
    if rival is None:
        return _at_least(target, bound, None)
    ratio = ratio_of(results.values(ours, mix, scenario), results.values(rival, mix, scenario))
    return _at_least(f"{target} ({rival})", bound, ratio)


def _rest_against_grpc(results: Results, mix: str) -> Verdict:
    rest, grpc = (results.values(name, mix, "4x32") for name in (CONCH_REST_BASE64, CONCH_GRPC))
    return _at_least(f"REST base64 / gRPC, 32 texts a request, {mix}", 0.8, ratio_of(rest, grpc))


def _tail(results: Results, contestant: str) -> Verdict:
    p99 = results.spread(contestant, "short", "16x1", "p99_ms")
    return Verdict(f"p99 in ms, {contestant}, 16x1, short", "< 100", p99, p99.median < 100 if p99 else None)


def _at_least(target: str, bound: float | None, measured: Spread | None) -> Verdict:
    if bound is None:
        return Verdict(target, "for comparison", measured, None)
    return Verdict(target, f"≥ {bound:g}", measured, measured.median >= bound if measured else None)
