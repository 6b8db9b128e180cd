"""The rules of English expressions of time, in lower case. They mean what the Chinese ones mean."""

import re
from datetime import date, timedelta

from control_plane.intents.time_intent_calendar import (
    DAY,
    MONTH,
    WEEK,
    YEAR,
    add_months,
    day_of_month,
    month_of,
    months,
    one_day,
    quarter,
    rolling,
    week_of,
    weekend_of,
    whole_years,
)
from control_plane.intents.time_intent_expressions import Reading, far_away, rule

_DAYS = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1, "day after tomorrow": 2, "day before yesterday": -2}
_DAY_TYPES = {-2: "day_before_yesterday", -1: "yesterday", 0: "today", 1: "tomorrow", 2: "day_after_tomorrow"}
_SHIFTS = {"this": 0, "current": 0, "next": 1, "coming": 1, "last": -1, "previous": -1, "after next": 2,
           "before last": -2}
_TYPES = {-2: "{}_before_last", -1: "last_{}", 0: "this_{}", 1: "next_{}", 2: "{}_after_next"}
_COUNTS = {word: number for number, word in enumerate(
    ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1)}
_UNITS = {"day": DAY, "week": WEEK, "month": MONTH, "year": YEAR}
_MOST = {YEAR: 100, MONTH: 1200, WEEK: 520, DAY: 3660}
_MONTHS = {name: number for number, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1)}
_WEEKDAYS = {name: number for number, name in enumerate(
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))}
_MONTH = (r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
          r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)")
_DAY, _FULL_YEAR = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?", r"(?P<year>(?:19|20)\d\d)"
_COUNT = rf"(?P<count>\d{{1,4}}|{'|'.join(_COUNTS)}) (?P<unit>day|week|month|year)s?"


def _read_day(match: re.Match, today: date) -> Reading:
    shift = _DAYS[match[0]]
    return Reading(_DAY_TYPES[shift], one_day(today + timedelta(days=shift)))


def _read_shifted(match: re.Match, today: date) -> Reading:
    """Read this week, next month, last quarter, the year after next."""
    shift, unit = _SHIFTS[match["shift"]], match["unit"]
    far = today + timedelta(days=7 * shift)
    period = {"week": lambda: week_of(far), "weekend": lambda: weekend_of(far),
              "month": lambda: month_of(add_months(today.replace(day=1), shift)),
              "quarter": lambda: quarter(today.year, (today.month + 2) // 3 + shift),
              "year": lambda: whole_years(today.year + shift, today.year + shift)}[unit]()
    return Reading("weekend" if (unit, shift) == ("weekend", 0) else _TYPES[shift].format(unit), period)


def _read_weekday(match: re.Match, today: date) -> Reading:
    week = week_of(today + timedelta(days=7 * _SHIFTS[match["shift"]]))
    return Reading("explicit_date", one_day(week.start + timedelta(days=_WEEKDAYS[match["weekday"]])))


def _read_year(match: re.Match, today: date) -> Reading:
    year = int(match["year"])
    return Reading("explicit_year", whole_years(year, year))


def _read_year_range(match: re.Match, today: date) -> Reading:
    first, last = sorted((int(match["first"]), int(match["last"])))
    return Reading("year_range", whole_years(first, last))


def _read_month(match: re.Match, today: date) -> Reading | None:
    """Read may 2027, may 5th, 2027, in may, may next year."""
    groups = match.groupdict()
    year = today.year + _SHIFTS[groups["shift"]] if groups.get("shift") else int(groups.get("year") or today.year)
    period = day_of_month(year, _MONTHS[match["month"][:3]], int(groups.get("day") or 0))
    has_year = bool(groups.get("shift") or groups.get("year"))
    return Reading("explicit_date" if period.unit == DAY else "explicit_month", period, has_year)


def _read_part(match: re.Match, today: date) -> Reading:
    """Read first half of 2027, second half of next year, q3 of this year."""
    year = int(match["year"]) if match["year"] else today.year + _SHIFTS[match["shift"] or "this"]
    has_year = bool(match["year"] or match["shift"])
    if match["quarter"]:
        return Reading("explicit_quarter", quarter(year, int(match["quarter"])), has_year)
    if match["half"] in ("first", "1st"):
        return Reading("first_half", months(year, 1, 6), has_year)
    return Reading("second_half", months(year, 7, 12), has_year)


def _read_count(match: re.Match) -> tuple[int | None, str]:
    count, unit = _COUNTS.get(match["count"]) or int(match["count"]), _UNITS[match["unit"]]
    return (count if 0 < count <= _MOST[unit] else None), unit


def _read_window(match: re.Match, today: date) -> Reading | None:
    """Read the next three years, the past six months."""
    count, unit = _read_count(match)
    is_ahead = match["side"] in ("next", "coming", "following")
    return count and Reading(f"recent_{unit}s", rolling(today, count, unit, is_ahead))


def _read_offset(match: re.Match, today: date) -> Reading | None:
    """Read in three days, ten years ago."""
    count, unit = _read_count(match)
    return count and far_away(today, count if match["ahead"] else -count, unit)


_OF_YEAR = rf"(?: of)?,? (?:{_FULL_YEAR}|(?P<shift>this|next|last) year)\b"
RULES = (
    rule(r"\b(?:day after tomorrow|day before yesterday|today|tonight|tomorrow|yesterday)\b", _read_day),
    rule(r"\b(?P<shift>this|current|next|coming|last|previous) (?P<unit>week|weekend|month|quarter|year)\b",
         _read_shifted),
    rule(r"\b(?P<unit>week|month|year) (?P<shift>after next|before last)\b", _read_shifted),
    rule(rf"\b(?P<shift>this|next|last) (?P<weekday>{'|'.join(_WEEKDAYS)})\b", _read_weekday),
    rule(rf"\b(?:in|during|of|for|by|year) {_FULL_YEAR}(?![\d%])(?! (?:dollars?|usd|yuan|rmb|people|users|words))",
         _read_year),
    rule(r"\b(?:from|between)? ?(?P<first>(?:19|20)\d\d) ?(?:-|–|to|through|until|and) ?(?P<last>(?:19|20)\d\d)\b",
         _read_year_range),
    rule(rf"\b{_MONTH}(?: {_DAY})?{_OF_YEAR}", _read_month),
    rule(rf"\b{_MONTH} {_DAY}\b", _read_month),
    rule(rf"\b(?:in|by|during|until|since|this|next|last) {_MONTH}\b(?! \d)", _read_month),
    rule(rf"\b(?:(?P<half>first|1st|second|2nd) half|q(?P<quarter>[1-4]))(?:{_OF_YEAR})?", _read_part),
    rule(rf"\b(?P<side>next|coming|following|past|last|previous|recent) {_COUNT}\b", _read_window),
    rule(rf"\b(?:(?P<ahead>in) {_COUNT}\b)", _read_offset),
    rule(rf"\b{_COUNT} (?:(?P<ahead>later|from now)|ago)\b", _read_offset),
)
