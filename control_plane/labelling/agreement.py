"""How far people agree on sets of labels: Krippendorff's alpha. Pure numbers; knows no table."""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value", bound=Hashable)
LabelSet = frozenset[str]


@dataclass(frozen=True)
class Agreement:
    """Alpha over all labels and for each; None where nothing varies, because then alpha is not defined."""

    questions: int                   # with two opinions or more
    annotations: int                 # of these questions
    alpha: float | None              # with the MASI distance between sets
    by_label: dict[str, float | None]  # whether the label holds, nominal


def measure_agreement(opinions: Iterable[Collection[LabelSet]], labels: Iterable[str]) -> Agreement:
    """Return the agreement on questions, each with the sets that its people gave; fewer than two are left out."""
    units = [list(sets) for sets in opinions if len(sets) > 1]
    by_label = {label: krippendorff_alpha([[label in chosen for chosen in unit] for unit in units], nominal_distance)
                for label in labels}
    return Agreement(len(units), sum(map(len, units)), krippendorff_alpha(units, masi_distance), by_label)


def krippendorff_alpha(units: Sequence[Sequence[Value]], distance: Callable[[Value, Value], float]) -> float | None:
    """Return alpha = 1 - observed / expected disagreement: 1 is perfect, 0 is chance, below 0 is worse than chance.

    `units` has the values of each thing judged, any number of them; those with fewer than two say nothing of agreement
    and are left out. `distance` is what Krippendorff writes as δ². None where all values are the same.
    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section E.
    """
    pairable = [Counter(unit) for unit in units if len(unit) > 1]
    totals = sum(pairable, Counter())
    count = totals.total()
    expected = _pair_distance(totals, distance)
    if not expected:
        return None
    observed = sum(_pair_distance(unit, distance) / (unit.total() - 1) for unit in pairable)
    return 1 - (count - 1) * observed / expected


def nominal_distance(one: Hashable, other: Hashable) -> float:
    """Return 0 for the same value and 1 for any other."""
    return float(one != other)


def masi_distance(one: frozenset, other: frozenset) -> float:
    """Return how far two sets are apart, 0 to 1: half a match counts for something, unlike with the nominal distance.

    1 - Jaccard × monotonicity, which is 1 for equal sets, 2/3 where one holds the other, 1/3 where they overlap, 0
    where they share nothing. Source: R. Passonneau, "Measuring Agreement on Set-valued Items (MASI)", LREC 2006.
    """
    if one == other:
        return 0.0
    shared = one & other
    if not shared:
        return 1.0
    monotonicity = 2 / 3 if shared in (one, other) else 1 / 3
    return 1 - len(shared) / len(one | other) * monotonicity


def _pair_distance(values: Counter, distance: Callable[[Value, Value], float]) -> float:
    """Sum the distance over all ordered pairs of different things with these values."""
    return sum(values[one] * values[other] * distance(one, other) for one in values for other in values)
