import re
from datetime import date

import pytest

from control_plane.intents.time_intent_years import BIRTH, YEAR, read_year, year_type

TODAY = date(2026, 11, 21)


def _years(text: str) -> list[int | None]:
    return [read_year(match[0], TODAY) for match in re.finditer(YEAR, text)]


@pytest.mark.parametrize(("text", "year"), [
    ("今年", 2026), ("明年", 2027), ("后年", 2028), ("大后年", 2029), ("去年", 2025), ("前年", 2024), ("大前年", 2023),
    ("本年度", 2026), ("来年", 2027), ("2026年", 2026), ("1998年", 1998), ("26年", 2026), ("31年", 2031),
    ("二〇二六年", 2026),
    ("二零二六年", 2026), ("两千零二十六年", 2026), ("二千零二十六年", 2026), ("二六年", 2026), ("2027年度", 2027)])
def test_years(text, year):
    assert _years(text) == [year]


@pytest.mark.parametrize("text", [
    "今年轻人", "明年轻", "去年糕店", "去年货市场", "一年级", "三年级", "26年级", "百年好合", "如今年轻", "文明年代",
    "证明年收入",
    "过去年代", "毕业后年薪", "婚后年年有余", "从前年轻", "以前年年", "目前年纪", "成本年年涨", "原来年轻",
    "26年的感情", "等了26年",
    "工作26年", "26年前", "未来26年", "多年", "几年", "每年", "当年"])
def test_what_only_looks_like_a_year(text):
    assert _years(text) == []


@pytest.mark.parametrize("text", ["98年", "15年", "30年", "二三年", "三四年", "两千五百年"])
def test_digits_that_are_a_birth_a_length_of_time_or_a_guess_name_no_year(text):
    assert set(_years(text)) <= {None}


def test_a_year_has_the_type_of_the_word_that_names_it():
    assert [year_type(text, TODAY) for text in ("前年", "去年", "今年", "明年", "后年", "大后年", "2026年")] == [
        "year_before_last", "last_year", "this_year", "next_year", "year_after_next", "explicit_year", "explicit_year"]


@pytest.mark.parametrize("text", [
    "1998年出生", "1990年5月生", "生于1998年5月", "男方1990年", "五月出生的", "98年5月生的", "1990年5月20日早上8点出生",
    "我是98年的,", "我是1998年的", "1990年的女生",
    "1990年属马", "90年生人",
    "1990-05-20出生", "一九九八年五月出生"])
def test_years_of_birth_are_known_as_such(text):
    assert BIRTH.search(text)


@pytest.mark.parametrize("text", ["2026年属马的运势", "2027年的财运", "今年出生率", "2026年女生运势", "26年运势"])
def test_years_that_are_asked_about_are_no_births(text):
    assert not BIRTH.search(text)
