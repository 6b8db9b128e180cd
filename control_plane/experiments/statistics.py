"""Intervals, tests and sample sizes for shares. Knows nothing of experiments.

Every trial counts as independent of the others: where one subject has several, the intervals are somewhat too narrow.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
POWER = 0.8
# Below this a split is taken for broken: Fabijan et al., "Diagnosing Sample Ratio Mismatch in Online Controlled
# Experiments", KDD 2019, use 0.0005 and others up to 0.01; looking again and again makes a larger one ring for nothing.
MISMATCH_P_VALUE = 0.001
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_Z_POWER = NormalDist().inv_cdf(POWER)


@dataclass(frozen=True)
class Interval:
    """An estimate and the 95 % interval around it."""

    value: float
    low: float
    high: float


def share_interval(hits: int, trials: int) -> Interval | None:
    """Return the share of hits with Wilson's score interval, None without trials.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    if not trials:
        return None
    share, weight = hits / trials, _Z * _Z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def difference_interval(first: Interval, second: Interval) -> Interval:
    """Return first − second of two independent shares, with the hybrid score interval.

    Source: Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
    methods", Statistics in Medicine 17, 1998, method 10.
    """
    difference = first.value - second.value
    return Interval(difference, difference - math.hypot(first.value - first.low, second.high - second.value),
                    difference + math.hypot(first.high - first.value, second.value - second.low))


def ratio_p_value(treated: int, total: int, share: float) -> float | None:
    """Return how likely a split is at least this far from `share`, in (0, 1); None without anybody.

    Pearson's chi-squared test with one degree of freedom, whose upper tail is erfc(sqrt(x / 2)) (Abramowitz and Stegun,
    26.4.4 and 7.1.2).
    """
    if not total:
        return None
    chi_squared = (treated - share * total) ** 2 / (total * share * (1 - share))
    return math.erfc(math.sqrt(chi_squared / 2))


def sample_sizes(control_share: float, difference: float, share: float) -> tuple[int, int]:
    """Return how many trials control and treatment need for `difference` to be found with a power of 0.8.

    `control_share` is what the control has, `share` the part of all trials that the treatment gets. Two-sided, at 95 %.
    Of the two directions of the difference the one that needs more counts, where both are possible.
    Source: Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions", 3rd edition, 2003, formula 4.19,
    without the correction for continuity.
    """
    ratio = share / (1 - share)
    others = [other for other in (control_share - difference, control_share + difference) if 0 <= other <= 1]
    control = max((_control_size(control_share, other, ratio) for other in others), default=1.0)
    return math.ceil(control), math.ceil(control * ratio)


def _control_size(first: float, second: float, ratio: float) -> float:
    mean = (first + ratio * second) / (ratio + 1)
    spread = (_Z * math.sqrt((ratio + 1) * mean * (1 - mean))
              + _Z_POWER * math.sqrt(ratio * first * (1 - first) + second * (1 - second)))
    return spread ** 2 / (ratio * (first - second) ** 2)
