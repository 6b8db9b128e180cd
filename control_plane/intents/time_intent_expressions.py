"""Finds expressions of time in a text by a table of rules, the longest first. Knows no language of its own."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from control_plane.intents.time_intent_calendar import (
    MONTH,
    WEEK,
    YEAR,
    Period,
    add_months,
    month_of,
    one_day,
    whole_years,
)


@dataclass(frozen=True)
class Reading:
    """What an expression means: a type, its days, and whether it says itself of which year they are."""

    type: str
    period: Period
    has_year: bool = True


@dataclass(frozen=True)
class Expression:
    """A reading, and where in the text it stands."""

    start: int
    end: int
    reading: Reading


@dataclass(frozen=True)
class Rule:
    """A pattern, and what reads its match on the day `today`: None where it is no time after all."""

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str], date], Reading | None]


def rule(pattern: str, read: Callable[[re.Match[str], date], Reading | None]) -> Rule:
    """Return the rule of a pattern as text."""
    return Rule(re.compile(pattern), read)


def far_away(today: date, shift: int, unit: str) -> Reading:
    """Return the year, the month or the day that is `shift` units from today, before it where that is negative."""
    if unit == YEAR:
        return Reading("explicit_year", whole_years(today.year + shift, today.year + shift))
    if unit == MONTH:
        return Reading("explicit_month", month_of(add_months(today.replace(day=1), shift)))
    return Reading("explicit_date", one_day(today + timedelta(days=shift * (7 if unit == WEEK else 1))))


def find_expressions(text: str, today: date, rules: Iterable[Rule]) -> list[Expression]:
    """Return the expressions in `text` in its order; where two share a character the longer one holds."""
    found = [Expression(match.start(), match.end(), reading) for item in rules for match in item.pattern.finditer(text)
             if (reading := item.read(match, today)) is not None]
    kept: list[Expression] = []
    for expression in sorted(found, key=lambda item: (item.start - item.end, item.start)):
        if all(expression.end <= other.start or other.end <= expression.start for other in kept):
            kept.append(expression)
    return sorted(kept, key=lambda item: item.start)
