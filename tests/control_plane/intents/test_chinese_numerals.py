import pytest

from control_plane.intents.chinese_numerals import read_count, read_digits


@pytest.mark.parametrize(("text", "number"), [
    ("0", 0), ("5", 5), ("26", 26), ("2026", 2026), ("零", 0), ("两", 2), ("九", 9), ("十", 10), ("十五", 15),
    ("二十", 20),
    ("二十六", 26), ("廿五", 25), ("卅", 30), ("一百", 100), ("一百零五", 105), ("一百五", 150), ("一百五十", 150),
    ("两千零二十六", 2026), ("二千〇二十六", 2026), ("两千零六", 2006), ("两千三", 2300), ("一千九百九十八", 1998),
    ("九千九百九十九", 9999),
])
def test_numbers_that_count(text, number):
    assert read_count(text) == number


@pytest.mark.parametrize("text", [
    "", "一两", "三五", "百", "百十", "千", "十十", "零零", "一百零", "十百", "年", "-1", "1.5", "二〇二六"])
def test_what_counts_nothing_is_no_number(text):
    assert read_count(text) is None


def test_every_number_below_ten_thousand_is_read_back():
    assert [read_count(_write(number)) for number in range(1, 10_000)] == list(range(1, 10_000))


def _write(number: int) -> str:
    """Write a number as a textbook does: 105 is 一百零五, 2026 is 二千零二十六."""
    digits, text = "零一二三四五六七八九", ""
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            text += digits[digit] + name
        elif text and number % unit and not text.endswith("零"):
            text += "零"
    return text


@pytest.mark.parametrize(("text", "number"), [
    ("2026", 2026), ("26", 26), ("二〇二六", 2026), ("二零二六", 2026), ("二○二六", 2026), ("二六", 26),
    ("一九九八", 1998)])
def test_digits_one_by_one(text, number):
    assert read_digits(text) == number


@pytest.mark.parametrize("text", ["", "二十六", "两千零二十六", "2〇26", "年"])
def test_what_is_not_spelled_by_digits(text):
    assert read_digits(text) is None
