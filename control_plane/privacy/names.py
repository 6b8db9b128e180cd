"""Detectors of people's names: a surname with a title after it, or a name that somebody is introduced by.

A name without either is not found: no rule tells 张伟 from a word.
"""

import re

from control_plane.privacy.detector import Detector
from control_plane.privacy.surnames import COMPOUND, SINGLE, WORDS_FROM_SURNAME, WORDS_TO_SURNAME

_SURNAME = f"(?:{'|'.join(COMPOUND)}|[{SINGLE}])"
_GIVEN = r"[\u4e00-\u9fff]"
# What is in no given name, and tells that a surname before it was none: 高的老师.
_NO_GIVEN = "的了是我你他她它在和跟找问请给让被把对从到这那有没不要会能想说去来就都还也很太吗呢吧啊上下里"
_TITLED_GIVEN = rf"(?:(?![{_NO_GIVEN}])[\u4e00-\u9fff])"
_TITLES = "|".join((
    "先生", "女士", "小姐", "老师", "医生", "大夫", "教授", "经理", "总监", "主任", "律师", "师傅", "同学", "同志",
    "阿姨", "叔叔", "伯伯", "大爷", "大妈", "大哥", "大姐", "太太", "夫人", "校长", "院长", "局长", "处长", "科长",
    "部长", "厂长", "董事长", "总裁", "老板", "护士", "警官", "法官", "队长", "书记", "博士", "师兄", "师姐", "师父",
    "大师", "爷爷", "奶奶", "哥", "姐", "叔", "姨", "嫂", "老師", "醫生", "經理",
    r"总(?=$|[^\u4e00-\u9fff]|[说让要的好您])",
))
# What follows a name, so that one of two characters is told from one of three.
_FOLLOW = (r"(?=$|[^\u4e00-\u9fff]|[今男女属生出是在的我想请帮和跟与你他她岁来住家现有年先老这最会能要什怎财事感婚运]|"
           r"[吗呢吧呀啊了])")
_BEFORE = (
    r"(?:(?:[我他她友公婆子女儿妈爸哥姐弟妹孩宝人名的]|名字)叫(?:做|作)?|叫我|"
    r"(?:姓名|名字|全名|真名|本名|大名|称呼|联系人|收件人|收货人|署名)(?:是|叫|为|[:=\s]){1,3})[\s\"'“「]{0,2}")
_LATIN = r"[A-Za-z][A-Za-z'-]{1,20}(?:\s[A-Z][A-Za-z'-]{1,20}){0,2}(?![A-Za-z0-9])"
_NO_NAMES = {"not", "the", "my", "your", "his", "her", "its", "on", "in", "at", "very", "so", "just", "also", "too"}


def _is_no_word(match: re.Match[str]) -> bool:
    """Tell a surname from the same character in a word: 高考, 由于."""
    text, start = match.string, match.start("hidden")
    return text[start:start + 2] not in WORDS_FROM_SURNAME and text[max(0, start - 1):start + 1] not in WORDS_TO_SURNAME


def _is_english_name(match: re.Match[str]) -> bool:
    return match.group("hidden").split()[0].lower() not in _NO_NAMES


NAMES = (
    Detector("NAME", re.compile(rf"{_BEFORE}(?P<hidden>{_SURNAME}(?:{_GIVEN}{{1,2}}?{_FOLLOW}|"
                                rf"{_GIVEN}{{1,2}}))"), _is_no_word),
    Detector("NAME", re.compile(rf"(?P<hidden>{_SURNAME}{_TITLED_GIVEN}{{0,2}}?)(?:{_TITLES})"),
             _is_no_word),
    Detector("NAME", re.compile(rf"(?:我就?是|本人|这里是)(?P<hidden>{_SURNAME}{_GIVEN}{{1,2}}?)"
                                r"(?=$|[^\u4e00-\u9fff]|今年|女|男|来自|出生|生于)"), _is_no_word),
    Detector("NAME", re.compile(r"(?:(?i:my\s{1,3}(?:full\s)?name(?:\s{1,3}is|'s))\s{1,3}|(?:我叫|名字[是叫:]{1,2})\s?)"
                                rf"(?P<hidden>{_LATIN})"), _is_english_name),
    Detector("NAME", re.compile(r"(?<![A-Za-z])(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.?\s(?P<hidden>[A-Z][A-Za-z'-]{1,20}"
                                r"(?:\s[A-Z][A-Za-z'-]{1,20})?)(?![A-Za-z0-9])")),
)
