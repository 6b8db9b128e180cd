"""How a Chinese text names a year: 今年, 2026年, 26年, 二〇二六年. Knows nothing of what stands beside it.

The patterns refuse what only looks like a year: 今年轻人, 去年糕店, 文明年, 过去年, 一年级, 三年级, 26年的工龄.
"""

import re
from datetime import date

from control_plane.intents.chinese_numerals import DIGIT_CHARACTERS, NUMERAL_CHARACTERS, read_count, read_digits

_RELATIVE = {"大前年": -3, "前年": -2, "去年": -1, "今年": 0, "本年": 0, "本年度": 0, "明年": 1, "来年": 1, "后年": 2,
             "大后年": 3}
_TYPES = {-2: "year_before_last", -1: "last_year", 0: "this_year", 1: "next_year", 2: "year_after_next"}
_FIRST, _LAST = 1900, 2199          # what is taken for a year when its four digits are written
_SHORT_PAST, _SHORT_AHEAD = 5, 14   # years around today that two digits may mean; 98年 is when somebody was born

_NUMERAL, _DIGIT = f"[{NUMERAL_CHARACTERS}]", f"[{DIGIT_CHARACTERS}]"
_RELATIVE_PATTERN = (
    r"(?:(?<![现当])今年|(?<![资成基根版日书])本年度?|(?<![证声])明年|(?<![原本后将从历未出])来年"
    r"|大后年|(?<![今以然最婚产之大业年月天岁\d])后年(?!薪)|大前年|(?<![以之从目提当眼大])前年"
    r"|(?<![过失出])去年(?!货(?!币)|画(?!展)))(?!轻(?!松)|纪(?!念)|[代龄级糕])")
_FOUR = (rf"(?:(?<![\d.])(?:19|2[01])\d\d|(?<!{_NUMERAL})[一二]{_DIGIT}{{3}}"
         rf"|(?<!{_NUMERAL})[一二两]千{_NUMERAL}{{1,6}})")
# What two digits are a length of time beside: 等了26年, 26年的感情, 26年后.
_SHORT = (rf"(?<![\d.第近来去未每满整有了要等过共达花用干做作婚这那前{NUMERAL_CHARACTERS}])(?:\d\d|[二三]{_DIGIT})年"
          r"(?![级龄后前内间来多以之没了老左]|的?[感婚友经工房])")
YEAR = rf"(?:{_RELATIVE_PATTERN}|{_FOUR}年度?(?![级龄])|{_SHORT})"
# 二零二六, and a number before a word that years have; 2026块钱 and 2026人 are none.
BARE_YEAR = (rf"(?<!{_NUMERAL})二[〇○零]{_DIGIT}{{2}}(?![年块元个{NUMERAL_CHARACTERS}])|"
             r"(?<![\d年第¥$#])(?<!\d[.,:/\-])20\d\d(?=[,。.!?;、…]?(?:\s|$)|[,。!?;、…](?!\d)|上半|下半|第[一二三四]|"
             r"流年|整年|全年|的?(?:整体|全年)?(?:[财运事爱婚桃健学考我能会要可想应适是有还将究属男女怎如]|感情|"
             r"工作|[鼠牛虎兔龙蛇马羊猴鸡狗猪白狮处双射魔水摩巨]|金牛|天[秤蝎]))"
             r"(?!\s(?:dollars?|usd|yuan|rmb|people|users|km|kg|calories|steps|words|points)\b)")
YEAR_BEFORE = rf"(?:(?P<year>{YEAR}|(?<!\d)20\d\d(?=[\s上下第的]))\s?的?)?"
_BORN = (rf"(?:{_FOUR}|(?<!\d)\d\d|(?<!{_NUMERAL}){_DIGIT}{{2}})(?:年|(?=[-/.]\d))"
         rf"(?:[-/.]?(?:\d{{1,2}}|{_NUMERAL}{{1,3}})[月日号]?份?){{0,2}}")
# Births: 1998年出生的, 90年5月生人, 生于1998年, 我是1998年的, 男方1990年, 1995年的女生, 五月出生的.
BIRTH = re.compile(rf"{_BORN}[^,。?!;\s]{{0,4}}?(?:出生|出世|年生|生(?=$|[,。?!;\s的人]))"
                   rf"|(?:生于|[男女]方){_BORN}|(?<=是){_BORN}的(?=$|[,。?!;\s男女人])"
                   rf"|(?<!\d)(?:19\d\d|200\d)年的?(?=[男女属鼠牛虎兔龙蛇马羊猴鸡狗猪])"
                   rf"|(?<![年\d.{NUMERAL_CHARACTERS}])(?:\d{{1,2}}|{_NUMERAL}{{1,2}})月(?:(?:\d{{1,2}}|{_NUMERAL}{{1,3}})[日号])?出生")


def read_year(text: str, today: date) -> int | None:
    """Return the year that a match of YEAR or BARE_YEAR means, None where its digits are not those of a year."""
    if text in _RELATIVE:
        return today.year + _RELATIVE[text]
    digits = text.strip().rstrip("度").rstrip("年")
    year = read_digits(digits) or read_count(digits)
    if year is not None and year < 100:
        return _read_short(year, digits, today)
    return year if year is not None and _FIRST <= year <= _LAST else None


def year_type(text: str, today: date) -> str:
    """Return the type of a year: that of the word it was named by, else explicit_year."""
    return _TYPES.get(_RELATIVE.get(text), "explicit_year")


def _read_short(year: int, digits: str, today: date) -> int | None:
    """Read 26 as 2026. Tens are lengths of time, and 二三 is "two or three"."""
    is_guess = not digits.isascii() and year % 10 == year // 10 + 1
    year += 2000
    is_near = today.year - _SHORT_PAST <= year <= today.year + _SHORT_AHEAD
    return year if is_near and year % 10 and not is_guess else None
