"""Says how sure a figure is: bootstrap intervals of one classifier and of the difference of two, McNemar's test.

Pure numbers; knows nothing of models.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np

from training.calibration import calibration_gaps
from training.metrics import label_f1, micro_f1

RESAMPLES = 2000
_CHUNK = 100          # resamples computed at a time, to bound memory
_LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Challenger minus champion on the same examples."""

    macro_f1: Interval
    micro_f1: Interval
    label_f1: dict[str, Interval]


@dataclass(frozen=True)
class McNemar:
    """Examples that only one of the two has all right, and the chance of a difference so large if they were equal."""

    only_challenger: int
    only_champion: int
    p_value: float      # exact, two-sided


def compare_f1(challenger: np.ndarray, champion: np.ndarray, truth: np.ndarray, labels: tuple[str, ...],
               seed: int = 0) -> Comparison:
    """Return the differences of F1 with paired percentile-bootstrap intervals; bool [examples, labels] each.

    Efron and Tibshirani 1993, chapter 13: both are measured on the same resampled examples. Macro-F1 is the mean over
    the labels that occur in the whole test set, so that every resample averages over the same ones.
    """
    occurs = truth.any(axis=0)
    macros, micros, by_label = [], [], []
    for counts in _resamples(len(truth), seed):
        first, second = (_resampled_f1(decided, truth, counts) for decided in (challenger, champion))
        by_label.append(first[0] - second[0])
        macros.append((first[0] - second[0])[:, occurs].mean(axis=1))
        micros.append(first[1] - second[1])
    gains = label_f1(challenger, truth) - label_f1(champion, truth)
    spread = np.concatenate(by_label)
    return Comparison(
        _interval(float(gains[occurs].mean()), np.concatenate(macros)),
        _interval(micro_f1(challenger, truth) - micro_f1(champion, truth), np.concatenate(micros)),
        {label: _interval(float(gains[index]), spread[:, index]) for index, label in enumerate(labels)
         if occurs[index]})


def macro_f1_interval(decided: np.ndarray, truth: np.ndarray, seed: int = 0) -> Interval:
    """Return the macro-F1 over the labels that occur in `truth`, with its percentile-bootstrap interval."""
    occurs = truth.any(axis=0)
    samples = [_resampled_f1(decided, truth, counts)[0][:, occurs].mean(axis=1)
               for counts in _resamples(len(truth), seed)]
    return _interval(float(label_f1(decided, truth)[occurs].mean()), np.concatenate(samples))


def calibration_interval(scores: np.ndarray, truth: np.ndarray, seed: int = 0) -> Interval:
    """Return the expected calibration error, less what is chance, with its basic bootstrap interval.

    Efron and Tibshirani 1993, 10.2 and 13.4. The mean distance of promises and outcomes of few examples is too large
    even where every score means what it says, and that of a resample is too large once more. So what resampling adds
    is taken off again, from the value and from both bounds. Whole examples are drawn, as the labels of one depend on
    each other.
    """
    gaps, counts = calibration_gaps(scores, truth)
    found = np.abs(gaps.sum(axis=0)).sum() / counts.sum()
    resampled = np.concatenate([np.abs(drawn @ gaps).sum(axis=1) / (drawn @ counts)
                                for drawn in _resamples(len(scores), seed)])
    mirrored = _interval(float(2 * found - resampled.mean()), 2 * found - resampled)
    return Interval(*(max(0.0, bound) for bound in (mirrored.value, mirrored.low, mirrored.high)))


def mcnemar(challenger_right: np.ndarray, champion_right: np.ndarray) -> McNemar:
    """Return the exact test (McNemar 1947, binomial form) on which examples each has right; bool [examples] each."""
    gained = int((challenger_right & ~champion_right).sum())
    lost = int((champion_right & ~challenger_right).sum())
    total = gained + lost
    tail = sum(comb(total, count) for count in range(min(gained, lost) + 1))
    # Whole numbers divide exactly however large they are; 2**total alone would overflow a float.
    return McNemar(gained, lost, min(1.0, 2 * tail / 2**total) if total else 1.0)


def _resamples(examples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each example is drawn; float64 [resamples, examples]."""
    random = np.random.default_rng(seed)
    for _ in range(RESAMPLES // _CHUNK):
        yield random.multinomial(examples, np.full(examples, 1 / examples), size=_CHUNK).astype(np.float64)


def _resampled_f1(decided: np.ndarray, truth: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return F1 by label, float64 [resamples, labels], and over all decisions, [resamples]."""
    hits = counts @ (decided & truth)
    total = counts @ (decided.astype(np.float64) + truth)
    return 2 * hits / np.maximum(total, 1), 2 * hits.sum(axis=1) / np.maximum(total.sum(axis=1), 1)


def _interval(value: float, samples: np.ndarray) -> Interval:
    low, high = np.quantile(samples, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(value, float(low), float(high))
