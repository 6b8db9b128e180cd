"""Numbers as Chinese writes them, read as integers. Knows nothing of what they count."""

import re

_DIGITS = {"〇": 0, "○": 0, "零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8,
           "九": 9}
_ZERO, _ONE_TO_NINE = "[〇○零]", "[一二两三四五六七八九]"
_COUNT = re.compile(
    rf"(?:(?P<thousands>{_ONE_TO_NINE})千)?(?:{_ZERO}?(?P<hundreds>{_ONE_TO_NINE})百)?"
    rf"(?:{_ZERO}?(?P<tens>{_ONE_TO_NINE})?(?P<has_ten>十))?(?P<zero>{_ZERO}?)(?P<ones>{_ONE_TO_NINE})?")
DIGIT_CHARACTERS = "".join(_DIGITS)
NUMERAL_CHARACTERS = DIGIT_CHARACTERS + "十廿卅百千"


def read_count(text: str) -> int | None:
    """Return the number that counts things, 0 to 9999: 5, 十五, 廿五, 两千零二十六; None for what is no such number.

    一两 and 三五 are a speaker's guesses and no numbers, and a 百 without a digit before it is a figure of speech.
    """
    if text.isascii():
        return int(text) if text.isdigit() else None
    if len(text) == 1 and text in _DIGITS:
        return _DIGITS[text]
    match = _COUNT.fullmatch(text.replace("廿", "二十").replace("卅", "三十"))
    if not text or match is None or (match["ones"] is None and match["zero"]):
        return None
    thousands, hundreds, tens, ones = (_DIGITS.get(match[place], 0) for place in
                                       ("thousands", "hundreds", "tens", "ones"))
    if match["has_ten"]:
        tens = tens or 1
    elif not match["zero"]:  # 一百五 is 150 and 两千三 is 2300; only 零 makes ones of them.
        ones *= 10 if match["hundreds"] else 100 if match["thousands"] else 1
    return 1000 * thousands + 100 * hundreds + 10 * tens + ones


def read_digits(text: str) -> int | None:
    """Return the number whose digits are spelled one by one, as years are: 二〇二六, 2026; None for anything else."""
    if text.isascii():
        return int(text) if text.isdigit() else None
    if any(character not in _DIGITS for character in text):
        return None
    return int("".join(str(_DIGITS[character]) for character in text))
