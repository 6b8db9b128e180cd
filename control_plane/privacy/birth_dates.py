"""Detectors of dates of birth. A date is one only where the question introduces it as one.

What a question asks about needs its other dates, and a year of birth alone names nobody: both stay.
"""

import re

from control_plane.privacy.detector import Detector
from control_plane.privacy.number_checks import is_date

_YEAR = r"(?:\d{4}|\d{2}|[一二三四五六七八九零〇○]{2,4})"
_MONTH = r"(?:闰?(?:\d{1,2}|[正腊冬]|[一二三四五六七八九十]{1,2})月)"
_DAY = r"(?:\d{1,2}|初?[一二三四五六七八九十廿卅]{1,3})[日号]?(?![\d月年])"
_TIME = (r"(?:[\s,]{0,2}(?:凌晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|[子丑寅卯辰巳午未申酉戌亥]时|"
         r"(?<!\d)\d{1,2}(?:点|时|:)(?:半|\d{1,2}(?!\d))?分?)){0,3}")
_DATE = (rf"(?:(?:{_YEAR}年\s?)?{_MONTH}\s?{_DAY}|(?:19|20)\d\d[\-./\s]{{1,2}}\d{{1,2}}[\-./\s]{{1,2}}\d{{1,2}}(?!\d)|"
         rf"(?P<compact>(?:19|20)\d{{6}})(?!\d)){_TIME}")
_CALENDAR = r"(?:[(\s]{0,2}(?:阳历|阴历|农历|公历|新历|旧历)[)\s]{0,2})?"
_BORN = (r"(?:生日|出生日期|出生年月日?|出生时间|出生于|出生在|生于|出生|诞生|生辰八字|生辰|八字|生年月日|"
         r"born\s{1,3}on|birthday|DOB)")


def _is_possible(match: re.Match[str]) -> bool:
    """Judge eight digits in a row; what has words or separators in it says itself that it is a date."""
    return match.group("compact") is None or is_date(match.group("compact"))


BIRTH_DATES = (
    Detector("BIRTHDATE", re.compile(
        rf"{_BORN}(?:就?是|为|在|于|[:=\s]){{0,3}}{_CALENDAR}(?P<hidden>(?<!\d){_DATE})", re.IGNORECASE), _is_possible),
    Detector("BIRTHDATE", re.compile(
        rf"(?<!\d)(?P<hidden>{_DATE})[\s,]{{0,2}}我?(?:出生|生日|生人|诞生|生的|降生|的?生辰|生(?:,|$|\s))"),
        _is_possible),
)
