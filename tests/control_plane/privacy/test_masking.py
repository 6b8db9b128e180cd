"""Masking as a whole: nothing planted survives, clean questions stay, twice is once, the work grows with the text."""

import re
import sys
from collections import Counter
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.masking_sentences import (
    card_number,
    email_address,
    identity_number,
    make_clean,
    make_planted,
    mobile_number,
)
from control_plane.privacy.masking import DETECTORS, KINDS, mask_personal_data
from control_plane.privacy.normal_form import normalise, read_numerals

if sys.version_info >= (3, 11):
    from re import _parser as pattern_parser
else:
    import sre_parse as pattern_parser

MAKERS = {"ID_CARD": identity_number, "BANK_CARD": card_number, "PHONE": mobile_number, "EMAIL": email_address}
SENTENCES = 10_000
LONGEST_MATCH_CHARS = 10_000  # of the e-mail pattern: 127 labels of 63 characters
_PIECES = (
    "微信 wx 加v QQ 号 是 : 我叫 我是 名字是 王 李 张 小明 伟 老师 先生 高考 周末 北京市 人民路 88号 3栋 2单元 501 "
    "街 楼 室 1990年 5月 3日 生日 出生 05 03 - . , / ( ) + 86 138 0013 8000 1 2 9 0 一 三八零零 零 幺 a b abc123 @ "
    "qq.com (at) E 12345678 京 A12345 D 电话 卡号 62 6222 0212 110101 19900307 4514 X my John Mr. < > <PHONE> <NAME> "
    "192.168.1.1 fe80:: 转 元 万 年 月 日 的 今年 ？ 。 １ ３ ８ \u200b \u0338 \u20e3 ① ❶ ٣"
)
FRAGMENTS = st.lists(st.sampled_from([*_PIECES.split(), " ", "\n", "my name is "]), max_size=25).map("".join)
TEXTS = st.one_of(st.text(), FRAGMENTS)


def digits_in(text: str) -> str:
    return "".join(char for char in read_numerals(normalise(text)) if char.isdecimal())


@pytest.mark.parametrize("kind", MAKERS)
@given(before=st.text(), after=st.text(), seed=st.integers(0, 2**32))
def test_nothing_around_a_number_or_an_address_keeps_it_from_being_masked(kind, before, after, seed):
    item = MAKERS[kind](Random(seed))  # noqa: S311 - sentences, not secrets
    masked = mask_personal_data(before + item + after).text
    assert item not in masked
    assert item.lower() not in masked.lower()


def test_every_planted_number_and_address_of_ten_thousand_is_gone_in_every_disguise():
    planted = list(islice((one for one in make_planted(2 * SENTENCES) if one.kind in MAKERS), SENTENCES))
    assert Counter(one.kind for one in planted).keys() == MAKERS.keys()
    for one in planted:
        masked = mask_personal_data(one.sentence)
        kept = one.item in masked.text if one.kind == "EMAIL" else digits_in(one.item)[-8:] in digits_in(masked.text)
        assert not kept, one
        assert masked.counts, one


def test_most_of_the_other_kinds_are_found():
    found, planted = Counter(), Counter()
    for one in make_planted(3000, seed=1):
        kind = one.kind.partition(",")[0]
        planted[kind] += 1
        found[kind] += kind in mask_personal_data(one.sentence).counts
    assert set(planted) | {"NUMBER", "IP_ADDRESS"} == set(KINDS)
    assert {kind: found[kind] / planted[kind] for kind in planted if found[kind] / planted[kind] < 0.95} == {}


def test_questions_without_personal_data_stay_as_they_are():
    for sentence in make_clean(2000):
        assert mask_personal_data(sentence).text == normalise(sentence)


@given(TEXTS)
def test_masking_a_masked_text_changes_nothing(text):
    masked = mask_personal_data(text).text
    assert mask_personal_data(masked).text == masked
    assert mask_personal_data(masked).counts == {}


@given(TEXTS)
def test_counts_are_of_the_placeholders_that_were_put_in(text):
    masked = mask_personal_data(text)
    put_in = Counter(re.findall("<([A-Z_]+)>", masked.text)) - Counter(re.findall("<([A-Z_]+)>", normalise(text)))
    assert {kind: count for kind, count in masked.counts.items() if kind in KINDS} == masked.counts
    assert sum(put_in.values()) <= sum(masked.counts.values())


@given(st.text(alphabet="0123456789", min_size=11), TEXTS, TEXTS)
def test_no_run_of_eleven_digits_survives(digits, before, after):
    assert not re.search(r"\d{11}", mask_personal_data(before + digits + after).text)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: f"{detector.kind} {detector.pattern.pattern[:20]}")
def test_no_pattern_looks_further_than_a_bound_from_where_it_starts(detector):
    """So that a text ten times as long takes ten times the work, whatever it says."""
    if detector.pattern.pattern == r"\d{11,}":
        return  # One run of digits, with nothing after it that could fail and begin the search again.
    width = pattern_parser.parse(detector.pattern.pattern, detector.pattern.flags).getwidth()[1]
    assert width <= LONGEST_MATCH_CHARS


@pytest.mark.parametrize("piece", ["1", "a", "1 ", "a@", "王", "路1", "a.", "一"])
def test_long_texts_are_masked_whole_and_once(piece):
    text = piece * (20_000 // len(piece))
    masked = mask_personal_data(text + ",电话13800138000").text
    assert "13800138000" not in masked
    assert mask_personal_data(masked).text == masked


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "<PHONE>", "\U0010ffff", "，。？"])
def test_texts_without_anything_to_find_have_no_counts(text):
    assert mask_personal_data(text).counts == {}


def test_counts_say_how_many_of_each_kind():
    masked = mask_personal_data("13800138000,139 0013 9000,a@qq.com")
    assert masked.text == "<PHONE>,<PHONE>,<EMAIL>"
    assert masked.counts == {"PHONE": 2, "EMAIL": 1}
