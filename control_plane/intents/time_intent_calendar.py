"""Periods of the calendar: days, weeks from Monday, months, quarters, years. Knows nothing of language."""

import calendar
from dataclasses import dataclass, replace
from datetime import date, timedelta

DAY, WEEK, MONTH, YEAR = "day", "week", "month", "year"
_WEEKEND = 5  # Saturday, as date.weekday counts
_WEEK = timedelta(days=6)


@dataclass(frozen=True)
class Period:
    """The days from `start` to `end`, both included, and the unit that they were named in."""

    start: date
    end: date
    unit: str

    @property
    def years(self) -> tuple[int, ...]:
        """The years that it touches."""
        return tuple(range(self.start.year, self.end.year + 1))

    @property
    def months(self) -> tuple[int, ...]:
        """The months 1 to 12 that it touches, from its first on; each once, also where it is longer than a year."""
        count = min(12 * (self.end.year - self.start.year) + self.end.month - self.start.month + 1, 12)
        return tuple((self.start.month - 1 + step) % 12 + 1 for step in range(count))

    def moved(self, years: int) -> "Period":
        """Return the same days of another year; the 29th of February becomes the 28th where there is none."""
        end = add_months(self.end, 12 * years)
        if self.unit == MONTH:
            end = last_of_month(end)
        return replace(self, start=add_months(self.start, 12 * years), end=end)


def one_day(day: date) -> Period:
    """Return one day."""
    return Period(day, day, DAY)


def week_of(day: date) -> Period:
    """Return the week that `day` lies in, Monday to Sunday (ISO 8601)."""
    monday = day - timedelta(days=day.weekday())
    return Period(monday, monday + _WEEK, WEEK)


def weekend_of(day: date) -> Period:
    """Return Saturday and Sunday of the week that `day` lies in."""
    week = week_of(day)
    return Period(week.start + timedelta(days=_WEEKEND), week.end, DAY)


def months(year: int, first: int, last: int) -> Period:
    """Return the months `first` to `last`, 1 to 12, of one year."""
    return Period(date(year, first, 1), last_of_month(date(year, last, 1)), MONTH)


def month_of(day: date) -> Period:
    """Return the month that `day` lies in."""
    return months(day.year, day.month, day.month)


def quarter(year: int, number: int) -> Period:
    """Return quarter 1 to 4 of a year; 0 and 5 are those of the years beside it, and so on."""
    year, index = year + (number - 1) // 4, (number - 1) % 4
    return months(year, 3 * index + 1, 3 * index + 3)


def whole_years(first: int, last: int) -> Period:
    """Return the years `first` to `last`."""
    return Period(date(first, 1, 1), date(last, 12, 31), YEAR)


def add_months(day: date, count: int) -> date:
    """Return the same day of another month, or that month's last where it is shorter: 31 January, one more: 28."""
    year, index = divmod(12 * day.year + day.month - 1 + count, 12)
    return date(year, index + 1, min(day.day, calendar.monthrange(year, index + 1)[1]))


def last_of_month(day: date) -> date:
    """Return the last day of the month that `day` lies in."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def day_of_month(year: int, month: int, day: int) -> Period | None:
    """Return one day; the whole month where it has no such day, None where the year has no such month."""
    if not 1 <= month <= 12:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return months(year, month, month)
    return one_day(date(year, month, day))


def rolling(today: date, count: int, unit: str, is_ahead: bool) -> Period:
    """Return `count` days, weeks, months or years up to `today` or from it on, today included.

    Years are whole ones, this year among them, but for a single one, which is twelve months.
    """
    if unit == YEAR and count > 1:
        return whole_years(today.year, today.year + count - 1) if is_ahead else whole_years(
            today.year - count + 1, today.year)
    sign = 1 if is_ahead else -1
    if unit in (DAY, WEEK):
        other = today + sign * timedelta(days=count * (7 if unit == WEEK else 1) - 1)
    else:
        other = add_months(today, sign * count * (12 if unit == YEAR else 1)) - sign * timedelta(days=1)
    return Period(min(today, other), max(today, other), DAY)
