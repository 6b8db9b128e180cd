"""Reads from a question the time that it is about, by rules. Knows neither the clock nor a model.

Where a question names several times:
- those that 到, 至, - or "to" join are one, from the first to the last; so are those of one unit that 和, 、, or "and"
  list (今年和明年);
- of others the most specific holds: a day, then a week, a month, a quarter, a half, a year (今年…下个月: next month);
- of equally specific ones the last holds (去年离婚了, 今年能再婚吗: this year).
"""

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from control_plane.intents import time_intent_chinese, time_intent_english
from control_plane.intents.time_intent_calendar import MONTH, YEAR, Period
from control_plane.intents.time_intent_expressions import Expression, Reading, find_expressions
from control_plane.intents.time_intent_years import BIRTH

_RULES = time_intent_chinese.RULES + time_intent_english.RULES
_SIMPLIFIED = str.maketrans("後這週個號來過禮兩農曆陰舊", "后这周个号来过礼两农历阴旧")
_HAN = r"[\u3007\u4e00-\u9fff]"
_SPACE_BESIDE_HAN = re.compile(rf"(?<={_HAN}) | (?={_HAN})")
# Written over what is no time; no rule has it.
_BLANK = "\N{WHITE SQUARE}"
# A question is shorter; an essay would keep a worker busy for seconds.
MAX_READ_CHARS = 2000
_LUNAR = re.compile(
    r"(?<=[农阴旧]历)[\d〇零一二三四五六七八九十]{1,3}月(?:初?[\d一二三四五六七八九十廿]{1,3}[日号]?)?"
    r"|[一二三四五六七八九十]{1,2}月初[一二三四五六七八九十]|二月二(?![十日号])|三月三(?![十日号])|七月七(?![日号])"
    r"|九月九(?![日号])|八月十五(?![日号])")
_TO = re.compile(r"\s*(?:的?(?:一?直?到|至|~|–|—|-){1,2}|to|through|until|till)\s*")
_AND = re.compile(r"\s*(?:[和跟与及、,或]|以及|还有|还是|或者|and|or|&)\s*")
# Lengths in days of what is named: a day, a week, a month, a quarter, half a year, a year.
_LENGTHS = (1, 7, 31, 92, 184, 366)
_RANGES = {YEAR: "year_range", MONTH: "month_range"}


@dataclass(frozen=True)
class TimeIntent:
    """The time that a question is about: its type, and the days from `start` to `end`, both included."""

    type: str
    start: date
    end: date
    unit: str  # day, week, month or year: what the days were named in

    @property
    def target_years(self) -> tuple[int, ...]:
        """The years that it touches."""
        return Period(self.start, self.end, self.unit).years

    @property
    def target_months(self) -> tuple[int, ...]:
        """The months 1 to 12 that it consists of, in their order; none where it was not named in months."""
        return Period(self.start, self.end, self.unit).months if self.unit == MONTH else ()

    def to_json(self) -> dict:
        """Return {"type", "target_years"}; with `target_months` of months, and `start` and `end` of part of a year."""
        found = {"type": self.type, "target_years": list(self.target_years)}
        if self.target_months:
            found["target_months"] = list(self.target_months)
        if self.unit != YEAR:
            found |= {"start": self.start.isoformat(), "end": self.end.isoformat()}
        return found


def today_in(zone_name: str, now: datetime) -> date:
    """Return the date that it is in a zone, Asia/Shanghai for example, at the moment `now`, which has a zone."""
    return now.astimezone(ZoneInfo(zone_name)).date()


def parse_time_intent(text: str, today: date) -> TimeIntent | None:
    """Return the time that `text` is about, asked on the day `today`; None where it names none.

    Chinese and English are read, in the first MAX_READ_CHARS characters; years are those from 1900 to 2199.
    """
    prepared = _prepare(text)
    joined = _join(find_expressions(prepared, today, _RULES), prepared)
    if not joined:
        return None
    chosen = min(joined, key=lambda item: (_length_class(item.reading.period), -item.start)).reading
    return TimeIntent(chosen.type, chosen.period.start, chosen.period.end, chosen.period.unit)


def _length_class(period: Period) -> int:
    """Return a number that grows with the length; months are equally long, and so are halves and years."""
    return bisect_left(_LENGTHS, (period.end - period.start).days + 1)


def _prepare(text: str) -> str:
    """Return the text in half-width, lower case and without spaces beside Han, with births and lunar months blanked."""
    plain = unicodedata.normalize("NFKC", text[:MAX_READ_CHARS]).casefold().translate(_SIMPLIFIED)
    plain = _SPACE_BESIDE_HAN.sub("", " ".join(plain.split()))
    return _LUNAR.sub(_BLANK, BIRTH.sub(_BLANK, plain))


def _join(expressions: list[Expression], text: str) -> list[Expression]:
    """Make one of neighbours with only a word between them that joins."""
    joined: list[Expression] = []
    for expression in expressions:
        both = _merge(joined[-1], expression, text) if joined else None
        if both:
            joined[-1] = both
        else:
            joined.append(expression)
    return joined


def _merge(first: Expression, second: Expression, text: str) -> Expression | None:
    between = text[first.end:second.start]
    units = {first.reading.period.unit, second.reading.period.unit}
    if not (_TO.fullmatch(between) or (_AND.fullmatch(between) and len(units) == 1)):
        return None
    begin, end = first.reading.period, _inherit_year(first.reading, second.reading)
    unit = begin.unit if len(units) == 1 else "day"
    period = Period(min(begin.start, end.start), max(begin.end, end.end), unit)
    reading = Reading(_RANGES.get(unit, "date_range"), period, first.reading.has_year)
    return replace(first, end=second.end, reading=reading)


def _inherit_year(first: Reading, second: Reading) -> Period:
    """Return the days of the second, which without a year of its own follow those of the first: 明年11月到2月."""
    if second.has_year:
        return second.period
    moved = second.period.moved(first.period.start.year - second.period.start.year)
    return moved.moved(1) if moved.start < first.period.start else moved
