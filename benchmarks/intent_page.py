"""Writes INTENT.md from what benchmarks.intent measured."""

from collections.abc import Iterator

_WHAT = {
    "accuracy": "accuracy of the best label, in scope", "best_label_macro_f1": "macro-F1 of the best label, in scope",
    "oos_recall_at_0.95": "out-of-scope recall where in-scope accuracy is 0.95",
    "in_scope_accuracy": "in-scope accuracy at the fitted thresholds",
    "out_of_scope_recall": "out-of-scope recall at the fitted thresholds",
    "macro_f1": "macro-F1 at the fitted thresholds", "exact_match": "exact match at the fitted thresholds",
    "ece_uncalibrated": "expected calibration error before", "ece": "expected calibration error after calibration",
    "epochs": "epochs, or penalties tried", "seconds": "seconds from snapshot to checkpoint",
}


def render_page(results: dict) -> str:
    """Return the page; `results` is {set: {recipe or "update": figures}}."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: dict) -> Iterator[str]:
    yield "# Intent classification\n\nWritten by `python -m benchmarks.intent`; its head says how.\n"
    yield from _targets(results)
    for name, title in (("clinc", "CLINC150, all-MiniLM-L6-v2"), ("smp", "SMP2017-ECDT task 1, multilingual-e5-small")):
        if name in results:
            yield f"## {title}\n"
            yield from _figures(results[name])
    yield from _machine(results)


def _targets(results: dict) -> Iterator[str]:
    yield "| What | Bound | Measured | |\n| --- | --- | --- | --- |"
    for what, bound, measured, met in targets(results):
        yield f"| {what} | {bound} | {measured} | {'met' if met else '**missed**'} |"
    yield ""


def targets(results: dict) -> Iterator[tuple[str, str, str, bool]]:
    """Yield what is promised, the bound, the figure and whether it holds, for each figure that was measured."""
    clinc, smp = results.get("clinc", {}), results.get("smp", {})
    if "full" in clinc:
        yield _at_least("CLINC150, `full`, in-scope accuracy", clinc["full"]["accuracy"], 0.970)
        recall = clinc["full"].get("oos_recall_at_0.95", 0.0)
        yield _at_least("CLINC150, `full`, out-of-scope recall where in-scope accuracy is 0.95", recall, 0.75)
    if "full" in smp:
        yield _at_least("SMP2017, `full`, macro-F1", smp["full"]["best_label_macro_f1"], 0.94)
    for title, data, figure in (("CLINC150", clinc, "accuracy"), ("SMP2017", smp, "best_label_macro_f1")):
        if {"head", "full"} <= data.keys():
            distance = data["full"][figure] - data["head"][figure]
            yield (f"{title}, `head` below `full`", "≤ 0.03", f"{distance:.4f}", distance <= 0.03)
    if "embedded" in clinc:
        fit = clinc["embedded"]["fit_5000_s"]
        yield "`head` on 5,000 questions once embedded", "< 30 s", f"{fit:.1f} s", fit < 30
    if "update" in smp:
        yield ("100 new questions: `full` trained, gated and exported", "< 300 s", _update_words(smp["update"]),
               smp["update"]["seconds"] < 300)


def _at_least(what: str, value: float, bound: float) -> tuple[str, str, str, bool]:
    return what, f"≥ {bound:.3f}", f"{value:.4f}", value >= bound


def _update_words(update: dict) -> str:
    return (f"{update['seconds']:.0f} s ({update['train_s']:.0f} + {update['gate_s']:.0f} + {update['export_s']:.0f}); "
            f"verdict: {update['verdict']}")


def _figures(recipes: dict) -> Iterator[str]:
    shown = [recipe for recipe in ("head", "full") if recipe in recipes]
    yield f"| figure | {' | '.join(f'`{recipe}`' for recipe in shown)} |\n| --- |{' --- |' * len(shown)}"
    for key, title in _WHAT.items():
        if any(key in recipes[recipe] for recipe in shown):
            yield f"| {title} | {' | '.join(_number(recipes[recipe].get(key)) for recipe in shown)} |"
    for recipe in shown:
        roles = ", ".join(f"{role} {count}" for role, count in sorted(recipes[recipe]["roles"].items()))
        yield f"\nExamples by role, `{recipe}`: {roles}."
    yield ""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 1.5 else f"{value:.4f}"


def _machine(results: dict) -> Iterator[str]:
    """Yield each machine and set of packages once."""
    measured = [figures for recipes in results.values() for figures in recipes.values() if "packages" in figures]
    for words in dict.fromkeys(f"{_facts(figures['machine'])}; {_facts(figures['packages'])}" for figures in measured):
        yield f"Measured on {words}."


def _facts(facts: dict[str, str]) -> str:
    return ", ".join(f"{name.lower()} {value}" for name, value in facts.items())
