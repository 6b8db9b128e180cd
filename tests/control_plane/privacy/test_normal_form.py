"""Disguises that nobody sees are gone in the normal form, and making it twice changes nothing."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.privacy.normal_form import normalise, read_numerals

HIDDEN_CATEGORIES = {"Cf", "Cs"}


@pytest.mark.parametrize(("text", "expected"), [
    ("１３８", "138"), ("ＡＢｃ＠ｑｑ．ｃｏｍ", "ABc@qq.com"), ("1\u200b3\u200d8", "138"),
    ("1\ufe0f\u20e33\ufe0f\u20e3", "13"),
    ("①③⑧", "138"), ("❶❸", "13"), ("١٣٨", "138"), ("𝟏𝟑", "13"), ("1\u00ad3", "13"), ("1\x003", "13"),
    ("a\ud800b", "ab"),
    ("财运\u3000如何？", "财运 如何?"), ("é", "é"), ("e\u200b\u0301", "é"), ("一\t二\n", "一\t二\n"),
])
def test_what_is_written_otherwise_becomes_the_same(text, expected):
    assert normalise(text) == expected


def test_every_invisible_character_of_unicode_goes():
    everything = map(chr, range(sys.maxunicode + 1))
    invisible = [char for char in everything if unicodedata.category(char) in HIDDEN_CATEGORIES]
    assert len(invisible) > 2000
    assert normalise("a" + "".join(invisible) + "b") == "ab"


def test_every_character_has_a_normal_form_that_stays():
    once = normalise("\n".join(map(chr, range(sys.maxunicode + 1))))
    assert normalise(once) == once
    assert {char for char in once if char.isdigit()} == set("0123456789")


@given(st.text())
def test_the_normal_form_of_a_normal_form_is_itself(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(alphabet=st.sampled_from("<>/'1a张\u0338\u0301\u20e3\u200b\u3099é")))
def test_no_mark_is_left_that_could_join_a_placeholder(text):
    around = normalise("张" + text)
    assert normalise(f"<PHONE>{around}<PHONE>") == f"<PHONE>{around}<PHONE>"


def test_numerals_are_read_place_by_place():
    assert read_numerals("我零〇一幺二三四五六七八九壹玖年") == "我00112345678919年"
    assert read_numerals("两百") == "两百"
