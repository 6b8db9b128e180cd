"""Detectors of numbers that belong to a person: identity cards, passports, bank cards, phones, and IPv4 addresses.

Digits may stand apart: up to three separators between any two of them. Such a number begins and ends where its groups
of digits do, or any list of years would hold a phone number.
"""

import re
from dataclasses import replace

from control_plane.privacy.detector import Detector
from control_plane.privacy.number_checks import (
    is_card_number,
    is_identity_number,
    is_internet_address,
    is_old_identity_number,
)

_GAP = r"[\s\-_.,/\\~*|()·•・‧。、‐-―−]{0,3}"
_SEPARATORS = re.compile(_GAP)
_D = r"\d"
_MONEY = r"(?!\s?(?:元|块|万|亿|美元|美金|rmb|RMB|円))"
_EXTENSION = r"(?:[\s\-,(]{0,2}(?:转|分机号?|ext\.?|x)\s?\d{1,6}(?!\d)|-\d{1,6}(?!\d))?"
_SERVICE_NUMBER = re.compile("[48]00|1(?:00|1|2|95)")  # hotlines, carriers, emergency
_DATE_FIRST = re.compile(rf"((?:19|20)\d\d){_GAP}(0?[1-9]|1[0-2]){_GAP}(0?[1-9]|[12]\d|3[01])(?!\d)")


def _digits(*parts: str) -> str:
    """Return a pattern for `parts`, which are one character each, with separators between them."""
    return _GAP.join(parts)


def _number(pattern: str, after: str = "") -> re.Pattern[str]:
    """Return a pattern that begins and ends with a run of digits."""
    return re.compile(rf"(?<!\d){pattern}(?!\d){after}")


def _bare(match: re.Match[str]) -> str:
    """Return what was found without separators, the last character of an identity number as X."""
    return re.sub("[xX×Хх]", "X", _SEPARATORS.sub("", match.group()))


def _is_nothing_else(match: re.Match[str]) -> bool:
    """Tell a phone number from a date with something after it, from 13,800,138,000 and from 192.168.10.100."""
    text = match.group()
    return not (_DATE_FIRST.match(text) or re.fullmatch(r"\d{1,3}(,\d{3})+", text) or is_internet_address(text))


def _is_no_hotline_or_date(match: re.Match[str]) -> bool:
    number = match.group("hidden")
    return not (_SERVICE_NUMBER.match(number) or _DATE_FIRST.match(number))


def _card(length: int) -> Detector:
    return Detector("BANK_CARD", re.compile(rf"(?<![\d+]){_digits('[2-69]', *[_D] * (length - 1))}(?!\d)"),
                    lambda match: is_card_number(_bare(match)))


# The longest first: a part of a card must not be taken for something shorter.
_IN_ANY_DIGITS = (
    _card(19),
    Detector("ID_CARD", _number(_digits("[1-8]", *[_D] * 16, r"[\dxX×Хх]")),
             lambda match: is_identity_number(_bare(match))),
    *(_card(length) for length in range(18, 12, -1)),
    Detector("BANK_CARD", _number(r"62\d\d(?:[ -]\d{4}){3}(?:[ -]?\d{1,3})?")),  # A mistyped card is still one.
    Detector("PHONE", _number(rf"(?:\(?(?:\+|00)?{_digits('8', '6')}\)?{_GAP}|0|\+)?{_digits('1', '[3-9]', *[_D] * 9)}",
                              after=_MONEY), _is_nothing_else),
    Detector("ID_CARD", _number(_digits("[1-8]", *[_D] * 14)), lambda match: is_old_identity_number(_bare(match))),
)
NUMBERS = (
    *_IN_ANY_DIGITS,
    Detector("PHONE", re.compile(rf"\+{_digits('[1-9]', *[_D] * 7)}(?:{_GAP}\d){{0,7}}(?!\d)")),
    Detector("PHONE", _number(rf"\(?0(?:10|2\d|[3-9]\d\d)\)?{_GAP}[2-8]\d{{2,3}}{_GAP}\d{{4}}(?!\d){_EXTENSION}",
                              after=_MONEY)),
    Detector("PHONE", re.compile(
        r"(?:电话|座机|固话|手机|手机号|致电|热线|联系方式|(?<![a-z])(?:tel|phone|mobile))(?:号码|号)?(?:是|为|[:=\s]){0,4}"
        rf"(?P<hidden>\d(?:{_GAP}\d){{6,11}})(?!\d)", re.IGNORECASE),
        _is_no_hotline_or_date),
    *(replace(detector, reads_numerals=True) for detector in _IN_ANY_DIGITS),
    Detector("IP_ADDRESS", _number(r"\d{1,3}(?:\.\d{1,3}){3}"), lambda match: is_internet_address(match.group())),
)
# After its keyword, whatever it is; and eleven digits in one run, which no year, date or amount in a question has.
LONG_NUMBERS = (
    Detector("NUMBER", re.compile(
        r"(?:身份证|证件|护照|通行证|驾驶证|驾照|社保|医保|银行卡|卡|账|帐|学|工|订单|快递单|运单)(?:号码?|编号|卡号)(?:是|为|[:=\s]){0,4}"
        r"(?P<hidden>(?=[A-Za-z-]{0,6}\d)[A-Za-z0-9](?:[A-Za-z0-9-]|\s(?=\d)){4,24})(?![A-Za-z0-9])")),
    Detector("NUMBER", re.compile(r"\d{11,}")),
    Detector("NUMBER", re.compile(r"\d{11,}"), reads_numerals=True),
    Detector("PASSPORT", re.compile(
        r"(?<![A-Za-z0-9])(?:[CEGHMW]\d{8}|[CE][A-HJ-NP-Z]\d{7}|[HM]\d{10})(?![A-Za-z0-9])", re.IGNORECASE)),
)
