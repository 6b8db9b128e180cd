"""The rules of Chinese expressions of time, for a text that control_plane.intents.time_intent prepared.

Months, halves and weekdays that name no year or week belong to the present one. Times without borders (最近, 将来,
年底) and those of the lunar calendar (春节, 正月, 立春) are not covered.
"""

import re
from dataclasses import replace
from datetime import date, timedelta

from control_plane.intents.chinese_numerals import NUMERAL_CHARACTERS, read_count
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
from control_plane.intents.time_intent_years import BARE_YEAR, YEAR_BEFORE, read_year, year_type
from control_plane.intents.time_intent_years import YEAR as YEAR_PATTERN

_DAYS = {-2: "day_before_yesterday", -1: "yesterday", 0: "today", 1: "tomorrow", 2: "day_after_tomorrow"}
_DAY_WORDS = {"前": -2, "昨": -1, "今": 0, "明": 1, "后": 2, "大前": -3, "大后": 3}
_SHIFTS = {"上上": -2, "上": -1, "这": 0, "本": 0, "当": 0, "下": 1, "下下": 2}
_SHIFTED_TYPES = {-2: "{}_before_last", -1: "last_{}", 0: "this_{}", 1: "next_{}", 2: "{}_after_next"}
_WEEKDAYS = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6}
_UNITS = {"年": YEAR, "个月": MONTH, "周": WEEK, "星期": WEEK, "礼拜": WEEK, "天": DAY, "日": DAY}
_MOST = {YEAR: 100, MONTH: 1200, WEEK: 520, DAY: 3660}
_NUMBER = rf"(?:\d{{1,4}}|[{NUMERAL_CHARACTERS}]{{1,6}})"
_NO_NUMBER_BEFORE = rf"(?<![\d.{NUMERAL_CHARACTERS}])"
_MONTH_ENDS = r"月(?![亮子球老饼嫂台薪牙供租经]|底之|怀胎)份?"
_TO = r"\s?[到至~–—-]{1,2}\s?"
# 下周一定, 下周三个, 下周五点 and 下周天气 name no weekday.
_WEEKDAY = r"(?P<weekday>[一二三四五六日](?![定个起直些样切次般旦家边点位家份场岁年周])|天(?![气天]))"


def _read_year(match: re.Match, today: date) -> Reading | None:
    year = read_year(match[0], today)
    return year and Reading(year_type(match[0], today), whole_years(year, year))


def _read_year_range(match: re.Match, today: date) -> Reading | None:
    first, last = (read_year(match[name], today) for name in ("first", "last"))
    return Reading("year_range", whole_years(min(first, last), max(first, last))) if first and last else None


def _read_years_in_words(match: re.Match, today: date) -> Reading:
    """Read 今明两年, 明后两年 and 今明后三年."""
    words = [_DAY_WORDS[word] for word in match["words"]]
    return Reading("year_range", whole_years(today.year + words[0], today.year + words[-1]))


def _year_before(match: re.Match, today: date) -> tuple[int | None, bool]:
    """Return the year before a month or the like, today's where none is, and whether there is one."""
    return (read_year(match["year"], today), True) if match["year"] else (today.year, False)


def _read_month(match: re.Match, today: date) -> Reading | None:
    (year, has_year), month = _year_before(match, today), read_count(match["month"])
    period = day_of_month(year, month, 0) if year and month else None
    return period and Reading("explicit_month", period, has_year)


def _read_date(match: re.Match, today: date) -> Reading | None:
    year, has_year = _year_before(match, today)
    month, day = read_count(match["month"]), read_count(match["day"])
    period = day_of_month(year, month, day or 0) if year and month else None
    return period and Reading("explicit_date" if period.unit == DAY else "explicit_month", period, has_year)


def _read_months(match: re.Match, today: date) -> Reading | None:
    """Read 3到5月; 11月到2月 ends in the next year."""
    (year, has_year), first, last = _year_before(match, today), read_count(match["first"]), read_count(match["last"])
    if not year or first not in range(1, 13) or last not in range(1, 13):
        return None
    end = months(year + (last < first), last, last).end
    return Reading("month_range", replace(months(year, first, first), end=end), has_year)


def _read_days(match: re.Match, today: date) -> Reading | None:
    """Read 5月20到25号."""
    (year, has_year), month = _year_before(match, today), read_count(match["month"])
    days = [day_of_month(year, month, read_count(match[name]) or 0) if year and month else None
            for name in ("first", "last")]
    if None in days or days[0].unit != DAY or days[1].unit != DAY or days[1].start < days[0].start:
        return None
    return Reading("date_range", replace(days[0], end=days[1].end), has_year)


def _read_half(match: re.Match, today: date) -> Reading | None:
    year, has_year = _year_before(match, today)
    is_first = match["half"] in "上前"
    return year and Reading("first_half" if is_first else "second_half",
                            months(year, 1, 6) if is_first else months(year, 7, 12), has_year)


def _read_quarter(match: re.Match, today: date) -> Reading | None:
    year, has_year = _year_before(match, today)
    return year and Reading("explicit_quarter", quarter(year, read_count(match["quarter"])), has_year)


def _read_shifted_quarter(match: re.Match, today: date) -> Reading:
    shift = _SHIFTS[match["shift"]]
    return Reading(_SHIFTED_TYPES[shift].format("quarter"), quarter(today.year, (today.month + 2) // 3 + shift))


def _read_shifted_month(match: re.Match, today: date) -> Reading:
    shift = _SHIFTS[match["shift"]]
    month = month_of(add_months(today.replace(day=1), shift))
    day = match["day"] and day_of_month(month.start.year, month.start.month, read_count(match["day"]) or 0)
    if day and day.unit == DAY:
        return Reading("explicit_date", day)
    return Reading(_SHIFTED_TYPES[shift].format("month"), month)


def _read_week(match: re.Match, today: date) -> Reading:
    """Read 下周, 下周末, 下周三; 周末 and 周三 alone are those of this week."""
    shift = _SHIFTS[match["shift"] or "这"]
    day = today + timedelta(days=7 * shift)
    if match["weekday"]:
        return Reading("explicit_date", one_day(week_of(day).start + timedelta(days=_WEEKDAYS[match["weekday"]])))
    if match["weekend"]:
        return Reading("weekend" if shift == 0 else _SHIFTED_TYPES[shift].format("weekend"), weekend_of(day))
    return Reading(_SHIFTED_TYPES[shift].format("week"), week_of(day))


def _read_day(match: re.Match, today: date) -> Reading:
    shift = _DAY_WORDS[match["word"]]
    return Reading(_DAYS.get(shift, "explicit_date"), one_day(today + timedelta(days=shift)))


def _read_length(match: re.Match) -> tuple[int | None, str]:
    """Read 三年 and 半年: how many of which unit; None where that is no number, or beyond any plan."""
    if match["half"]:
        return 6, MONTH
    count, unit = read_count(match["count"]), _UNITS[match["unit"] or match["week"]]
    return (count if count and count <= _MOST[unit] else None), unit


def _read_window(match: re.Match, today: date) -> Reading | None:
    """Read 近三年, 未来五年, 最近半年: years or days counted back to today, or ahead from it."""
    count, unit = _read_length(match)
    if not count:
        return None
    return Reading(f"recent_{unit}s", rolling(today, count, unit, is_ahead=match["ahead"] is not None))


def _read_offset(match: re.Match, today: date) -> Reading | None:
    """Read 三天后, 两个月后, 十年前: the day, month or year that is that far away."""
    count, unit = _read_length(match)
    if not count:
        return None
    shift = count if match["side"] == "后" else -count
    return far_away(today, shift, unit)


_COUNTED = (rf"(?:{_NO_NUMBER_BEFORE}(?P<count>{_NUMBER})"
            r"(?:(?P<unit>年|个月|周|天|日)|个?(?P<week>星期|礼拜))|(?P<half>半)年)")
_FOUR_DIGITS, _TWO_DIGITS = r"(?<![\d.])(?P<first>(?:19|2[01])\d\d)", r"(?<![\d.])(?P<first>\d\d)"
RULES = (
    rule(YEAR_PATTERN, _read_year),
    rule(BARE_YEAR, _read_year),
    rule(rf"{_FOUR_DIGITS}年?{_TO}(?P<last>(?:19|2[01])\d\d)(?![\d块元人])年?", _read_year_range),
    rule(rf"{_TWO_DIGITS}年?{_TO}(?P<last>\d\d)年(?![级龄])", _read_year_range),
    rule(r"(?P<words>今明后?|明后)[两二三23]?年", _read_years_in_words),
    rule(rf"{YEAR_BEFORE}{_NO_NUMBER_BEFORE}(?P<month>{_NUMBER})(?!月天){_MONTH_ENDS}", _read_month),
    rule(rf"{YEAR_BEFORE}{_NO_NUMBER_BEFORE}(?P<month>{_NUMBER})月份?的?(?P<day>{_NUMBER})[日号](?![楼线])",
         _read_date),
    rule(rf"{YEAR_BEFORE}{_NO_NUMBER_BEFORE}(?P<month>{_NUMBER})月(?P<first>{_NUMBER})[日号]?{_TO}(?P<last>{_NUMBER})[日号]",
         _read_days),
    rule(r"(?<![\d.])(?P<year>20\d\d)[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?![\d.])", _read_date),
    rule(r"(?<![\d.])(?P<year>20\d\d)[-/](?P<month>0?[1-9]|1[0-2])(?![\d./-])", _read_month),
    rule(rf"{YEAR_BEFORE}{_NO_NUMBER_BEFORE}(?P<first>{_NUMBER})(?:月份?)?{_TO}(?P<last>{_NUMBER}){_MONTH_ENDS}",
         _read_months),
    rule(rf"{YEAR_BEFORE}(?<!大)(?P<half>[上下前后])半年", _read_half),
    rule(rf"{YEAR_BEFORE}(?:第?(?P<quarter>[一二三四1-4])季度)", _read_quarter),
    rule(rf"{YEAR_BEFORE}(?<![a-z\d])q(?P<quarter>[1-4])(?![a-z\d])", _read_quarter),
    rule(r"(?P<shift>上|下|这|本|当)一?个?季度", _read_shifted_quarter),
    rule(r"(?P<shift>上上|下下|上|下|这|本|当)一?个?月(?![亮球老饼子台薪]|经期)"
         rf"(?:份|的)?(?:(?P<day>{_NUMBER})[日号])?", _read_shifted_month),
    rule(rf"(?P<shift>上上|下下|上|下|这|本)一?个?(?:周|星期|礼拜)(?![年岁刊边密])(?:(?P<weekend>末)|{_WEEKDAY})?",
         _read_week),
    rule(rf"(?P<shift>)(?<![个上下这本每逢\d{NUMERAL_CHARACTERS}])(?:周|星期|礼拜)(?:(?P<weekend>末)|{_WEEKDAY})",
         _read_week),
    rule(r"(?P<word>大前|大后|(?<![以之从目年月天])前|(?<![今以然最之年月天个\d])后)天"
         r"(?!天|努力|培养|形成|习得|教育|养成|环境|因素)", _read_day),
    rule(r"(?P<word>(?<![现当])今|(?<![聪文])明|昨)(?:天(?!天(?!气)|真)|日(?!头条)|儿个?|[晚早夜晨])", _read_day),
    rule(rf"(?:(?P<ahead>未来|接下来|今后|往后|将来)|最近|(?<![附远靠接临])近|过去)的?这?{_COUNTED}", _read_window),
    rule(rf"(?<![婚业职作产学世手后前第岁了]){_COUNTED}[以之]?(?P<side>[后前])", _read_offset),
)
