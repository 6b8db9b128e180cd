"""A date that is introduced as somebody's birthday is masked; every other date is part of the question."""

import pytest

from control_plane.privacy.masking import mask_personal_data


@pytest.mark.parametrize(("text", "expected"), [
    ("生日1990年5月3日早上8点30分,看看", "生日<BIRTHDATE>,看看"), ("出生日期：1990-05-03", "出生日期:<BIRTHDATE>"),
    ("我19900503出生", "我<BIRTHDATE>出生"),
    ("1990.5.3生的", "<BIRTHDATE>生的"), ("生于90年5月3号", "生于<BIRTHDATE>"),
    ("我生日是5月3号", "我生日是<BIRTHDATE>"),
    ("农历1990年四月初九出生", "农历<BIRTHDATE>出生"), ("生日阴历一九九零年五月初三子时", "生日阴历<BIRTHDATE>"),
    ("出生1990年5月3日,2026年财运", "出生<BIRTHDATE>,2026年财运"), ("born on 1990-05-03", "born on <BIRTHDATE>"),
])
def test_introduced_birthdays_are_masked(text, expected):
    assert mask_personal_data(text).text == expected


@pytest.mark.parametrize("text", [
    "1990年5月3日", "2026年5月3日开业", "2026-05-03结婚", "出生于1990年", "1990年生的", "我属马,2026年", "5月3日面试",
    "生日20261399", "生意2026年5月",
    "20260503", "2026年3月生意怎么样", "90后", "什么时候生孩子,2027年吗",
])
def test_other_dates_and_years_of_birth_stay(text):
    assert mask_personal_data(text).text == text
