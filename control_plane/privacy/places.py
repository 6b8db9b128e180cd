"""Detectors of where somebody lives and what they drive: postal addresses with a house number, number plates.

A city or a district alone stays: it names nobody, and questions are about places.
"""

import re

from control_plane.privacy.detector import Detector

# What a name of a place is made of: no verbs and pronouns that stand before one in a sentence.
_CHAR = r"(?:(?![我你您他她住在到是的去从寄送搬于址给往离和与有去过了这那把])[\u4e00-\u9fffA-Za-z])"
_STREET = (r"(?:路|街|大道|(?<![知频味渠报难通管轨赛])道|巷|弄|胡同|村|屯|寨|小区|花园|家园|新村|新城|苑|园|庭|公寓|"
           r"大厦|大楼|宿舍|坊|里)")
_NUMBER = r"(?<![\dA-Za-z])(?:[A-Za-z]?\d{1,5}|[一二三四五六七八九十百]{1,4}|[A-Za-z甲乙丙丁])(?:[-之]\d{1,4})?(?![\d])"
_HOUSE = r"(?:号楼|号院|号(?![线球选出晚早前后开门生考左的那结上下去回面])|弄|栋|幢|座|单元)"
_ROOM = r"(?:号楼|号院|号|弄|栋|幢|座|单元|楼|层|室|户|房|门)"
_REST = rf"(?:[\s,\-]{{0,2}}(?:{_CHAR}{{0,8}}?{_NUMBER}\s?{_ROOM}|(?<=[元楼栋幢座号层\-,\s])\d{{3,4}}(?!\d|年))){{0,5}}"
_MANY_ROOMS = rf"{_NUMBER}\s?(?:栋|幢|座|号楼)\s?{_NUMBER}\s?(?:单元|门)\s?{_NUMBER}\s?(?:室|号|户)?"

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"


def _is_mostly_digits(match: re.Match[str]) -> bool:
    """Tell a plate from a word after 新 or 川: at most two of its last five characters are letters (GA 36-2018)."""
    return sum(char.isdigit() for char in match.group("tail")) >= 3


PLACES = (
    Detector("PLATE", re.compile(
        rf"[{_PROVINCES}][\s·•・.\-]{{0,2}}[A-HJ-NP-Z][\s·•・.\-]{{0,2}}(?P<tail>[A-HJ-NP-Z\d]{{4,5}}[A-HJ-NP-Z\d挂学警港澳])"
        r"(?![A-Za-z\d])", re.IGNORECASE), _is_mostly_digits),
    Detector("ADDRESS", re.compile(rf"(?<![A-Za-z\d]){_CHAR}{{1,30}}{_STREET}\s?{_NUMBER}\s?{_HOUSE}{_REST}")),
    Detector("ADDRESS", re.compile(rf"(?<![A-Za-z\d]){_CHAR}{{0,30}}{_MANY_ROOMS}")),
)
