"""The gate: whether a challenger is proven good enough to replace the champion, or to be the first. Pure numbers.

Each check says pass, fail or inconclusive. One failure fails the whole, and what is not proven either way is
inconclusive and not a pass. Knows nothing of models, files or versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.calibration import expected_calibration_error
from training.errors import GateError
from training.metrics import decide, decision_figures, exact_matches
from training.statistics import Interval, calibration_interval, compare_f1, macro_f1_interval, mcnemar
from training.targets import truth_matrix

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


@dataclass(frozen=True)
class Scored:
    """A classifier's answers to the test set; `scores` float [examples, its labels]."""

    labels: tuple[str, ...]
    thresholds: np.ndarray            # float [its labels]
    scores: np.ndarray
    latency_ms: float | None = None   # 95th percentile of one question; None where nobody measured it


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """The bounds of the gate."""

    min_examples: int = 100           # fewer prove nothing
    min_macro_f1: float = 0.6         # of a first version, which has no champion to beat
    min_gain: float = 0.0             # of macro-F1 over the champion; its interval must lie above
    max_micro_loss: float = 0.01      # of micro-F1 to the champion; its interval must lie above the negative
    max_label_loss: float = 0.05      # of any one intent's F1 to the champion
    significance: float = 0.05        # of McNemar's test, where the champion has more examples right
    max_ece: float = 0.1              # the interval of the error less chance must lie below
    max_latency_ms: float = 100.0


@dataclass(frozen=True)
class Check:
    """One question that the gate asks, with the figure and the bound that it is held against, in words."""

    name: str
    verdict: str
    measured: str
    required: str


@dataclass(frozen=True)
class Verdict:
    """The outcome; `figures` of each side are those of training.metrics.decision_figures, with the ECE."""

    verdict: str                                # PASS, FAIL or INCONCLUSIVE
    checks: tuple[Check, ...]
    challenger: dict[str, float]
    champion: dict[str, float] | None
    label_gains: dict[str, Interval]            # F1 by intent, challenger minus champion; empty without a champion


def judge(truth_labels: Sequence[Sequence[str]], challenger: Scored, champion: Scored | None,
          rules: GateRules) -> Verdict:
    """Compare both on the same test set, `truth_labels` being each example's true labels; raises GateError.

    The champion may lack labels that the challenger has; it is right not to decide them only where they do not hold.
    """
    _check_shapes(truth_labels, challenger, champion)
    names = _all_labels(truth_labels, challenger, champion)
    truth = truth_matrix(truth_labels, names)
    checks = [_enough(len(truth), rules), *_ceilings(challenger, truth_labels, rules)]
    ours, gains, theirs = _decided(challenger, names), {}, None
    if champion is None:
        checks.append(_floor(macro_f1_interval(ours, truth), rules))
    else:
        theirs = _figures(champion, truth_labels)
        found, gains = _compare(ours, _decided(champion, names), truth, names, set(champion.labels), rules)
        checks += found
    return Verdict(_overall(checks), tuple(checks), _figures(challenger, truth_labels), theirs, gains)


def _compare(ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray, names: tuple[str, ...], known: set[str],
             rules: GateRules) -> tuple[list[Check], dict[str, Interval]]:
    comparison = compare_f1(ours, theirs, truth, names)
    checks = [_above("macro-F1 gain", comparison.macro_f1, rules.min_gain),
              _above("micro-F1 gain", comparison.micro_f1, -rules.max_micro_loss),
              _exact_match(exact_matches(ours, truth), exact_matches(theirs, truth), rules.significance)]
    checks += [_label_loss(label, gain, rules.max_label_loss) for label, gain in comparison.label_f1.items()
               if label in known and gain.value < -rules.max_label_loss]
    return checks, comparison.label_f1


def _enough(examples: int, rules: GateRules) -> Check:
    return Check("test examples", PASS if examples >= rules.min_examples else INCONCLUSIVE, str(examples),
                 f"at least {rules.min_examples}")


def _ceilings(scored: Scored, truth_labels: Sequence[Sequence[str]], rules: GateRules) -> list[Check]:
    error = calibration_interval(scored.scores, truth_matrix(truth_labels, scored.labels))
    checks = [_below("expected calibration error", error, rules.max_ece)]
    latency = scored.latency_ms
    verdict = INCONCLUSIVE if latency is None else PASS if latency <= rules.max_latency_ms else FAIL
    checks.append(Check("latency, p95", verdict, "not measured" if latency is None else f"{latency:.1f} ms",
                        f"at most {rules.max_latency_ms:g} ms"))
    return checks


def _floor(macro: Interval, rules: GateRules) -> Check:
    return _above("macro-F1", macro, rules.min_macro_f1)


def _above(name: str, interval: Interval, bound: float) -> Check:
    """Pass where the whole interval lies above the bound, fail where it lies below, inconclusive in between."""
    verdict = PASS if interval.low > bound else FAIL if interval.high < bound else INCONCLUSIVE
    return Check(name, verdict, _words(interval), f"above {bound:g}")


def _below(name: str, interval: Interval, bound: float) -> Check:
    """Pass where the whole interval lies below the bound, fail where it lies above, inconclusive in between."""
    verdict = PASS if interval.high < bound else FAIL if interval.low > bound else INCONCLUSIVE
    return Check(name, verdict, _words(interval), f"below {bound:g}")


def _exact_match(ours: np.ndarray, theirs: np.ndarray, significance: float) -> Check:
    test = mcnemar(ours, theirs)
    worse = test.only_champion > test.only_challenger and test.p_value < significance
    return Check("exact match (McNemar)", FAIL if worse else PASS,
                 f"right only now: {test.only_challenger}, only before: {test.only_champion}, p = {test.p_value:.4f}",
                 f"not worse at p < {significance:g}")


def _label_loss(label: str, gain: Interval, margin: float) -> Check:
    """A loss beyond the margin that could be chance is not proven either way."""
    return Check(f"F1 of {label}", FAIL if gain.high < 0 else INCONCLUSIVE, _words(gain), f"loss of at most {margin:g}")


def _overall(checks: Sequence[Check]) -> str:
    verdicts = {check.verdict for check in checks}
    return next((verdict for verdict in (FAIL, INCONCLUSIVE) if verdict in verdicts), PASS)


def _words(interval: Interval) -> str:
    return f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def _figures(scored: Scored, truth_labels: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return a side's figures over its own labels and those that it misses, which it never decides."""
    names = _all_labels(truth_labels, scored, None)
    truth, scores = truth_matrix(truth_labels, names), np.zeros((len(truth_labels), len(names)))
    scores[:, [names.index(label) for label in scored.labels]] = scored.scores
    thresholds = np.full(len(names), 2.0)
    thresholds[[names.index(label) for label in scored.labels]] = scored.thresholds
    return {**decision_figures(scores, thresholds, truth), "ece": expected_calibration_error(scores, truth)}


def _all_labels(truth_labels: Sequence[Sequence[str]], challenger: Scored, champion: Scored | None) -> tuple[str, ...]:
    """Return every label once: the challenger's in its order, then what only others have."""
    others = [*(champion.labels if champion else ()), *(label for labels in truth_labels for label in labels)]
    return tuple(dict.fromkeys((*challenger.labels, *others)))


def _decided(scored: Scored, names: tuple[str, ...]) -> np.ndarray:
    decided = np.zeros((len(scored.scores), len(names)), bool)
    decided[:, [names.index(label) for label in scored.labels]] = decide(scored.scores, scored.thresholds)
    return decided


def _check_shapes(truth_labels: Sequence[Sequence[str]], challenger: Scored, champion: Scored | None) -> None:
    if not any(truth_labels):
        raise GateError("the test set has no example with an intent, so there is nothing to judge by")
    for name, scored in (("challenger", challenger), ("champion", champion)):
        if scored is not None and np.shape(scored.scores) != (len(truth_labels), len(scored.labels)):
            raise GateError(f"the {name} has scores of shape {np.shape(scored.scores)} for {len(truth_labels)} "
                            f"examples and {len(scored.labels)} labels")
        if scored is not None and not np.isfinite(scored.scores).all():
            raise GateError(f"the {name} has scores that are not numbers")
