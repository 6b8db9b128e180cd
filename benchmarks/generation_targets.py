"""The figures that text generation sets out to reach, and whether the results reach them. Pure."""

from benchmarks.generation_contestants import (
    CONCH,
    DISTURBED,
    EIGHT,
    LLAMA_OWN,
    LLAMA_Q8,
    LLAMA_Q8_SPINNING,
    ONE,
    UNDISTURBED,
    UNEVEN,
)
from benchmarks.generation_in_process import GENAI, GENAI_INT4, TRANSFORMERS
from benchmarks.generation_results import Cell, GenerationResults
from benchmarks.results import Spread, ratio_of, spread_of
from benchmarks.targets import Verdict


def verdicts(results: GenerationResults) -> list[Verdict]:
    """Judge every target by its median; speeds are tokens a second while decoding, prompts have 20 tokens."""
    llama = _faster(results, (LLAMA_Q8, LLAMA_Q8_SPINNING), EIGHT)
    return [
        _at_least(results, "8 streams / 1 stream", 4.0, (CONCH, EIGHT), (CONCH, ONE)),
        *(_at_least(results, f"8 streams / static batch of 8 ({_told(name)})", bound, (CONCH, EIGHT), (name, EIGHT))
          for name, bound in ((GENAI, 1.5), (GENAI_INT4, None))),
        _at_least(results, f"8 streams / 8 streams ({llama})", 1.0, (CONCH, EIGHT), (llama, EIGHT)),
        _at_least(results, f"8 streams / 8 streams ({_told(LLAMA_OWN)})", None, (CONCH, EIGHT), (LLAMA_OWN, EIGHT)),
        _at_least(results, f"8 streams / one prompt at a time ({TRANSFORMERS})", 10.0, (CONCH, EIGHT),
                  (TRANSFORMERS, ONE)),
        *(_at_least(results, f"1 stream / 1 stream in process ({_told(name)})", bound, (CONCH, ONE), (name, ONE))
          for name, bound in ((GENAI, 0.9), (GENAI_INT4, None))),
        *(_uneven(results, rival) for rival in (GENAI, GENAI_INT4, LLAMA_Q8)),
        _disturbance(results, CONCH, 3.0),
        _disturbance(results, LLAMA_Q8, None),
        *_checks(results),
    ]


def _told(contestant: str) -> str:
    return f"{contestant}, half the bits" if contestant in (GENAI_INT4, LLAMA_OWN) else contestant


def _faster(results: GenerationResults, contestants: tuple[str, ...], cell: Cell) -> str:
    medians = {name: spread.median for name in contestants if (spread := results.spread(name, cell))}
    return max(medians, key=medians.__getitem__, default=contestants[0])


def _at_least(results: GenerationResults, target: str, bound: float | None, ours: tuple[str, Cell],
              theirs: tuple[str, Cell]) -> Verdict:
    ratio = ratio_of(results.values(*ours), results.values(*theirs))
    if bound is None:
        return Verdict(target, "for comparison", ratio, None)
    return Verdict(target, f"≥ {bound:g}", ratio, ratio.median >= bound if ratio else None)


def _uneven(results: GenerationResults, rival: str) -> Verdict:
    ours, theirs = (results.values(name, UNEVEN, "tokens_per_s") for name in (CONCH, rival))
    return Verdict(f"{UNEVEN.company} / the same ({_told(rival)}), tokens/s in all", "for comparison",
                   ratio_of(ours, theirs), None)


def _disturbance(results: GenerationResults, contestant: str, bound: float | None) -> Verdict:
    ratio = ratio_of(results.values(contestant, DISTURBED, "p99_ms"), results.values(contestant, UNDISTURBED, "p99_ms"))
    target = f"A 1,000-token prompt among 7 running streams: their inter-token p99 / undisturbed ({contestant})"
    if bound is None:
        return Verdict(target, "for comparison", ratio, None)
    return _at_most(target, bound, ratio)


def _checks(results: GenerationResults) -> list[Verdict]:
    checks = []
    if results.greedy:
        checks.append(_at_most(f"Greedy answers that differ from the same alone, of {results.greedy['prompts']}", 0,
                               spread_of([results.greedy["different"]])))
    if cancelled := results.cancelled:
        growth = (cancelled["after_bytes"] / cancelled["before_bytes"] - 1) * 100
        requests = f"{cancelled['requests']:,} clients that left at random moments"
        checks.append(_at_most(f"{requests}: slots still taken", 0, spread_of([cancelled["running"]])))
        checks.append(_at_most(f"{requests}: memory, change in %", 2, spread_of([growth])))
    return checks


def _at_most(target: str, bound: float, measured: Spread | None) -> Verdict:
    return Verdict(target, f"≤ {bound:g}", measured, measured.median <= bound if measured else None)
